"""Two conversations, and the test is the link."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.entry_signatures import sign_entry
from p2pchat.identity.keys import peer_id_octets
from p2pchat.session.control import Control, ControlEvent
from p2pchat.session.conversation import Conversation
from p2pchat.session.conversation_events import (
    Confirmed,
    ConversationEvent,
    EntriesWaiting,
    Received,
    Sent,
)
from p2pchat.wire import entries
from p2pchat.wire.entries import Item, Known, LogEntry
from p2pchat.wire.framing import FrameReader
from p2pchat.wire.messages import ControlMessage
from tests.identity import people
from tests.wire.frames import changed

NOW = 100.0
WALL = 1_800_000_000.0
ALICE, BOB = (peer_id_octets(one.peer_id) for one in (people.ALICE, people.BOB))
KEYS = {ALICE: people.ALICE.public_key, BOB: people.BOB.public_key}

_Event = TypeVar("_Event")


@attrs.frozen
class Have:
    """What one side says of the logs."""

    items: tuple[Item, ...] = attrs.field(eq=lambda items: [item[:4] for item in items])


@attrs.frozen
class Marks:
    """How far one side says that it has read."""

    items: tuple[Known, ...]


@attrs.frozen
class Frame:
    """A frame of another type, as it is."""

    body: bytes


Event = ControlEvent | ConversationEvent
Said = ControlMessage | Have | Marks | Frame | LogEntry


class Silent(Control):
    """What one side says; nobody reads there."""

    def __init__(self, username: str, log: bytes) -> None:
        us, them = (people.ALICE, BOB) if username == "alice" else (people.BOB, ALICE)
        super().__init__(username, Conversation(us, them, lambda _size: log))
        self.conversation.their_key = KEYS[them]
        self.happened: list[Event] = []
        self.frames: deque[bytes] = deque()

    @property
    def log(self) -> bytes:
        """The name of the log."""
        return self.conversation.log

    @property
    def undelivered(self) -> int:
        """How many lines aren't confirmed."""
        return self.conversation.undelivered

    def say(self, text: str, wall: float, now: float) -> str:
        """Say a line, a batch of its own."""
        name = self.conversation.say(text, wall, now)
        self.settle(now)
        return name

    def link_ended(self) -> None:
        """Lose what wasn't taken."""
        super().link_ended()
        self.frames.clear()

    def settle(self, now: float = NOW) -> None:
        """Take the frames that wait, and the events."""
        while self.frames and self.conversation.may_receive:
            self.conversation.receive(self.frames.popleft(), now)
            self._note()
        self._note()

    def _note(self) -> None:
        while self.events:
            self.note(self.events.popleft())

    def note(self, event: Event) -> None:
        """Take an event; what is to be stored is stored at once."""
        if isinstance(event, EntriesWaiting):
            talk = self.conversation
            talk.stored(talk.next_unstored(event.are_ours))
        elif not isinstance(event, Confirmed | Sent):
            self.happened.append(event)


class Talker(Silent):
    """What one side says; its reader takes each line at once."""

    def note(self, event: Event) -> None:
        """Take an event, and read it."""
        super().note(event)
        if isinstance(event, Received):
            self.conversation.read(event.id)


def sent(
    one: Control, now: float = NOW, enough: int = 10_000_000, most: int = 10_000_000
) -> list[Said]:
    """Return what goes out now: lines of so many bytes, more or less, and of at most so many."""
    if isinstance(one, Silent):
        one.settle(now)
    found: list[Said] = list(one.next_messages(now))
    reader = FrameReader()
    reader.add(one.conversation.next_bytes(most, enough, now))
    while (body := reader.next_frame()) is not None:
        if body[:1] == entries.HAVE:
            found.append(Have(tuple(entries.decode_have(body[1:]))))
        elif body[:1] == entries.READ:
            found.append(Marks(tuple(entries.decode_read(body[1:]))))
        elif body[:1] == entries.PAUSE:
            found.append(Frame(body))
        else:
            found.append(LogEntry.decode(body[1:]))
    goodbye = one.next_goodbye(())
    return found if goodbye is None else [*found, goodbye]


def told(one: Silent) -> list[Event]:
    """Return the events that wait."""
    one.settle()
    found, one.happened = one.happened, []
    return found


def of(kind: type[_Event], events: Sequence[object]) -> list[_Event]:
    """Return the events, or messages, of one kind."""
    return [event for event in events if isinstance(event, kind)]


def hear(one: Silent, message: Said, now: float = NOW) -> None:
    """Let one side have a message; its goodbye comes after all before it."""
    if isinstance(message, Have):
        one.frames.append(entries.encode_have(message.items))
    elif isinstance(message, Marks):
        one.frames.append(entries.encode_read(message.items))
    elif isinstance(message, Frame):
        one.frames.append(message.body)
    elif isinstance(message, LogEntry):
        one.frames.append(entries.ENTRY + message.encode())
    else:
        one.receive(message, now)
        one.take_goodbye()
    one.settle(now)


def receipt(author: Silent, number: int) -> Have:
    """Return what says that so much of somebody's log was read."""
    return Have((Item(author.conversation.author, author.log, number + 1, number),))


def announced(author: Silent, oldest: int = 1, number: int = 0, log: bytes = b"") -> Have:
    """Return what somebody says first of its own log."""
    return Have((Item(author.conversation.author, log or author.log, oldest, number),))


def line(
    author: Silent,
    number: int,
    text: str = "x",
    previous: bytes = entries.NOTHING,
    log: bytes = b"",
    **members: Any,
) -> LogEntry:
    """Return an entry of somebody's log."""
    us = author.conversation.author
    made = LogEntry(
        *(author.conversation.id, us, us, log or author.log, number, previous),
        *(number, int(WALL * 1e6), entries.TEXT, (), entries.write_text(text)),
    )
    return signed(author, changed(made, **members))


def signed(author: Silent, entry: LogEntry) -> LogEntry:
    """Return an entry with the signature of its author."""
    unsigned = changed(entry, signature=b"").encode()[: -entries.UNSIGNED]
    return changed(entry, signature=sign_entry(author.conversation.identity, unsigned))


class ConversationCase(SynchronousTestCase):
    """Alice and Bob, and the test is the link."""

    def setUp(self) -> None:
        self.meet()

    def meet(self) -> None:
        """Let two who haven't talked yet be there."""
        self.alice: Silent = Talker("alice", b"A" * 16)
        self.bob: Silent = Talker("bob", b"B" * 16)

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
        self.alice.link_began()
        self.bob.link_began()
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
