"""Two conversations, and the test is the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.conversation import (
    Conversation,
    ConversationEvent,
)
from p2pchat.wire.messages import ChatMessage, Hello, Message, decode, encode

NOW = 100.0
WALL = 1_800_000_000.0

_Event = TypeVar("_Event")


class Talker(Conversation):
    """A conversation whose reader takes each line at once."""

    their_epoch = ""

    def receive_frame(self, body: bytes, now: float) -> None:
        """Take one frame, and read it."""
        super().receive_frame(body, now)
        message = decode(body)
        if isinstance(message, Hello):
            self.their_epoch = message.epoch
        elif isinstance(message, Message):
            self.read(self.their_epoch, message.sequence)


def sent(one: Conversation, now: float = NOW, room: int = 10_000) -> list[ChatMessage]:
    """Return what goes out now on a link with room for so many messages."""
    found: list[ChatMessage] = []
    while len(found) < room and (message := one.next_message(now)) is not None:
        found.append(message)
    return found


def told(one: Conversation) -> list[ConversationEvent]:
    """Return the events that wait."""
    found = []
    while (event := one.next_event()) is not None:
        found.append(event)
    return found


def of(kind: type[_Event], events: Sequence[object]) -> list[_Event]:
    """Return the events, or messages, of one kind."""
    return [event for event in events if isinstance(event, kind)]


def hear(one: Conversation, message: ChatMessage, now: float = NOW) -> None:
    """Let one side have a message."""
    one.receive_frame(encode(message, WALL), now)


class ConversationCase(SynchronousTestCase):
    """Alice and Bob, and the test is the link."""

    def setUp(self) -> None:
        self.alice: Conversation = Talker("alice", "a" * 32)
        self.bob: Conversation = Talker("bob", "b" * 32)

    def pump(self, now: float = NOW) -> None:
        """Carry what both have to say until they have nothing more to say."""
        quiet = False
        while not quiet:
            quiet = True
            for sender, reader in ((self.alice, self.bob), (self.bob, self.alice)):
                for message in sent(sender, now):
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
