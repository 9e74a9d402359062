"""
A conversation: one log an author, and what each side has of them.

Owns what makes delivery certain: our lines wait in the log until a HAVE of the other side says that
it has them, are sent again on a new link from the oldest one on, and theirs are shown once, in
order.  It lives as long as the process remembers the peer, over any number of links, and goes on
from what a store has kept.

Knows no store.  Whoever has one hands on what is to be stored, and says when it is::

    say ─────────▶ EntriesWaiting ─ next_unstored ─▶ store ─ stored ─▶ our lines go out
    their ENTRY ─▶ EntriesWaiting ─ next_unstored ─▶ store ─ stored ─▶ Received ─▶ read

A line of theirs is confirmed when it is stored; where nothing outlives the program, when it was
read: handed on to somebody who takes it.  It counts as taken when it was read.  Until then
it is a part of its stream's window (:mod:`p2pchat.session.streams`), which bounds what a peer may
send ahead of our reader; what earlier links brought, and nobody read, is bounded by MAX_UNREAD.

::

    link_began ─▶ HAVE, our lines ...           out, before anything of theirs is known
    greeted ────▶ HAVE of theirs ─▶ their lines ...                                     in

Refuses an entry whose number leaves a gap, or that doesn't follow the one before it by its hash.
What doesn't concern the two logs is ignored: a newer program's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import attrs

from p2pchat.errors import RemoteProtocolError, TextTooLong, TooManyLines
from p2pchat.session.liveness import Liveness
from p2pchat.session.stored import ConversationState, LogHead, StoredEntry, message_id
from p2pchat.session.streams import WINDOW
from p2pchat.wire import entries
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.entries import MAX_TEXT, Item, Known, LogEntry
from p2pchat.wire.framing import LENGTH, encode_frame

KIND = "conversation"  # of its streams
MAX_LOG = 10_000  # lines that may wait for delivery
GREATEST_WINDOW = 2 * WINDOW  # bytes; a line needs less than a file
MAX_UNREAD = 2 * GREATEST_WINDOW  # bytes handed on and not read, over several links; more waits
RESERVE = 16 * 1024  # bytes of credit that lines leave for HAVE
MAX_JUMP = 2**20  # from one Lamport time to the next
UNKNOWN = "a message of the kind {!r}, which this version can't show"


@attrs.frozen
class Introduced:
    """The other side has told what it has, first thing on a link."""

    is_new: bool  # a log that we didn't know: a first conversation, or the peer was restarted


class Received(NamedTuple):
    """An entry of theirs; where this program doesn't know its kind, ``text`` says so."""

    id: str
    text: str
    sent_at: float  # seconds since 1970
    kind: str  # "" where it is a text


class Delivered(NamedTuple):
    """The other side has a line of ours."""

    id: str
    seconds: float  # since it was said


@attrs.frozen
class Confirmed:
    """The other side has our log up to a number."""

    log: bytes
    number: int


@attrs.frozen
class EntriesWaiting:
    """Entries are to be stored, where none were before."""

    are_ours: bool


StoreEvent = EntriesWaiting | Confirmed
ConversationEvent = Introduced | Received | Delivered | StoreEvent


@attrs.define
class _Line:
    number: int
    frame: bytes
    said_at: float
    sent_at: float | None = None  # on the link of now


class _Unread(NamedTuple):
    log: bytes
    number: int
    size: int  # bytes of its frame
    link: int  # that brought it


@attrs.define(eq=False)
class Conversation:
    """
    The machine of both logs with one peer.

    :ivar author: our raw id.
    :ivar other: theirs.
    :ivar log: names our log; 16 random bytes, made once for this object.
    :ivar is_lasting: whether what is stored outlives the program.
    :ivar wall_of: from the machines' time to seconds since 1970.
    :ivar liveness: measures when lines are answered.
    :ivar events: takes what happens.
    """

    author: bytes
    other: bytes
    log: bytes
    is_lasting: bool = False
    wall_of: Callable[[float], float] = float
    liveness: Liveness = attrs.Factory(Liveness)
    events: deque[Any] = attrs.Factory(deque)
    id: bytes = attrs.field(init=False)
    _lines: deque[_Line] = attrs.Factory(deque)  # of ours that aren't confirmed, oldest first
    _unsent: deque[_Line] = attrs.Factory(deque)  # of those stored, what this link hasn't seen
    _unstored: deque[_Line] = attrs.Factory(deque)  # the end of _lines that isn't stored
    _ours: list[StoredEntry] = attrs.Factory(list)  # to be stored
    _theirs: list[StoredEntry] = attrs.Factory(list)  # likewise
    _last: int | None = None  # our last line that goes out before our DISCONNECT
    _next: int = 1
    _previous: bytes = entries.NOTHING  # hash of our last entry
    _is_answer: bool = False  # our next entry comes after one that none before it came after
    _lamport: int = 0
    _links: int = 0
    _under_way: int = 0  # lines sent on this link and not confirmed
    _is_greeted: bool = False
    _is_introduced: bool = False
    _begins: bool = False  # we haven't told yet what we have of our log
    _owes_have: bool = False
    _their_log: bytes = b""
    _received: int = 0
    _their_previous: bytes | None = None  # hash of the last one, if we had it
    _held: int = 0  # the last one of _received that is stored, or was read: what HAVE says
    _unshown: deque[StoredEntry] = attrs.Factory(deque)  # theirs that aren't stored
    _unread: deque[_Unread] = attrs.Factory(deque)
    _unread_size: int = 0  # bytes
    _taken: int = 0  # bytes of this link that count as taken

    def __attrs_post_init__(self) -> None:
        self.id = entries.conversation_id(self.author, self.other)

    def restore(self, state: ConversationState) -> None:
        """Go on from what was kept; before anything else happens."""
        self.log, self._lamport = state.log or self.log, state.lamport
        for head in state.heads:
            if (head.author, head.log) == (self.author, self.log):
                self._next, self._previous = head.number + 1, head.hash
            elif head.author == self.other:  # the last one is the one that goes on
                self._their_log, self._their_previous = head.log, head.hash
                self._received = self._held = head.number
                self._is_answer = head.number > 0
        for entry in state.undelivered:
            frame = encode_frame(entries.ENTRY + entry.raw)
            said_at = entry.sent_at - self.wall_of(0.0)
            self._lines.append(_Line(entry.number, frame, said_at))

    def state(self) -> ConversationState:
        """Return what to go on from, where nothing waits any more."""
        heads = [LogHead(self.author, self.log, self._next, self._next - 1, self._previous)]
        if self._their_log and self._their_previous is not None:
            theirs = (self._their_log, self._received + 1, self._received, self._their_previous)
            heads.append(LogHead(self.other, *theirs))
        return ConversationState(self.log, self._lamport, tuple(heads))

    @property
    def name(self) -> str:
        """What its streams say they belong to."""
        return encode_bytes(self.id)

    # -- the link comes and goes

    def link_began(self) -> None:
        """Say on a new link what we have, and again what isn't confirmed."""
        self.link_ended()
        self._links += 1
        self._unsent = deque(list(self._lines)[: len(self._lines) - len(self._unstored)])
        self._begins, self._owes_have = True, True

    def greeted(self) -> None:
        """Take what the other side says, now that it has said who it is."""
        self._is_greeted = True

    def leave(self) -> None:
        """Take no line of theirs any more; what ours became of still counts."""
        self._last = self._next - 1

    def link_ended(self) -> None:
        """Forget what was under way; the log stays, and what our reader hasn't taken yet."""
        self._is_greeted, self._is_introduced, self._last = False, False, None
        self._owes_have, self._taken, self._under_way = False, 0, 0
        self._unsent.clear()
        for line in self._lines:
            line.sent_at = None

    # -- what the person says and reads

    def say(self, text: str, wall: float, now: float) -> str:
        """
        Put a line into our log and return its id.

        :param wall: seconds since 1970.
        :raises TextTooLong, TooManyLines: too many lines wait for delivery.
        """
        if len(text) > MAX_TEXT:
            raise TextTooLong(f"a message has at most {MAX_TEXT} characters, not {len(text)}")
        if len(self._lines) >= MAX_LOG:
            raise TooManyLines(f"{MAX_LOG} lines wait for delivery already; wait, or /disconnect")
        self._lamport += 1
        after: tuple[Known, ...] = ()
        if self._is_answer:
            after = (Known(self.other, self._their_log, self._received),)
        body = entries.write_text(text)
        shown = text if text.isascii() else body.decode("utf-8")
        entry = LogEntry(
            self.id,
            self.author,
            self.author,
            self.log,
            self._next,
            self._previous,
            self._lamport,
            int(wall * 1e6),
            entries.TEXT,
            after,
            body,
        ).encode()
        self._previous, self._is_answer = sha256(entry).digest(), False
        number = self._next
        self._next += 1
        line = _Line(number, encode_frame(entries.ENTRY + entry), now)
        self._lines.append(line)
        self._unstored.append(line)
        if not self._ours:
            self.events.append(EntriesWaiting(True))
        kept = (self._lamport, wall, entries.TEXT, shown, entry, wall)
        self._ours.append(StoredEntry(self.author, self.log, number, *kept))
        return message_id(self.log, number)

    def next_unstored(self, are_ours: bool) -> list[StoredEntry]:
        """Return, and forget, the entries that are to be stored together."""
        if are_ours:
            found, self._ours = self._ours, []
        else:
            found, self._theirs = self._theirs, []
        return found

    def stored(self, last: StoredEntry) -> None:
        """All that came with this entry or before it is stored: ours go out, theirs are shown."""
        if last.author == self.author:
            while self._unstored and self._unstored[0].number <= last.number:
                line = self._unstored.popleft()
                if self._last is None or line.number <= self._last:  # else for the next link
                    self._unsent.append(line)
            return
        while self._unshown:
            entry = self._unshown.popleft()
            is_known = entry.kind == entries.TEXT
            text = entry.text if is_known else UNKNOWN.format(entry.kind)
            kind = "" if is_known else entry.kind
            self.events.append(Received(entry.id, text, entry.sent_at, kind))
            if entry is last:
                break
        if self.is_lasting and last.log == self._their_log:
            self._held = last.number

    def read(self, message_id: str) -> None:
        """Somebody has taken a line of theirs, and so all before it; "": some were stored."""
        if self.is_lasting:
            self._owes_have = True
        if not message_id:
            return
        name, _, digits = message_id.rpartition("-")
        log, number, unread = bytes.fromhex(name), int(digits), self._unread
        if any(one.log == log for one in unread):  # the first one, but after a restart of theirs
            while unread and unread[0].log != log:  # of a log that isn't written any more
                self._take(unread.popleft())
            while unread and unread[0].log == log and unread[0].number <= number:
                self._take(unread.popleft())
        is_newer = log == self._their_log and self._held < number <= self._received
        if is_newer and not self.is_lasting:
            self._held, self._owes_have = number, True

    def _take(self, line: _Unread) -> None:
        self._unread_size -= line.size
        if line.link == self._links:
            self._taken += line.size

    @property
    def has_unread(self) -> bool:
        """Whether lines of theirs wait for our reader."""
        return bool(self._unread)

    @property
    def has_unshown(self) -> bool:
        """Whether lines of theirs aren't stored."""
        return bool(self._unshown)

    @property
    def undelivered(self) -> int:
        """How many lines of ours aren't confirmed."""
        return len(self._lines)

    # -- what the other side says: the reader of its stream

    @property
    def most(self) -> int:
        """Bytes of the greatest window of its stream."""
        return GREATEST_WINDOW

    @property
    def may_receive(self) -> bool:
        """Whether frames may be handed on now."""
        return self._is_greeted and self._unread_size < MAX_UNREAD

    def next_taken(self) -> int:
        """Return, and forget, how many bytes of its stream were taken."""
        taken, self._taken = self._taken, 0
        return taken

    def receive(self, body: bytes, now: float) -> None:
        """
        Take a frame.

        :raises RemoteProtocolError: it is malformed, leaves a gap, or confirms what never was.
        """
        kind, size = body[:1], LENGTH + len(body)
        takes = self._last is None  # who leaves takes no line
        if kind == entries.ENTRY and takes and self._receive_entry(body[1:], size, now):
            return  # it is taken when it is read
        self._taken += size
        if kind == entries.HAVE:
            for item in entries.decode_have(body[1:]):
                if item.author == self.other:
                    self._introduce(item)
                elif (item.author, item.log) == (self.author, self.log):
                    self._confirm(item.number, now)

    def _introduce(self, item: Item) -> None:
        """Take what they have of a log of their own; it is the one that goes on from now."""
        is_new, before = item.log != self._their_log, item.oldest - 1
        if is_new:
            self._their_log, self._received, self._held = item.log, max(0, before), max(0, before)
            self._their_previous = None
        elif before > self._received:  # lost: nobody has what is between
            self._received = self._held = before
            self._their_previous = None
        if not self._is_introduced:
            self._is_introduced = True
            self.events.append(Introduced(is_new))

    def _receive_entry(self, data: bytes, size: int, now: float) -> bool:
        """Take an entry; tells whether it is one that our reader is to read."""
        entry = LogEntry.decode(data)
        if entry.conversation != self.id:
            raise RemoteProtocolError("an entry of another conversation")
        if entry.author != self.other:
            return False  # a newer program's: it passes on what somebody else wrote
        number = entry.number
        if entry.log != self._their_log or not self._is_introduced:
            raise RemoteProtocolError("an entry of a log of which nothing was said")
        if number > self._received + 1:
            raise RemoteProtocolError(f"message {number} after {self._received}")
        if number <= self._received:
            self._owes_have = True
            return False
        self._check(entry)
        text = entries.read_text(entry.body) if entry.kind == entries.TEXT else ""
        self._received, self._their_previous = number, sha256(data).digest()
        self._lamport = max(self._lamport, entry.lamport)
        self._is_answer = True
        self._unread.append(_Unread(self._their_log, number, size, self._links))
        self._unread_size += size
        times = (entry.lamport, entry.sent_at / 1e6)
        kept = (*times, entry.kind, text, data, self.wall_of(now))
        self._keep_theirs(StoredEntry(self.other, self._their_log, number, *kept))
        return True

    def _keep_theirs(self, entry: StoredEntry) -> None:
        if not self._theirs:
            self.events.append(EntriesWaiting(False))
        self._theirs.append(entry)
        self._unshown.append(entry)

    def _check(self, entry: LogEntry) -> None:
        """Refuse an entry that doesn't follow what is before it."""
        expected = entries.NOTHING if entry.number == 1 else self._their_previous
        if expected is not None and entry.previous != expected:
            raise RemoteProtocolError(f"message {entry.number} doesn't follow the one before it")
        if self._their_previous is not None and entry.lamport > self._lamport + MAX_JUMP:
            raise RemoteProtocolError(f"message {entry.number} leaps ahead in time")
        for one in entry.after:
            if (one.author, one.log) == (self.author, self.log) and one.number >= self._next:
                raise RemoteProtocolError(f"an answer to message {one.number}, never written")

    def _confirm(self, number: int, now: float) -> None:
        """Take a receipt."""
        if number >= self._next:
            raise RemoteProtocolError(f"receipt for message {number}, which was never written")
        sent_at = []
        if self._lines and self._lines[0].number <= number:
            self.events.append(Confirmed(self.log, number))
        while self._lines and self._lines[0].number <= number:
            line = self._lines.popleft()
            self.events.append(Delivered(message_id(self.log, line.number), now - line.said_at))
            if line.sent_at is not None:
                self._under_way -= 1
                sent_at.append(line.sent_at)
        self.liveness.lines_confirmed(sent_at, not self._under_way, now)

    # -- what goes out: the writer of our stream

    def next_bytes(self, most: int, enough: int, now: float) -> bytes:
        """Return, and forget, what goes out next: at most so much, and no more than is enough."""
        parts, used = [], 0
        if self._owes_have:
            have = self._have()
            if len(have) <= most:
                parts, used = [have], len(have)
                self._owes_have, self._begins = False, False
        unsent, most, before = self._unsent, most - RESERVE, self._under_way
        while unsent and used < enough:
            line = unsent[0]
            if line.number >= self._oldest:  # else it was confirmed since the link began
                if used + len(line.frame) > most:
                    break
                parts.append(line.frame)
                used += len(line.frame)
                line.sent_at = now
                self._under_way += 1
            unsent.popleft()
        if self._under_way > before:
            self.liveness.line_sent(now)
        return b"".join(parts)

    def _have(self) -> bytes:
        items = []
        if self._begins:
            items.append(Item(self.author, self.log, self._oldest, self._next - 1))
        if self._their_log:
            items.append(Item(self.other, self._their_log, self._held + 1, self._held))
        return encode_frame(entries.encode_have(items))

    @property
    def _oldest(self) -> int:
        """The number of our oldest line that isn't confirmed."""
        return self._lines[0].number if self._lines else self._next

    @property
    def has_unsent(self) -> bool:
        """Whether lines wait to go out on this link, stored or not."""
        unstored = self._unstored
        is_awaited = unstored and (self._last is None or unstored[0].number <= self._last)
        return bool(self._unsent or is_awaited)

    def skip_lines(self) -> None:
        """Let DISCONNECT go out before the lines that still wait."""
        self._unsent.clear()
        if self._last is not None:
            self._last = 0
