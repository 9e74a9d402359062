"""Two conversations, and the test is the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.control import Control, ControlEvent
from p2pchat.session.conversation import Conversation, ConversationEvent, Received, message_id
from p2pchat.wire.messages import ChatMessage, encode

NOW = 100.0
WALL = 1_800_000_000.0

_Event = TypeVar("_Event")


Event = ControlEvent | ConversationEvent


class Silent(Control):
    """What one side says; nobody reads there."""

    def __init__(self, username: str, epoch: str) -> None:
        super().__init__(username, Conversation(epoch))
        self.happened: list[Event] = []

    @property
    def epoch(self) -> str:
        """The name of the log."""
        return self.conversation.epoch

    @property
    def undelivered(self) -> int:
        """How many lines aren't confirmed."""
        return self.conversation.undelivered

    def say(self, text: str, wall: float, now: float) -> int:
        """Say a line."""
        return self.conversation.say(text, wall, now)

    def receive_frame(self, body: bytes, now: float) -> None:
        """Take one frame, and what follows from it, in order."""
        super().receive_frame(body, now)
        self.settle()

    def settle(self) -> None:
        """Take the events that wait."""
        while (event := self.next_event() or self.conversation.next_event()) is not None:
            self.happened.append(event)


class Talker(Silent):
    """What one side says; its reader takes each line at once."""

    def receive_frame(self, body: bytes, now: float) -> None:
        """Take one frame, and read it."""
        before = len(self.happened)
        super().receive_frame(body, now)
        for event in self.happened[before:]:
            if isinstance(event, Received):
                self.conversation.read(message_id(event.epoch, event.message.sequence))


def sent(one: Control, now: float = NOW, room: int = 10_000) -> list[ChatMessage]:
    """Return what goes out now on a link with room for so many messages."""
    found: list[ChatMessage] = []
    while len(found) < room and (message := one.next_message(now)) is not None:
        found.append(message)
    return found


def told(one: Silent) -> list[Event]:
    """Return the events that wait."""
    one.settle()
    found, one.happened = one.happened, []
    return found


def of(kind: type[_Event], events: Sequence[object]) -> list[_Event]:
    """Return the events, or messages, of one kind."""
    return [event for event in events if isinstance(event, kind)]


def hear(one: Control, message: ChatMessage, now: float = NOW) -> None:
    """Let one side have a message."""
    one.receive_frame(encode(message, WALL), now)


class ConversationCase(SynchronousTestCase):
    """Alice and Bob, and the test is the link."""

    def setUp(self) -> None:
        self.alice: Silent = Talker("alice", "a" * 32)
        self.bob: Silent = Talker("bob", "b" * 32)

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
