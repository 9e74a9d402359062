"""
A log that somebody else writes, as far as it came to us.

::

    entry ─▶ the next one? follows by its hash? ─▶ waits for a signature ─▶ proved, with all before

Owns what is taken of a log: an entry counts when a valid signature of its author covers it.  What
waits for one is bounded by MAX_UNSIGNED, and forgotten when the link ends: its author sends it
again.  Refuses an entry that doesn't follow the one before it.
"""

from __future__ import annotations

from hashlib import sha256

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.entry_signatures import check_entry
from p2pchat.session.stored import EntryRange, LogHead, StoredEntry
from p2pchat.wire import entries
from p2pchat.wire.entries import Item, LogEntry
from p2pchat.wire.references import read_body

# Bytes of a batch.  With the longest frame and what is reserved for HAVE it is less than half of a
# stream's window: so CREDIT comes before a batch gets stuck.
MAX_UNSIGNED = 224 * 1024


@attrs.define(eq=False)
class LogCopy:
    """
    One log.

    :ivar number: of the last entry that is proved.
    :ivar last: its hash, ``None`` where we never had it.
    :ivar first: the number of the oldest entry that we can pass on.
    :ivar held: the last one that is stored, or was read: what HAVE says.
    :ivar named: how much the other side said on the link of now that it has, ``None`` before.
    :ivar is_compared: whether that was compared with what we have.
    :ivar unanswered: that, until it is compared.
    :ivar is_astray: whether something came there that doesn't follow what we have.
    """

    author: bytes
    name: bytes
    number: int = 0
    last: bytes | None = entries.NOTHING
    first: int = 1
    held: int = 0
    named: int | None = None
    is_compared: bool = False
    unanswered: Item | None = None
    is_astray: bool = False
    _held_raw: bytes = b""  # that entry as it came, or ...
    _held_hash: bytes = entries.NOTHING  # ... its hash, where it isn't here; zeros where unknown
    _unsigned: list[StoredEntry] = attrs.Factory(list)
    _size: int = 0  # bytes of them
    _tip: bytes | None = None  # hash of the last one of them

    @property
    def next(self) -> int:
        """The number of the entry that comes next."""
        return self.number + len(self._unsigned) + 1

    @property
    def is_followed(self) -> bool:
        """Whether an entry before the next one is here."""
        return bool(self._unsigned or (self.number and self.last))

    @classmethod
    def restored(cls, head: LogHead) -> LogCopy:
        """Return a log that was kept."""
        last = head.hash if head.hash != entries.NOTHING or not head.number else None
        made = cls(head.author, head.log, head.number, last, head.oldest, head.number)
        made._held_hash = head.hash
        return made

    def hold(self, number: int, raw: bytes) -> None:
        """Note that all up to an entry is stored, or was read."""
        if number > self.held:
            self.held, self._held_raw = number, raw

    def head(self) -> LogHead:
        """Return how much is held."""
        if self._held_raw:
            self._held_hash, self._held_raw = sha256(self._held_raw).digest(), b""
        return LogHead(self.author, self.name, self.first, self.held, self._held_hash)

    def item(self, is_lasting: bool) -> Item | None:
        """Return what HAVE says of it; who keeps nothing asks for nothing of before."""
        head = self.head()
        if not (head.number or is_lasting):
            return None
        oldest = head.oldest if is_lasting else head.number + 1
        return Item(self.author, self.name, oldest, head.number, head.hash)

    def link_ended(self) -> None:
        """Forget what was said on a link, and what no signature covers."""
        self.named, self.is_compared, self.is_astray = None, False, False
        self.unanswered = None
        self.drop_unsigned()

    def compare(self, item: Item, is_lasting: bool) -> None:
        """Take what they say that they have of it; the first time on a link that is answered."""
        if item.oldest > self.next:  # lost: nobody has what is between
            self.skip_to(item.oldest - 1)
        self.named = item.number
        if is_lasting and not self.is_compared:
            self.unanswered = item
        self.is_compared = True

    def next_answered(self) -> Item | None:
        """
        Return, and forget, what they have, where that isn't what we have.

        While what they lack is still being stored, since an earlier link, it can't be passed on.
        """
        item = self.unanswered
        if item is None or item.number < self.number > self.held:
            return None
        self.unanswered = None
        return item if item.number != self.held else None

    def after(self, number: int) -> EntryRange:
        """Return what we hold after an entry."""
        return EntryRange(self.author, self.name, max(number + 1, self.first), self.held)

    def skip_to(self, number: int) -> None:
        """Go on after an entry that nobody can give us."""
        self.drop_unsigned()
        self.number, self.last, self.held = number, None if number else entries.NOTHING, number
        self.first, self._held_raw, self._held_hash = number + 1, b"", entries.NOTHING

    def drop_unsigned(self) -> None:
        """Forget what no signature covers."""
        self._unsigned, self._size = [], 0

    def follows(self, entry: LogEntry) -> bool:
        """Tell whether the next entry comes after the one that is here, as far as is known."""
        expected = self._tip if self._unsigned else self.last
        return expected is None or entry.previous == expected

    def extend(
        self, entry: LogEntry, raw: bytes, public_key: bytes, arrived_at: float
    ) -> list[StoredEntry]:
        """
        Take the next entry; returns those that are proved by it, itself the last.

        :param raw: the entry as it came.
        :param public_key: of the author.
        :raises RemoteProtocolError: its signature isn't the author's, or too much has none.
        """
        text, refers = read_body(entry.kind, entry.body)
        if entry.signature:
            check_entry(public_key, entry, raw)
        self._tip, self._size = sha256(raw).digest(), self._size + len(raw)
        place = (self.author, self.name, entry.number, entry.lamport)
        content = (entry.sent_at / 1e6, entry.kind, text, raw, arrived_at, False)
        others = (refers, entry.said_first if entry.after else None)
        self._unsigned.append(StoredEntry._make(place + content + others))
        if entry.signature:
            proved, self._unsigned, self._size = self._unsigned, [], 0
            self.number, self.last = entry.number, self._tip
            return proved
        if self._size > MAX_UNSIGNED:
            raise RemoteProtocolError(f"no signature in {self._size} bytes of messages")
        return []
