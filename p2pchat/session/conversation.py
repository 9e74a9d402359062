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
from typing import Any, NamedTuple

import attrs

from p2pchat.errors import RemoteProtocolError, TextTooLong, TooManyLines
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.session.liveness import Liveness
from p2pchat.session.log_copy import LogCopy
from p2pchat.session.own_log import Line, OwnLog
from p2pchat.session.stored import ConversationState, StoredEntry, message_id
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


class _Unread(NamedTuple):
    log: bytes
    number: int
    size: int  # bytes of its frame
    link: int  # that brought it


@attrs.define(eq=False)
class Conversation:
    """
    The machine of both logs with one peer.

    :ivar identity: ours.
    :ivar other: their raw id.
    :ivar log: names our log, if none was kept; 16 random bytes.
    :ivar is_lasting: whether what is stored outlives the program.
    :ivar wall_of: from the machines' time to seconds since 1970.
    :ivar liveness: measures when lines are answered.
    :ivar events: takes what happens.
    :ivar their_key: their public key, from the first link on.
    """

    identity: Identity
    other: bytes
    log: bytes
    is_lasting: bool = False
    wall_of: Callable[[float], float] = float
    liveness: Liveness = attrs.Factory(Liveness)
    events: deque[Any] = attrs.Factory(deque)
    their_key: bytes = b""
    author: bytes = attrs.field(init=False)
    id: bytes = attrs.field(init=False)
    _ours: OwnLog = attrs.field(init=False)
    _theirs: LogCopy | None = None
    _unsent: deque[Line] = attrs.Factory(deque)  # of those stored, what this link hasn't seen
    _last: int | None = None  # our last line that goes out before our DISCONNECT
    _is_answer: bool = False  # our next entry comes after one that none before it came after
    _lamport: int = 0
    _links: int = 0
    _under_way: int = 0  # lines sent on this link and not confirmed
    _is_greeted: bool = False
    _is_introduced: bool = False
    _begins: bool = False  # we haven't told yet what we have of our log
    _owes_have: bool = False
    _proved: list[StoredEntry] = attrs.Factory(list)  # theirs that are to be stored
    _unshown: deque[StoredEntry] = attrs.Factory(deque)  # theirs that aren't stored yet
    _unread: deque[_Unread] = attrs.Factory(deque)
    _unread_size: int = 0  # bytes
    _taken: int = 0  # bytes of this link that count as taken

    def __attrs_post_init__(self) -> None:
        self.author = peer_id_octets(self.identity.peer_id)
        self.id = entries.conversation_id(self.author, self.other)
        self._ours = OwnLog(self.id, self.identity, self.log)

    def restore(self, state: ConversationState) -> None:
        """Go on from what was kept; before anything else happens."""
        self.log, self._lamport = state.log or self.log, state.lamport
        self._ours = OwnLog(self.id, self.identity, self.log)
        for head in state.heads:
            if (head.author, head.log) == (self.author, self.log):
                self._ours.restore(head, state.undelivered, self.wall_of(0.0))
            elif head.author == self.other:  # the last one is the one that goes on
                self._theirs = LogCopy(head.author, head.log, head.number, head.hash, head.number)
                self._is_answer = head.number > 0

    def state(self) -> ConversationState:
        """Return what to go on from, where nothing waits any more."""
        heads = [self._ours.head()]
        if self._theirs is not None and self._theirs.last is not None:
            heads.append(self._theirs.head())
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
        self._unsent = deque(self._ours.sendable())
        self._begins, self._owes_have = True, True

    def greeted(self) -> None:
        """Take what the other side says, now that it has said who it is."""
        self._is_greeted = True

    def leave(self) -> None:
        """Take no line of theirs any more; what ours became of still counts."""
        self._last = self._ours.number

    def link_ended(self) -> None:
        """Forget what was under way; the log stays, and what our reader hasn't taken yet."""
        self._is_greeted, self._is_introduced, self._last = False, False, None
        self._owes_have, self._taken, self._under_way = False, 0, 0
        self._unsent.clear()
        if self._theirs is not None:
            self._theirs.drop_unsigned()
        for line in self._ours.lines:
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
        if len(self._ours.lines) >= MAX_LOG:
            raise TooManyLines(f"{MAX_LOG} lines wait for delivery already; wait, or /disconnect")
        self._lamport += 1
        after: tuple[Known, ...] = ()
        if self._is_answer and self._theirs is not None:
            after = (Known(self.other, self._theirs.name, self._theirs.number),)
        self._is_answer = False
        if not self._ours.has_batch:
            self.events.append(EntriesWaiting(True))
        line = self._ours.write(text, self._lamport, after, wall, now)
        return message_id(self.log, line.number)

    def next_unstored(self, are_ours: bool) -> list[StoredEntry]:
        """Return, and forget, the entries that are to be stored together."""
        if are_ours:
            return self._ours.next_batch()
        found, self._proved = self._proved, []
        return found

    def stored(self, last: StoredEntry) -> None:
        """All that came with this entry or before it is stored: ours go out, theirs are shown."""
        if last.author == self.author:
            for line in self._ours.stored(last.number):
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
        if self.is_lasting and self._theirs is not None and last.log == self._theirs.name:
            self._theirs.held = last.number

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
        theirs = self._theirs
        if self.is_lasting or theirs is None or log != theirs.name:
            return
        if theirs.held < number <= theirs.number:
            theirs.held, self._owes_have = number, True

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
        return len(self._ours.lines)

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
        theirs = self._theirs
        is_new, before = theirs is None or item.log != theirs.name, max(0, item.oldest - 1)
        if theirs is None or is_new:
            theirs = self._theirs = LogCopy(item.author, item.log)
            theirs.skip_to(before)
        elif before >= theirs.next:  # lost: nobody has what is between
            theirs.skip_to(before)
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
        theirs, number = self._theirs, entry.number
        if theirs is None or entry.log != theirs.name or not self._is_introduced:
            raise RemoteProtocolError("an entry of a log of which nothing was said")
        if number > theirs.next:
            raise RemoteProtocolError(f"message {number} after {theirs.next - 1}")
        if number < theirs.next:
            self._owes_have = True
            return False
        self._check(entry, theirs)
        proved = theirs.extend(entry, data, self.their_key, self.wall_of(now))
        self._lamport = max(self._lamport, entry.lamport)
        if proved:
            self._is_answer = True
            self._keep(proved)
        return True

    def _keep(self, proved: list[StoredEntry]) -> None:
        """Let entries of theirs be stored, and then read."""
        if not self._proved:
            self.events.append(EntriesWaiting(False))
        self._proved += proved
        self._unshown += proved
        for one in proved:
            size = LENGTH + len(entries.ENTRY) + len(one.raw)
            self._unread.append(_Unread(one.log, one.number, size, self._links))
            self._unread_size += size

    def _check(self, entry: LogEntry, theirs: LogCopy) -> None:
        """Refuse an entry that doesn't follow what is before it."""
        if not theirs.follows(entry):
            raise RemoteProtocolError(f"message {entry.number} doesn't follow the one before it")
        if theirs.is_followed and entry.lamport > self._lamport + MAX_JUMP:
            raise RemoteProtocolError(f"message {entry.number} leaps ahead in time")
        for one in entry.after:
            is_ours = (one.author, one.log) == (self.author, self.log)
            if is_ours and one.number > self._ours.number:
                raise RemoteProtocolError(f"an answer to message {one.number}, never written")

    def _confirm(self, number: int, now: float) -> None:
        """Take a receipt."""
        if number > self._ours.number:
            raise RemoteProtocolError(f"receipt for message {number}, which was never written")
        confirmed = self._ours.confirmed(number)
        if confirmed:
            self.events.append(Confirmed(self.log, number))
        sent_at = []
        for line in confirmed:
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
        oldest = self._ours.oldest
        while unsent and used < enough:
            line = unsent[0]
            if line.number >= oldest:  # else it was confirmed since the link began
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
            ours = self._ours
            items.append(Item(self.author, self.log, ours.oldest, ours.number))
        if (theirs := self._theirs) is not None:
            items.append(Item(self.other, theirs.name, theirs.held + 1, theirs.held))
        return encode_frame(entries.encode_have(items))

    @property
    def has_unsent(self) -> bool:
        """Whether lines wait to go out on this link, stored or not."""
        last = self._ours.number if self._last is None else self._last
        return bool(self._unsent) or self._ours.waits_for(last)

    def skip_lines(self) -> None:
        """Let DISCONNECT go out before the lines that still wait."""
        self._unsent.clear()
        if self._last is not None:
            self._last = 0
