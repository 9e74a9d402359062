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
from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.session.conversation_events import (
    Batch,
    Confirmed,
    Delivered,
    EntriesWaiting,
    EntriesWanted,
    Introduced,
    arrived,
    sent,
)
from p2pchat.session.held_lines import HeldLines
from p2pchat.session.liveness import Liveness
from p2pchat.session.log_copy import LogCopy
from p2pchat.session.moved_lines import MovedLines
from p2pchat.session.own_log import Line, OwnLog
from p2pchat.session.passing_on import LookUp, PassingOn
from p2pchat.session.pause import Pause
from p2pchat.session.read_marks import ReadMarks
from p2pchat.session.stored import (
    About,
    Content,
    ConversationState,
    EntryRange,
    LogHead,
    StoredEntry,
    message_id,
)
from p2pchat.session.streams import WINDOW
from p2pchat.session.unread import UnreadLines
from p2pchat.wire import entries
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.entries import Item, Known, LogEntry
from p2pchat.wire.framing import LENGTH, encode_frame

KIND = "conversation"  # of its streams
GREATEST_WINDOW = 2 * WINDOW  # bytes; a line needs less than a file
MAX_UNREAD = 2 * GREATEST_WINDOW  # bytes handed on and not read, over several links; more waits
RESERVE = 16 * 1024  # bytes of credit that lines leave for HAVE
MAX_NAMED = 64  # logs beside the one that we write, the newest, that a link's first HAVE names
MAX_LOGS = 1024  # of one conversation; of older ones nothing is compared any more
MAX_JUMP = 2**20  # from one Lamport time to the next
_Name = tuple[bytes, bytes]  # of a log: its author's raw id, and its own 16 bytes


@attrs.define(eq=False)
class Conversation:
    """
    The machine of both logs with one peer.

    :ivar identity: ours.
    :ivar other: their raw id.
    :ivar random_bytes: names our logs.
    :ivar is_lasting: whether what is stored outlives the program.
    :ivar wall_of: from the machines' time to seconds since 1970.
    :ivar liveness: measures when lines are answered.
    :ivar events: takes what happens.
    :ivar their_key: their public key, from the first link on.
    """

    identity: Identity
    other: bytes
    random_bytes: Callable[[int], bytes]
    is_lasting: bool = False
    wall_of: Callable[[float], float] = float
    liveness: Liveness = attrs.Factory(Liveness)
    events: deque[Any] = attrs.Factory(deque)
    their_key: bytes = b""
    author: bytes = attrs.field(init=False)
    id: bytes = attrs.field(init=False)
    _ours: OwnLog = attrs.field(init=False)
    _copies: dict[_Name, LogCopy] = attrs.Factory(dict)  # of their logs, and our older ones
    _theirs: LogCopy | None = None  # the one that they write
    _replaces: LogHead | None = None  # what came after it, our next batch says again
    _is_replacing: bool = False  # such a batch isn't stored yet
    _is_behind: bool = False  # of our log they have entries that we don't have
    _may_fork: bool = False  # once on a link
    _passing_on: PassingOn = attrs.Factory(PassingOn)
    _unsent: deque[Line] = attrs.Factory(deque)  # of those stored, what this link hasn't seen
    _last: int | None = None  # our last line that goes out before our DISCONNECT
    _is_answer: bool = False  # our next entry comes after one that none before it came after
    _lamport: int = 0
    _moved: MovedLines = attrs.Factory(MovedLines)
    _under_way: int = 0  # lines sent on this link and not confirmed
    _is_greeted: bool = False
    _is_introduced: bool = False
    _is_compared: bool = False  # they have told on this link what they have of our log
    _owed: dict[_Name, None] = attrs.Factory(dict)  # logs of which a HAVE is to tell
    _untold: dict[_Name, None] = attrs.Factory(dict)  # likewise, once receipts are due
    _proved: list[StoredEntry] = attrs.Factory(list)  # theirs, or given back, to be stored
    _unshown: int = 0  # of theirs, how many aren't stored yet
    _unread: UnreadLines = attrs.Factory(UnreadLines)
    held: HeldLines = attrs.Factory(HeldLines)  # lines that our person hasn't agreed to read
    marks: ReadMarks = attrs.field(init=False)
    pause: Pause = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.author = peer_id_octets(self.identity.peer_id)
        self.id = entries.conversation_id(self.author, self.other)
        self._ours = OwnLog(self.id, self.identity, self.random_bytes(16))
        self.marks = ReadMarks(self.other, self.events, self._confirmed_of)
        self.pause = Pause(self.events)

    def restore(self, state: ConversationState) -> None:
        """Go on from what was kept; before anything else happens."""
        self._lamport = state.lamport
        self.marks.restore(state.marks)
        self._ours = OwnLog(self.id, self.identity, state.log or self._ours.name)
        for head in state.heads:
            if (head.author, head.log) == (self.author, self.log):
                self._ours.restore(head, state.undelivered, self.wall_of(0.0))
            else:
                copy = self._copies[head.author, head.log] = LogCopy.restored(head)
                if head.author == self.other:  # the last one is the one that goes on
                    self._theirs, self._is_answer = copy, head.number > 0

    def state(self) -> ConversationState:
        """Return what to go on from, where nothing waits any more."""
        heads = (*[one.head() for one in self._copies.values()], self._ours.head())
        return ConversationState(self.log, self._lamport, heads, marks=self.marks.state())

    @property
    def log(self) -> bytes:
        """The name of our log."""
        return self._ours.name

    @property
    def name(self) -> str:
        """What its streams say they belong to."""
        return encode_bytes(self.id)

    # -- the link comes and goes

    def link_began(self) -> None:
        """Say on a new link what we have, and again what isn't confirmed."""
        self.link_ended()
        self._unread.link_began()
        self.marks.link_began()
        self.pause.link_began()
        self._unsent = deque(self._ours.sendable())
        self._may_fork = True
        self._owed[self.author, self.log] = None
        self._owed.update(dict.fromkeys(list(self._copies)[-MAX_NAMED:]))

    def greeted(self) -> None:
        """Take what the other side says, now that it has said who it is."""
        self._is_greeted = True

    def leave(self) -> None:
        """Take no line of theirs any more; what ours became of still counts."""
        self._last = self._ours.number

    def link_ended(self) -> None:
        """Forget what was under way; the log stays, and what our reader hasn't taken yet."""
        self._is_greeted, self._is_introduced, self._last = False, False, None
        self._under_way, self._is_compared = 0, False
        self._unread.link_ended()
        self.held.clear()
        self._passing_on, self._is_behind = PassingOn(), False
        self._owed.clear()
        self._untold.clear()
        self._unsent.clear()
        for copy in self._copies.values():
            copy.link_ended()
        for line in self._ours.lines:
            line.sent_at = None

    # -- what the person says and reads

    def say(self, text: str, wall: float, now: float, about: About | None = None) -> str:
        """
        Put a line into our log and return its id.

        :param wall: seconds since 1970.
        :param about: what it answers or changes.
        :raises TextTooLong, TooManyLines: too many lines wait for delivery.
        :raises LocalProtocolError: it would change a line of somebody else's.
        """
        said = Content(entries.TEXT, text)
        if about is not None:
            said = self._moved.content(self.author, text, about)
        self._ours.check_room(text)
        self._lamport += 1
        after: tuple[Known, ...] = ()
        if self._is_answer and self._theirs is not None:
            after = (Known(self.other, self._theirs.name, self._theirs.number),)
        self._is_answer = False
        if not self._ours.has_batch:
            self.events.append(EntriesWaiting(True))
        line = self._ours.write(said, self._lamport, after, wall, now)
        name = message_id(self.log, line.number)
        self._moved.forget(name)
        return name

    def withdraw(self, id: str) -> list[str]:
        """
        Take back a line of ours, while there is no link, and what changes it.

        Returns the ids of these changes.

        :raises LocalProtocolError: there is none, or it may have gone out.
        """
        ours = self._ours
        found = [line for line in ours.lines if id in {line.first_id, line.id_in(self.log)}]
        if not found:
            raise LocalProtocolError("no such line waits")
        if found[0].went_out:
            raise LocalProtocolError("that line may have gone out already, in an earlier attempt")
        if ours.has_batch or ours.waits_for(ours.number) or self._replaces or self._is_replacing:
            raise LocalProtocolError("lines are being stored: try again")
        place = Known(self.author, self.log, found[0].number)
        after = ours.withdraw(found[0])
        self._replaces = ours.head()
        gone = self._moved.say_again(ours, after, {place: None}, self._lamport + 1)
        self._lamport += len(after)
        self.events.append(EntriesWaiting(True))
        return gone

    def next_unstored(self, are_ours: bool) -> Batch:
        """Return, and forget, the entries that are to be stored together."""
        if are_ours:
            replaces, self._replaces = self._replaces, None
            self._is_replacing = self._is_replacing or replaces is not None
            return Batch(self._ours.next_batch(), replaces)
        if self._replaces is not None or self._is_replacing:
            return Batch([])  # what they give back has the place of what is said again
        found, self._proved = self._proved, []
        return Batch(found)

    def stored(self, batch: Batch, repeated: Collection[StoredEntry] = ()) -> None:
        """A batch is stored, and all before it: ours goes out, theirs is shown, but repeated."""
        if batch.replaces is not None:
            self._is_replacing = False
            if self._proved:
                self.events.append(EntriesWaiting(False))
        if not batch.entries:
            return
        last = batch.entries[-1]
        if last.author == self.author and not last.is_delivered:
            if last.log != self.log:
                return  # it is said again in another log
            self._ours_stored(batch.entries)
            return
        self.pause.over()
        for entry in batch.entries:
            copy = self._copies.get((entry.author, entry.log))
            if copy is not None and self.is_lasting:
                copy.hold(entry.number, entry.raw)
                self._untold[entry.author, entry.log] = None
                self._answer(copy)
            if entry.author == self.author:
                self._unread.stored_ours()
            else:
                self._unshown -= 1
                if repeated and entry in repeated:
                    self._unread.hide(entry.log, entry.number)
                else:
                    self.events.append(arrived(entry))

    def _ours_stored(self, batch: Sequence[StoredEntry]) -> None:
        """Tell of lines of ours that they are stored, and let them go out."""
        for line, entry in zip(self._ours.stored(batch[-1].number), batch, strict=True):
            if not line.is_announced:
                line.is_announced = True
                self.events.append(sent(entry, line.first_id))
            if self._last is None or line.number <= self._last:  # else for the next link
                self._unsent.append(line)

    def read(self, message_id: str) -> None:
        """Somebody has taken a line of theirs, and so all before it; "": some were stored."""
        self._owed.update(self._untold)
        self._untold.clear()
        if not message_id:
            return
        name, _, digits = message_id.rpartition("-")
        log = bytes.fromhex(name)
        last = self._unread.read(log, int(digits))
        theirs = self._theirs
        if self.is_lasting or last is None or theirs is None or log != theirs.name:
            return
        theirs.hold(last.number, last.raw)
        self._owed[theirs.author, log] = None

    def _confirmed_of(self, mark: Known) -> int:
        """Return how much of a log of ours they are known to have."""
        if (mark.author, mark.log) == (self.author, self.log):
            return self._ours.oldest - 1
        copy = self._copies.get((mark.author, mark.log))
        return copy.number if copy is not None and mark.author == self.author else 0

    @property
    def has_unread(self) -> bool:
        """Whether lines of theirs wait for our reader."""
        return bool(self._unread)

    @property
    def has_unshown(self) -> bool:
        """Whether lines of theirs aren't stored."""
        return self._unshown > 0

    @property
    def has_signed_batch(self) -> bool:
        """Whether so many lines of ours are to be stored that a signature is among them."""
        return self._ours.has_signed_batch

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
        return self._is_greeted and self._unread.size < MAX_UNREAD

    def next_taken(self) -> int:
        """Return, and forget, how many bytes of its stream were taken."""
        return self._unread.next_taken()

    def receive(self, body: bytes, now: float) -> None:
        """
        Take a frame.

        :raises RemoteProtocolError: it is malformed, leaves a gap, or confirms what never was.
        """
        kind, size = body[:1], LENGTH + len(body)
        takes = kind == entries.ENTRY and self._last is None  # who leaves takes no line
        if takes and (self.held.hold(body) or self._receive_entry(body[1:], now)):
            return  # it is taken when it is read
        self._unread.take_frame(size)
        if kind == entries.HAVE:
            self._receive_have(entries.decode_have(body[1:]), now)
        elif kind == entries.READ:
            self.marks.receive(body[1:])
        elif kind == entries.PAUSE:
            self.pause.receive(body[1:], self.wall_of(now))

    def _receive_have(self, items: Sequence[Item], now: float) -> None:
        """Compare what they have with what we have."""
        is_first = True  # of their logs: the one that they write now
        for item in items:
            if (item.author, item.log) == (self.author, self.log):
                self._compare_ours(item, now)
            elif item.author == self.other:
                self._introduce(item, is_first)
                is_first = False
            elif item.author == self.author:
                self._compare(item, self._copies.get((item.author, item.log)))

    # -- what they have of our log

    def _compare_ours(self, item: Item, now: float) -> None:
        """Take a receipt, or notice that one side has lost something."""
        ours, number = self._ours, item.number
        if number > ours.number or not ours.is_same(number, item.hash):
            if not self.is_lasting:
                raise RemoteProtocolError(f"receipt for message {number}, which was never written")
            self._is_behind = self._may_fork  # then nothing goes out before what they have came
            if self._may_fork and item.oldest > ours.oldest:
                self._fork(now)  # nothing comes that tells which lines they have
                self._compare(item, self._copies[item.author, item.log])
            return
        known, _ = ours.known
        if number < known and not self._is_compared and self.is_lasting:
            wanted = EntryRange(self.author, self.log, max(number + 1, ours.first), known)
            self._pass_on(wanted, item)
            self._unsent = deque(ours.sendable())  # they come once more, after it
        self._is_compared = True
        self._confirm(number, now)

    def _confirm(self, number: int, now: float) -> None:
        confirmed = self._ours.confirmed(number)
        if confirmed:
            self.events.append(Confirmed(self.log, number))
        sent_at = []
        for line in confirmed:
            name = line.first_id or message_id(self.log, line.number)
            self.events.append(Delivered(name, now - line.said_at))
            if line.sent_at is not None:
                self._under_way -= 1
                sent_at.append(line.sent_at)
        self.liveness.lines_confirmed(sent_at, not self._under_way, now)

    def _fork(self, now: float) -> None:
        """
        Begin a new log, and say there again what isn't confirmed.

        They have other entries than we in ours: this program has forgotten that it wrote them.
        """
        before = self._ours
        number, last = before.known
        head = LogHead(self.author, before.name, before.first, number, last)
        self._copies[self.author, before.name] = LogCopy.restored(head)
        lines = before.abandon()
        self._ours = OwnLog(self.id, self.identity, self.random_bytes(16))
        self._moved.say_again(self._ours, lines, {}, self._lamport + 1)
        self._lamport += len(lines)
        if lines:
            if self._replaces is None or self._replaces.log == before.name:
                self._replaces = head
            self.events.append(EntriesWaiting(True))
        self._passing_on.drop(before.name)
        self._may_fork, self._is_behind, self._is_compared = False, False, False
        self._under_way, self._last = 0, None if self._last is None else 0
        self._unsent.clear()
        self._owed[self.author, self.log] = None
        self.liveness.lines_confirmed((), True, now)

    # -- what they have of other logs

    def _introduce(self, item: Item, is_current: bool) -> None:
        """Take what they have of a log of their own."""
        name = (item.author, item.log)
        copy = self._copies.get(name)
        is_new, begins = copy is None, is_current and not self._is_introduced
        if copy is None and is_current and not self.is_lasting:
            self._copies.clear()  # nothing of the one before comes any more
            copy = self._copies[name] = LogCopy(*name)
        copy = self._compare(item, copy)
        if copy is not None and is_current and (is_new or begins):
            self._theirs = copy
        if begins:
            self._is_introduced = True
            self.events.append(Introduced(is_new))

    def _compare(self, item: Item, copy: LogCopy | None) -> LogCopy | None:
        """Compare what they have of a log that we don't write with what we have."""
        name = (item.author, item.log)
        if copy is None:
            if not self.is_lasting:
                return None
            copy = self._copies[name] = LogCopy(*name)
            self._forget_logs()
        copy.compare(item, self.is_lasting)
        self._answer(copy)
        return copy

    def _answer(self, copy: LogCopy) -> None:
        """Ask for what we lack of a log, or pass on what they lack of it, and say that first."""
        if (item := copy.next_answered()) is not None:
            self._owed[copy.author, copy.name] = None
            self._pass_on(copy.after(item.number), item)

    def _forget_logs(self) -> None:
        """Forget the log that was begun first, where there are too many."""
        if len(self._copies) > MAX_LOGS:
            del self._copies[next(iter(self._copies))]

    def _pass_on(self, wanted: EntryRange, item: Item) -> None:
        """Pass on what they lack of a log, so far as we have it."""
        if wanted.first <= wanted.last:
            is_next = wanted.first == item.number + 1
            self._passing_on.begin(wanted, item.hash if is_next else entries.NOTHING)
            self._ask_store()

    def _ask_store(self) -> None:
        wanted = self._passing_on.next_wanted()
        if wanted is not None:
            self.events.append(EntriesWanted(wanted))

    def found(self, wanted: EntryRange, raws: Sequence[bytes] | None, now: float) -> None:
        """
        Take what the store has of the entries that were wanted.

        :param raws: ``None`` where it can't be read now.
        """
        result, name = self._passing_on.take(wanted, raws), (wanted.author, wanted.log)
        copy, is_ours = self._copies.get(name), name == (self.author, self.log)
        if result is LookUp.GONE and (is_ours or copy is not None):
            if copy is None:
                self._ours.first = self._ours.known[0] + 1
            else:
                copy.first = copy.held + 1
            self._owed[name] = None
        elif result is LookUp.FORKED and is_ours and self._may_fork:
            self._fork(now)
        self._ask_store()

    # -- what they say, and what they give us back

    def _receive_entry(self, data: bytes, now: float) -> bool:
        """Take an entry; tells whether its bytes count as taken later."""
        entry = LogEntry.decode(data)
        if entry.conversation != self.id:
            raise RemoteProtocolError("an entry of another conversation")
        if entry.author not in {self.other, self.author}:
            return False  # a newer program's: it passes on what somebody else wrote
        name = (entry.author, entry.log)
        if name == (self.author, self.log):
            self._receive_ours(entry, data, now)
        copy = self._copies.get(name)
        if copy is None or copy.named is None:
            if name == (self.author, self.log):
                return False
            raise RemoteProtocolError("an entry of a log of which nothing was said")
        if not self._is_next(entry, copy):
            self._owed[name] = None
            return False
        is_theirs = entry.author == self.other
        key = self.their_key if is_theirs else self.identity.public_key
        proved = copy.extend(entry, data, key, self.wall_of(now))
        self._lamport = max(self._lamport, entry.lamport)
        if proved:
            self._is_answer = self._is_answer or copy is self._theirs
            self._keep(proved, is_theirs)
        return True

    def _receive_ours(self, entry: LogEntry, data: bytes, now: float) -> None:
        """Compare an entry of our log that they give back with ours of this number."""
        number, ours = entry.number, self._ours
        if not self._is_behind or number != ours.oldest:
            return
        if number <= ours.number and ours.lines[0].raw == data:
            self._confirm(number, now)
        else:
            self._fork(now)
            copy = self._copies[self.author, entry.log]
            copy.named, copy.is_compared = number, True

    def _is_next(self, entry: LogEntry, copy: LogCopy) -> bool:
        """Tell whether an entry follows the last one of its log, as far as it is here."""
        number, expected = entry.number, copy.next
        if number > expected and not (self.is_lasting or copy.is_astray):
            if expected > 1 or number > (copy.named or 0) + 1:
                raise RemoteProtocolError(f"message {number} after {expected - 1}")
            copy.skip_to(number - 1)  # what is before it was said to a program of before
        elif number != expected:
            return False
        if not copy.follows(entry):
            copy.is_astray = True  # its author has lost something, and will find out
            return False
        if copy.is_followed and entry.lamport > self._lamport + MAX_JUMP:
            raise RemoteProtocolError(f"message {number} leaps ahead in time")
        for one in entry.after:
            is_ours = (one.author, one.log) == (self.author, self.log)
            if is_ours and one.number > self._ours.number and not self.is_lasting:
                raise RemoteProtocolError(f"an answer to message {one.number}, never written")
        return True

    def _keep(self, proved: list[StoredEntry], are_theirs: bool, is_mail: bool = False) -> None:
        """Let entries be stored, and theirs be read then."""
        if not self._proved:
            self.events.append(EntriesWaiting(False))
        if are_theirs:
            self._unshown += len(proved)
        else:
            proved = [one._replace(is_delivered=True) for one in proved]
        self._proved += proved
        for one in proved:
            self._unread.add(one, are_theirs, is_mail)

    # -- what goes out: the writer of our stream

    def next_bytes(self, most: int, enough: int, now: float) -> bytes:
        """Return, and forget, what goes out next: at most so much, and no more than is enough."""
        parts, used = [], 0
        if self._owed:
            have = self._have()
            if len(have) <= most:
                parts, used = [have] if have else [], len(have)
                self._owed.clear()
        parts += self.marks.next_frame(most - used), self.pause.next_frame(RESERVE)
        used += len(parts[-1]) + len(parts[-2])
        most -= RESERVE
        while used < enough and (frame := self._passing_on.next_frame(most - used)):
            parts.append(frame)
            used += len(frame)
        self._ask_store()
        is_held = self._is_behind or self._passing_on.holds_back(self.log)
        if self._unsent and not is_held:
            self._write_lines(parts, most - used, enough - used, now)
        return b"".join(parts)

    def _write_lines(self, parts: list[bytes], most: int, enough: int, now: float) -> None:
        unsent, before, used, oldest = self._unsent, self._under_way, 0, self._ours.oldest
        while unsent and used < enough:
            line = unsent[0]
            if line.number >= oldest:  # else it was confirmed since the link began
                if used + len(line.frame) > most:
                    break
                parts.append(line.frame)
                used += len(line.frame)
                self._under_way += line.sent_at is None
                line.sent_at, line.went_out = now, True
            unsent.popleft()
        if self._under_way > before:
            self.liveness.line_sent(now)

    def _have(self) -> bytes:
        ours = (self.author, self.log)
        items = [self._ours.item(self.is_lasting)] if ours in self._owed else []
        copies = [self._copies.get(name) for name in self._owed if name != ours]
        found = [copy.item(self.is_lasting) for copy in copies if copy is not None]
        items += [item for item in found if item is not None]
        return encode_frame(entries.encode_have(items)) if items else b""

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
