"""Two conversations with a disk each: programs crash, and disks are put back."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count

import attrs

from p2pchat.errors import LocalProtocolError
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.session.conversation_events import (
    Confirmed,
    Delivered,
    EntriesWaiting,
    EntriesWanted,
    Received,
)
from p2pchat.session.mail import MailedConversation
from p2pchat.session.passing_on import PORTION
from p2pchat.session.stored import About, EntryRange, StoredEntry
from p2pchat.wire.entries import Known
from p2pchat.wire.references import CHANGES, REPLY
from tests.peer.lasting_store import Rows, found_in
from tests.wire.frames import frames_of

NOW = 100.0
WALL = 1_800_000_000.0
_TICKS = count()  # no two lines have the same time
ROOM = 10_000_000  # bytes that a link takes


@attrs.define(eq=False)
class Side:
    """
    One side: a program, and its disk.

    :ivar keeps: whether there is a disk.
    :ivar shown: texts, since the program began.
    :ivar delivered: ids of lines of ours, likewise.
    :ivar logs: how many logs were begun here, ever.
    """

    identity: Identity
    other: Identity
    keeps: bool = True
    rows: Rows = attrs.field(init=False)
    talk: MailedConversation = attrs.field(init=False)
    arriving: deque[bytes] = attrs.Factory(deque)
    shown: list[str] = attrs.Factory(list)
    delivered: list[str] = attrs.Factory(list)
    logs: int = 0
    waiting: list[str] = attrs.Factory(list)  # ids, said in this run
    times: dict[str, float] = attrs.Factory(dict)  # by id, when it was said
    is_linked: bool = False
    _work: deque[Callable[[], None]] = attrs.Factory(deque)  # of the disk, in order

    def __attrs_post_init__(self) -> None:
        self.rows = Rows(ours=peer_id_octets(self.identity.peer_id))
        self.boot()

    def boot(self) -> None:
        """Start the program anew, from what is on the disk."""
        other = peer_id_octets(self.other.peer_id)
        self.talk = MailedConversation(self.identity, other, self._random, is_lasting=self.keeps)
        self.talk.their_key = self.other.public_key
        if self.keeps:
            self.talk.restore(self.rows.state())
        self._work.clear()
        self.shown.clear()
        self.delivered.clear()
        self.waiting.clear()
        self.cut()

    def _random(self, size: int) -> bytes:
        self.logs += 1
        return (self.identity.public_key[:1] + self.logs.to_bytes(4, "big")).ljust(size, b".")

    def link(self) -> None:
        """Begin a link."""
        self.is_linked = True
        self.talk.link_began()
        self.talk.greeted()

    def cut(self) -> None:
        """End the link."""
        self.is_linked = False
        self.talk.link_ended()
        self.arriving.clear()

    def say(self, text: str, about: About | None = None) -> None:
        """Say a line."""
        when = WALL + next(_TICKS) / 1000
        name = self.talk.say(text, when, NOW, about)
        self.waiting.append(name)
        self.times[name] = when
        self.settle()

    def say_of(self, kind: str, text: str, back: int) -> None:
        """Say something of one of the last lines that the disk has, ours where it changes it."""
        found = [one for one in self.rows.entries() if one.kind not in CHANGES]
        if kind != REPLY:
            found = [one for one in found if one.author == self.talk.author]
        if found:
            one = found[-1 - back % len(found)]
            self.say(text, About(kind, Known(one.author, one.log, one.number)))

    def withdraw(self) -> set[float]:
        """Take the line back that was said last in this run, if that goes; return its time."""
        if self.is_linked or not self.waiting:
            return set()
        name = self.waiting.pop(-1 - len(self.waiting) // 2)
        with suppress(LocalProtocolError):
            gone = self.talk.withdraw(name)
            self.settle()
            return {self.times[one] for one in (name, *gone)}
        return set()

    def write(self, most: int = ROOM) -> list[bytes]:
        """Return the frames that go out."""
        frames = frames_of(self.talk.next_bytes(ROOM, most, NOW)) if self.is_linked else []
        self.settle()
        return frames

    def take(self) -> None:
        """Take a frame that has arrived."""
        if self.arriving:
            self.talk.receive(self.arriving.popleft(), NOW)
            self.settle()

    def commit(self) -> bool:
        """Let the disk do what it was asked first; tells whether there was anything."""
        if not self._work:
            return False
        self._work.popleft()()
        self.settle()
        return True

    def settle(self) -> None:
        """Take the events."""
        events = self.talk.events
        while events:
            match event := events.popleft():
                case EntriesWaiting(are_ours):
                    self._store(are_ours)
                case EntriesWanted(wanted):
                    self._work.append(partial(self._find, wanted))
                case Confirmed(log, number):
                    self._work.append(partial(self.rows.confirm, log, number))
                case Received():
                    self.shown.append(event.text)
                    self.talk.read(event.id)
                case Delivered(name):
                    self.delivered.append(name)

    def _store(self, are_ours: bool) -> None:
        talk, batch = self.talk, self.talk.next_unstored(are_ours)
        if not batch.entries and batch.replaces is None:
            return

        def store() -> None:
            repeated: list[StoredEntry] = []
            if batch.replaces is None:
                repeated = self.rows.append(batch.entries)
            else:
                self.rows.replace(batch.replaces, batch.entries)
            talk.stored(batch, repeated)
            talk.read("")

        self._work.append(store)

    def _find(self, wanted: EntryRange) -> None:
        self.talk.found(wanted, found_in(self.rows, wanted, PORTION), NOW)


@attrs.define(eq=False)
class Both:
    """
    The two sides, and what they are to have in the end.

    :ivar said: times of entries that some disk has.
    """

    alice: Side
    bob: Side
    said: set[float] = attrs.Factory(set)
    withdrawn: set[float] = attrs.Factory(set)
    _backups: dict[Side, Rows] = attrs.Factory(dict)

    def others(self, side: Side) -> Side:
        """Return the other side."""
        return self.bob if side is self.alice else self.alice

    def withdraw(self, side: Side) -> None:
        """Let somebody take a line back; it may be there in the end, or not."""
        self.withdrawn |= side.withdraw()
        self.said -= self.withdrawn

    def commit(self, side: Side) -> None:
        """Let a disk work."""
        side.commit()
        self.note(side)

    def note(self, side: Side) -> None:
        """Expect what a disk has to be there in the end."""
        self.said |= times(side.rows) - self.withdrawn

    def link(self) -> None:
        """Make a new link."""
        self.cut()
        self.alice.link()
        self.bob.link()

    def cut(self) -> None:
        """End the link."""
        self.alice.cut()
        self.bob.cut()

    def carry(self, sender: Side, most: int = ROOM) -> None:
        """Carry what one side has to say."""
        self.others(sender).arriving += sender.write(most)

    def exchange(self) -> None:
        """Carry all that both have to say, while no disk works."""
        for _ in range(3):
            for side in (self.alice, self.bob):
                self.carry(side)
            for side in (self.alice, self.bob):
                while side.arriving:
                    side.take()

    def crash(self, side: Side) -> None:
        """Let a program end in this moment, and begin again."""
        self.cut()
        side.boot()

    def back_up(self, side: Side) -> None:
        """Copy a disk."""
        self._backups[side] = copy.deepcopy(side.rows)

    def put_back(self, side: Side) -> None:
        """Let a program end, and its disk be the copy."""
        backup = self._backups.pop(side, None)
        if backup is None:
            return
        side.rows = backup
        self.said &= times(side.rows) | times(self.others(side).rows)
        self.crash(side)

    def talk(self) -> None:
        """Let both talk for a while on a new link; the disks work."""
        self.link()
        for side in (self.alice, self.bob) * 2:
            self.carry(side)
            other = self.others(side)
            while other.arriving:
                other.take()
            for one in (side, other):
                while one.commit():
                    pass
                self.note(one)

    def finish(self, links: int = 4) -> int:
        """
        Let both talk until all is quiet, over some links; returns the frames of the last.

        :param links: how many new ones; 0: that of now, if there is one.
        """
        count = 0
        for _ in range(links or 1):
            if links or not self.alice.is_linked:
                self.link()
            count, quiet = 0, False
            while not quiet:
                quiet = True
                for side in (self.alice, self.bob):
                    self.carry(side)
                    quiet = quiet and not self.others(side).arriving
                    while side.arriving:
                        count += 1
                        side.take()
                        quiet = False
                    while side.commit():
                        quiet = False
                if count > 20_000:
                    raise AssertionError("they never come to an end")
        return count


def times(rows: Rows) -> set[float]:
    """Return when the entries of a disk were said, which no two have in common."""
    return {one.sent_at for one in rows.entries()}
