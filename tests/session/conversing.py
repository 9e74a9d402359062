"""Two conversations, and the test is the link."""

from __future__ import annotations

from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.conversation import (
    Conversation,
    ConversationEvent,
)
from p2pchat.wire.messages import (
    ChatMessage,
    encode,
)

NOW = 100.0
WALL = 1_800_000_000.0
ROOM = 64

_Event = TypeVar("_Event")


def told(one: Conversation) -> list[ConversationEvent]:
    """Return the events that wait."""
    found = []
    while (event := one.next_event()) is not None:
        found.append(event)
    return found


def of(kind: type[_Event], events: list[ConversationEvent]) -> list[_Event]:
    """Return the events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def hear(one: Conversation, message: ChatMessage, now: float = NOW) -> None:
    """Let one side have a message."""
    one.receive_frame(encode(message, WALL), now)


class ConversationCase(SynchronousTestCase):
    """Alice and Bob, and the test is the link."""

    def setUp(self) -> None:
        self.alice, self.bob = Conversation("alice", "a" * 32), Conversation("bob", "b" * 32)

    def pump(self, now: float = NOW) -> None:
        """Carry what both have to say until they have nothing more to say."""
        quiet = False
        while not quiet:
            quiet = True
            for sender, reader in ((self.alice, self.bob), (self.bob, self.alice)):
                for message in sender.messages_to_send(now, ROOM):
                    hear(reader, message, now)
                    quiet = False

    def open(self, now: float = NOW) -> None:
        """Make a link."""
        self.alice.link_opened()
        self.bob.link_opened()
        self.pump(now)

    def cut(self) -> None:
        """End the link."""
        self.alice.link_ended()
        self.bob.link_ended()

    def opened(self) -> None:
        """Make a link, its events told."""
        self.open()
        told(self.alice)
        told(self.bob)
