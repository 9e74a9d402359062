"""
A log that we write: its lines until they are confirmed, and its batches.

::

    write ─▶ open ── the next line ─▶ closed, unsigned ─┐
                └─── the batch ends ─▶ closed, signed ──┴─▶ next_batch ─▶ stored ─▶ confirmed

Each entry has the hash of the one before it, so the last line is *open* until it is known whether
another one follows it in its batch: a signature of the last entry of a batch covers all of it.

Owns numbers, hashes and signatures; when a batch ends is decided by who takes it.  A number is
never used twice: where the other side has another entry in the place of one of ours, what it hasn't
confirmed is written again in a new log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import attrs

from p2pchat.errors import TextTooLong, TooManyLines
from p2pchat.identity.entry_signatures import sign_entry
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.session.stored import Content, LogHead, StoredEntry, message_id
from p2pchat.wire import entries
from p2pchat.wire.entries import MAX_TEXT, Item, Known, LogEntry
from p2pchat.wire.framing import LENGTH, encode_frame
from p2pchat.wire.references import CHANGES, REFERRING, read_body, write_body

MAX_LOG = 10_000  # lines that may wait for delivery
MAX_LOG_SIZE = 32 * 1024 * 1024  # bytes of them
MAX_BATCH = 32 * 1024  # bytes after which a batch ends; the line that goes beyond belongs to it


@attrs.define
class Line:
    """
    A line of ours that isn't confirmed.

    :ivar said_at: in the machines' time.
    :ivar frame: empty while it is open.
    :ivar sent_at: when it went out on the link of now.
    :ivar first_id: of the message, where it was written before in another place.
    :ivar went_out: on any link, as far as is known: the other side may have it.
    :ivar is_announced: our person knows that it is stored.
    """

    number: int
    said_at: float
    frame: bytes = b""
    sent_at: float | None = None
    first_id: str = ""
    went_out: bool = False
    is_announced: bool = False

    def id_in(self, log: bytes) -> str:
        """Return the id that the message has in this log."""
        return message_id(log, self.number)

    @property
    def raw(self) -> bytes:
        """The entry, once it is closed."""
        return self.frame[LENGTH + len(entries.ENTRY) :]

    @property
    def hash(self) -> bytes:
        """Its hash."""
        return sha256(self.raw).digest()


Moved = dict[Known, Known | None]  # from a place to the new one; None: it was taken back


class _Open(NamedTuple):
    line: Line
    entry: LogEntry  # without a signature
    text: str
    refers: Known | None


@attrs.define(eq=False)
class OwnLog:
    """
    One log of ours.

    :ivar conversation: its id.
    :ivar name: 16 bytes.
    :ivar lines: those that aren't confirmed, oldest first.
    :ivar waiting: bytes of these lines.
    :ivar first: the number of the oldest entry that we can pass on.
    :ivar known: number and hash of the last entry that the other side is known to have.
    """

    conversation: bytes
    identity: Identity
    name: bytes
    lines: deque[Line] = attrs.Factory(deque)
    waiting: int = 0
    first: int = 1
    known: tuple[int, bytes] = (0, entries.NOTHING)
    author: bytes = attrs.field(init=False)
    _number: int = 0  # of the last entry
    _hash: bytes = entries.NOTHING  # of the last one that is closed
    _open: _Open | None = None
    _size: int = 0  # bytes since the last signature
    _batch: list[StoredEntry] = attrs.Factory(list)
    _unstored: deque[Line] = attrs.Factory(deque)  # the end of lines that isn't stored

    def __attrs_post_init__(self) -> None:
        self.author = peer_id_octets(self.identity.peer_id)

    def restore(self, head: LogHead, undelivered: Sequence[StoredEntry], wall: float) -> None:
        """
        Go on from what was kept.

        :param wall: seconds since 1970 when the machines' time was 0.
        """
        self._number, self._hash, self.first = head.number, head.hash, head.oldest
        self.known = (head.number, head.hash)
        for entry in undelivered:
            frame = encode_frame(entries.ENTRY + entry.raw)
            said_at = entry.sent_at - wall
            self.lines.append(Line(entry.number, said_at, frame, went_out=True, is_announced=True))
            self.waiting += len(frame)
        if undelivered:
            before = LogEntry.decode(undelivered[0].raw).previous
            self.known = (undelivered[0].number - 1, before)

    # -- what is written

    def check_room(self, text: str) -> None:
        """
        Refuse a text for which there is no room.

        :raises TextTooLong, TooManyLines: too many lines wait for delivery.
        """
        if len(text) > MAX_TEXT:
            raise TextTooLong(f"a message has at most {MAX_TEXT} characters, not {len(text)}")
        if len(self.lines) >= MAX_LOG:
            raise TooManyLines(f"{MAX_LOG:,} lines wait for delivery already; wait until they go")
        if self.waiting >= MAX_LOG_SIZE:
            most = MAX_LOG_SIZE // 2**20
            raise TooManyLines(f"{most} MiB wait for delivery already; wait until they go")

    def write(
        self, said: Content, lamport: int, after: tuple[Known, ...], wall: float, now: float
    ) -> Line:
        """
        Write a line after the last one.

        :param after: the last entries of other logs that its author had.
        :param wall: seconds since 1970.
        """
        self._close(ends_batch=False)
        kind, text, refers = said
        body = write_body(kind, text, refers) if refers else entries.write_text(text)
        entry = LogEntry(
            self.conversation,
            self.author,
            self.author,
            self.name,
            self._number + 1,
            self._hash,
            lamport,
            int(wall * 1e6),
            kind,
            after,
            body,
        )
        return self._add(entry, text if text.isascii() else read_body(kind, body)[0], refers, now)

    def write_again(self, line: Line, lamport: int, moved: Moved) -> Line | None:
        """
        Write a line of another log of ours, or of another place in this one, after the last one.

        :param moved: where others are now; gets the new place of this one.
        """
        self._close(ends_batch=False)
        before = LogEntry.decode(line.raw)
        place = Known(self.author, before.log, before.number)
        said = _moved_content(before, moved)
        if said is None:
            moved[place] = None
            return None
        moved[place] = Known(self.author, self.name, self._number + 1)
        kind, text, refers = said
        body = before.body if kind not in REFERRING | {entries.TEXT} else write_body(*said)
        entry = before._replace(
            log=self.name,
            number=self._number + 1,
            previous=self._hash,
            lamport=lamport,
            kind=kind,
            after=before.after if before.said_first else (*before.after, place),
            body=body,
            signature=b"",
        )
        again = self._add(entry, text, refers, line.said_at)
        again.first_id = line.first_id or message_id(before.log, line.number)
        again.is_announced = line.is_announced
        return again

    def _add(self, entry: LogEntry, text: str, refers: Known | None, said_at: float) -> Line:
        line = Line(entry.number, said_at)
        self._number = entry.number
        self._open = _Open(line, entry, text, refers)
        self.lines.append(line)
        self._unstored.append(line)
        return line

    def _close(self, ends_batch: bool) -> None:
        """Give the open line its last bytes."""
        if self._open is None:
            return
        line, entry, text, refers = self._open
        self._open, raw = None, entry.encode()
        self._size += len(raw)
        if ends_batch or self._size >= MAX_BATCH:
            unsigned = raw[: -entries.UNSIGNED]
            raw = unsigned + entries.write_signature(sign_entry(self.identity, unsigned))
            self._size = 0
        self._hash = sha256(raw).digest()
        line.frame = encode_frame(entries.ENTRY + raw)
        self.waiting += len(line.frame)
        wall = entry.sent_at / 1e6
        place = (self.author, self.name, line.number, entry.lamport)
        content = (wall, entry.kind, text, raw, wall, False)
        others = (refers, entry.said_first if entry.after else None)
        self._batch.append(StoredEntry._make(place + content + others))

    @property
    def has_batch(self) -> bool:
        """Whether lines are to be stored."""
        return self._open is not None or bool(self._batch)

    @property
    def has_signed_batch(self) -> bool:
        """Whether lines are to be stored, and those that are closed are signed."""
        return bool(self._batch) and self._size == 0

    def abandon(self) -> list[Line]:
        """Write nothing more, and return the lines that aren't confirmed."""
        self._close(ends_batch=False)
        self._batch = []
        return list(self.lines)

    def withdraw(self, line: Line) -> list[Line]:
        """
        Forget a line that never went out and those after it, which are returned.

        The next line has its number: nobody has seen another one with it.  All are stored.
        """
        kept, after = list(self.lines), []
        while kept[-1] is not line:
            after.append(kept.pop())
        kept.pop()
        self.lines = deque(kept)
        self.waiting = sum(len(one.frame) for one in kept)
        self._number = line.number - 1
        self._hash = kept[-1].hash if kept else self.known[1]
        return after[::-1]

    def next_batch(self) -> list[StoredEntry]:
        """Return, and forget, what is to be stored together; its last line is signed."""
        self._close(ends_batch=True)
        batch, self._batch = self._batch, []
        return batch

    # -- what becomes of it

    def stored(self, number: int) -> list[Line]:
        """Return the lines that are stored now: those up to a number."""
        return _popped(self._unstored, number)

    def confirmed(self, number: int) -> list[Line]:
        """Return the lines that are confirmed now: those up to a number."""
        found = _popped(self.lines, number)
        self.waiting -= sum(len(line.frame) for line in found)
        if found:
            self.known = (number, found[-1].hash)
        return found

    def is_same(self, number: int, last: bytes) -> bool:
        """Tell whether an entry has this hash, as far as is known; zeros mean any."""
        if number == self.known[0]:
            return last in {self.known[1], entries.NOTHING}
        index = number - self.oldest
        if not 0 <= index < len(self.lines):
            return True
        line = self.lines[index]
        return bool(line.frame) and last in {line.hash, entries.NOTHING}

    def waits_for(self, number: int) -> bool:
        """Tell whether a line up to a number isn't stored."""
        return bool(self._unstored) and self._unstored[0].number <= number

    def sendable(self) -> list[Line]:
        """Return the lines that aren't confirmed, but are stored."""
        return list(self.lines)[: len(self.lines) - len(self._unstored)]

    @property
    def number(self) -> int:
        """The number of the last entry."""
        return self._number

    @property
    def oldest(self) -> int:
        """The number of the oldest line that isn't confirmed, or of the next one."""
        return self.lines[0].number if self.lines else self._number + 1

    def item(self, is_lasting: bool) -> Item:
        """Return what HAVE says of it."""
        oldest = self.first if is_lasting else self.oldest
        return Item(self.author, self.name, oldest, *self.known)

    def head(self) -> LogHead:
        """Return where it ends, when no line is open."""
        return LogHead(self.author, self.name, self.first, self._number, self._hash)


def _moved_content(entry: LogEntry, moved: Moved) -> Content | None:
    """Return what an entry says where others have moved; ``None``: nothing any more."""
    text, refers = read_body(entry.kind, entry.body)
    if refers is None or refers not in moved:
        return Content(entry.kind, text, refers)
    if (place := moved[refers]) is not None:
        return Content(entry.kind, text, place)
    return None if entry.kind in CHANGES else Content(entries.TEXT, text)


def _popped(lines: deque[Line], number: int) -> list[Line]:
    found = []
    while lines and lines[0].number <= number:
        found.append(lines.popleft())
    return found
