"""
Mail of a conversation: what it leaves in a mailbox, and takes from there, where there is no link.

An envelope has what a link would carry: what we have of their log, what we have read of it, and
lines of ours one after the other, from where the envelope before ended::

    mail_after ─▶ MailContents ─▶ sealed, left in the other side's mailbox
    frames of an envelope ─▶ take_mail ─▶ EntriesWaiting ─▶ stored ─▶ shown, has_stored

Envelopes may be lost, come late, twice, or in any order: an entry counts once, by author, log and
number, and only as the next one of its log; a HAVE confirms, and never takes back.  So what comes
by mail and what comes on links meet in the same logs, and nothing is shown twice.

What needs both sides is left to a link: entries that one side has lost, and logs that differ.
Refuses what is malformed; what was taken of the envelope before stays, for its author signed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.conversation import MAX_UNREAD, Conversation
from p2pchat.session.log_copy import LogCopy
from p2pchat.wire import entries
from p2pchat.wire.entries import Item, LogEntry
from p2pchat.wire.envelopes import ASK_AGAIN, FOLLOWING, MAX_CONTENTS, encode_contents
from p2pchat.wire.framing import LENGTH

SIGNED = 96  # bytes before the frames: key and signature
MAX_MAIL = MAX_CONTENTS - SIGNED  # bytes of an envelope's frames
HAVES = 512  # bytes that HAVE and READ take at most, with the lengths of their frames
SHORTENED = 104  # bytes that an entry is shorter by, if it follows another


@attrs.frozen
class MailContents:
    """
    Contents of one envelope of ours.

    :ivar frames: encoded.
    :ivar log: of ours.
    :ivar first: number of the first line; one more than ``last`` where there is none.
    """

    frames: bytes = attrs.field(repr=False)
    log: bytes
    first: int
    last: int


@attrs.frozen
class MailTaken:
    """
    Result of taking an envelope.

    :ivar ends: by log, the number up to which lines of theirs are on their way to the store.
    :ivar has_lines: whether there were any, new or not: their author waits for a receipt.
    :ivar gap: the log of which some came after others that aren't here, b"" for none.
    :ivar is_asked: whether their author lacks what we left, and asks for it again.
    """

    ends: dict[bytes, int]
    has_lines: bool = False
    gap: bytes = b""
    is_asked: bool = False


@attrs.define(eq=False)
class MailedConversation(Conversation):
    """The machine of both logs with one peer, over links and by mailbox."""

    # -- what we leave

    @property
    def waiting_lines(self) -> range:
        """The numbers of the lines of ours that are stored, and not confirmed."""
        lines = self._ours.sendable()
        return range(lines[0].number, lines[-1].number + 1) if lines else range(0)

    def mail_after(self, number: int, asks_for: bytes = b"") -> MailContents:
        """
        Return what an envelope is to have: lines after this one, as many as it has room for.

        It ends with a signed line.  Where the next one is too long there is none in it.

        :param asks_for: a log of theirs of which they are to leave again what isn't confirmed.
        """
        log = self._ours
        lines = [line for line in log.sendable() if line.number > number]
        raws: list[bytes] = []
        size, end = HAVES, 0
        for line in lines:
            size += LENGTH + len(FOLLOWING) + len(line.raw) - SHORTENED * bool(raws)
            if size > MAX_MAIL:
                break
            raws.append(line.raw)
            if LogEntry.decode(line.raw).signature:
                end = len(raws)
        del raws[end:]
        first = lines[0].number if lines else log.number + 1
        known = LogEntry.decode(raws[0]).previous if raws else log.known[1]
        before = first - 1 if raws else log.known[0]
        items = [Item(self.author, log.name, log.first, before, known)]
        if self._theirs is not None:
            head = self._theirs.head()
            items.append(Item(head.author, head.log, head.oldest, head.number, head.hash))
        bodies = [entries.encode_have(items), *(entries.ENTRY + raw for raw in raws)]
        if self._theirs is not None and (read := self.marks.body(self._theirs.name)):
            bodies.insert(1, read)
        if asks_for:
            bodies.append(ASK_AGAIN + asks_for)
        return MailContents(encode_contents(bodies), log.name, first, first + len(raws) - 1)

    def mailed(self, contents: MailContents) -> None:
        """These lines have gone out: they can't be taken back any more."""
        if contents.log == self.log:
            for line in self._ours.lines:
                line.went_out = line.went_out or line.number <= contents.last

    # -- what they left

    @property
    def has_room(self) -> bool:
        """Whether more of theirs may be taken: our reader isn't too far behind."""
        return self._unread.size < MAX_UNREAD

    def take_mail(self, bodies: Iterable[bytes], key: bytes, now: float) -> MailTaken:
        """
        Take the frames of an envelope.

        :param key: of its author, who signed all of it for us.
        :raises RemoteProtocolError: something in it is malformed.
        """
        self.their_key = key
        taken = MailTaken({})
        named: set[bytes] = set()
        for body in bodies:
            kind, rest = body[:1], body[1:]
            if kind == entries.HAVE:
                named |= self._take_have(entries.decode_have(rest), now)
            elif kind == entries.ENTRY:
                taken = self._take_entry(rest, named, taken, now)
            elif kind == entries.READ:
                self.marks.receive(rest)
            elif kind == ASK_AGAIN and rest == self.log:
                taken = attrs.evolve(taken, is_asked=True)
        for log in taken.ends:
            self._copies[self.other, log].drop_unsigned()
        return taken

    def _take_have(self, items: Sequence[Item], now: float) -> set[bytes]:
        """Confirm what they have, and return the names of their logs that are told of."""
        named, ours = set(), self._ours
        for item in items:
            name = (item.author, item.log)
            if name == (self.author, self.log):
                known, _ = ours.known
                if known < item.number <= ours.number and ours.is_same(item.number, item.hash):
                    self._confirm(item.number, now)
            elif item.author == self.other:
                copy = self._copies.setdefault(name, LogCopy(*name))
                self._forget_logs()
                if item.oldest > copy.next:  # lost: nobody has what is between
                    copy.skip_to(item.oldest - 1)
                named.add(item.log)
        return named

    def _take_entry(
        self, data: bytes, named: set[bytes], taken: MailTaken, now: float
    ) -> MailTaken:
        entry = LogEntry.decode(data)
        copy = self._copies.get((self.other, entry.log))
        if entry.conversation != self.id or entry.log not in named or copy is None:
            raise RemoteProtocolError("an envelope with an entry of another conversation, or log")
        if entry.author != self.other:
            return taken  # a newer program's: it passes on what somebody else wrote
        taken = attrs.evolve(taken, has_lines=True)
        if not self._is_next(entry, copy):
            return attrs.evolve(taken, gap=entry.log) if entry.number > copy.next else taken
        proved = copy.extend(entry, data, self.their_key, self.wall_of(now))
        is_newest = entry.lamport > self._lamport
        self._lamport = max(self._lamport, entry.lamport)
        if proved:
            if is_newest or self._theirs is None:
                self._theirs = copy
            self._is_answer = self._is_answer or copy is self._theirs
            self._keep(proved, True, is_mail=True)
            taken.ends[entry.log] = entry.number
        return taken

    def has_stored(self, taken: MailTaken) -> bool:
        """Tell whether all that was taken of an envelope is stored."""
        copies = self._copies
        return all(
            copies[self.other, log].held >= number
            for log, number in taken.ends.items()
            if (self.other, log) in copies
        )
