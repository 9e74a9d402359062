"""A store of messages that outlives programs, in the test's memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from p2pchat.errors import QuotaReached, StorageFailed
from p2pchat.interfaces import IMessageStore
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry
from p2pchat.wire.entries import Known
from p2pchat.wire.references import CHANGES, DELETE

TOMORROW = 4_000_000_000.0  # seconds since 1970, and far away
COMMIT = 0.002  # seconds; a disk's

_Log = tuple[bytes, bytes]  # author and name


@attrs.define
class Rows:
    """What is kept of one conversation; each log from 1, without gaps, but where some were lost."""

    logs: dict[_Log, dict[int, StoredEntry]] = attrs.Factory(dict)
    confirmed: dict[bytes, int] = attrs.Factory(dict)
    read: dict[_Log, int] = attrs.Factory(dict)
    written: bytes = b""  # the log of ours that was written to last
    ours: bytes = b""

    def append(self, entries: Sequence[StoredEntry]) -> list[StoredEntry]:
        """Keep entries that aren't here; returns those that say again what is."""
        for entry in entries:
            self.logs.setdefault((entry.author, entry.log), {}).setdefault(entry.number, entry)
            if entry.author == self.ours and entry.is_delivered:
                self.confirm(entry.log, entry.number)
            elif entry.author == self.ours:
                self.written = entry.log
        shown = {said_first(entry): entry for entry in self.entries() if entry not in entries}
        return [entry for entry in entries if entry.first and said_first(entry) in shown]

    def replace(self, head: LogHead, entries: Sequence[StoredEntry]) -> None:
        """Forget a log's entries from one on, and keep others."""
        found = self.logs.get((self.ours, head.log), {})
        for number in [number for number in found if number > head.number]:
            del found[number]
        self.append(entries)

    def confirm(self, log: bytes, number: int) -> None:
        """Note what is delivered."""
        self.confirmed[log] = max(number, self.confirmed.get(log, 0))

    def mark(self, marks: Sequence[Known]) -> None:
        """Note how far logs were read."""
        for one in marks:
            name = one.author, one.log
            self.read[name] = max(one.number, self.read.get(name, 0))

    def state(self) -> ConversationState:
        """Return what to go on from."""
        heads = [
            LogHead(*name, min(found), max(found), sha256(found[max(found)].raw).digest())
            for name, found in self.logs.items()
            if found
        ]
        everything = self.entries()
        ours = self.logs.get((self.ours, self.written), {})
        delivered = self.confirmed.get(self.written, 0)
        return ConversationState(
            self.written,
            max((entry.lamport for entry in everything), default=0),
            tuple(heads),
            tuple(ours[number] for number in sorted(ours) if number > delivered),
            tuple(Known(*name, number) for name, number in self.read.items()),
        )

    def entries(self) -> list[StoredEntry]:
        """Return all entries."""
        return [entry for found in self.logs.values() for entry in found.values()]

    def history(self) -> list[tuple[str, str]]:
        """Return the ids and texts of what is shown, in order."""
        return history_of(self.entries())


def said_first(entry: StoredEntry) -> tuple[object, ...]:
    """Return what two entries have in common that say the same."""
    place = entry.first or Known(entry.author, entry.log, entry.number)
    return (*place, entry.sent_at)


def history_of(entries: Sequence[StoredEntry]) -> list[tuple[str, str]]:
    """
    Return the ids and texts of lines in order, as the rules have it that the protocol states.

    Of those that say the same the first is shown; a deleted line has no text.
    """

    def order(one: StoredEntry) -> tuple[object, ...]:
        return one.lamport, one.author, one.log, one.number

    shown: dict[tuple[object, ...], StoredEntry] = {}
    places: dict[Known, tuple[object, ...]] = {}
    for one in sorted(entries, key=order):
        if one.kind not in CHANGES:
            shown.setdefault(said_first(one), one)
            places[Known(one.author, one.log, one.number)] = said_first(one)
    texts: dict[tuple[object, ...], str | None] = {name: one.text for name, one in shown.items()}
    for one in sorted(entries, key=order):
        if one.kind in CHANGES and one.refers in places and one.refers.author == one.author:
            name = places[one.refers]
            deleted = one.kind == DELETE or texts[name] is None
            texts[name] = None if deleted else one.text
    return [(one.id, texts[name] or "") for name, one in shown.items()]


def found_in(rows: Rows, wanted: EntryRange, most_bytes: int) -> list[bytes]:
    """Return the first ones of the entries that are wanted, as they came."""
    log = rows.logs.get((wanted.author, wanted.log), {})
    raws: list[bytes] = []
    for number in range(wanted.first, wanted.last + 1):
        size = sum(map(len, raws))
        if number not in log or (raws and size + len(log[number].raw) > most_bytes):
            break
        raws.append(log[number].raw)
    return raws


@implementer(IMessageStore)
@attrs.define(eq=False)
class LastingStore:
    """
    The store.

    :ivar own: our raw id.
    :ivar is_full: whether nothing can be stored.
    :ivar is_exhausted: whether nothing more of theirs can be.
    :ivar batches: how many entries each append had.
    """

    clock: IReactorTime
    own: bytes
    rows: dict[str, Rows] = attrs.Factory(dict)
    is_full: bool = False
    is_exhausted: bool = False
    batches: list[int] = attrs.Factory(list)
    is_closed: bool = False

    is_lasting = True

    def _commit(self, change: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()

        def commit() -> None:
            if self.is_full:
                done.errback(StorageFailed("the disk is full"))
            else:
                done.callback(change())

        self.clock.callLater(COMMIT, commit)
        return done

    def of(self, peer_id: str) -> Rows:
        """Return what is kept of a conversation."""
        return self.rows.setdefault(peer_id, Rows(ours=self.own))

    def load(self) -> Deferred[Mapping[str, ConversationState]]:
        """Return what every conversation goes on from."""
        return self._commit(
            lambda: {name: rows.state() for name, rows in self.rows.items() if rows.logs}
        )

    def append(
        self, peer_id: str, entries: Sequence[StoredEntry]
    ) -> Deferred[Collection[StoredEntry]]:
        """Store entries."""
        self.batches.append(len(entries))
        if self.is_exhausted and any(one.author != self.own for one in entries):
            return fail(QuotaReached("enough for today", TOMORROW))
        return self._commit(lambda: self.of(peer_id).append(entries))

    def replace(
        self, peer_id: str, head: LogHead, entries: Sequence[StoredEntry]
    ) -> Deferred[None]:
        """Store entries in the place of others."""
        return self._commit(lambda: self.of(peer_id).replace(head, entries))

    def confirmed(self, peer_id: str, log: bytes, number: int) -> Deferred[None]:
        """Note what is delivered."""
        return self._commit(lambda: self.of(peer_id).confirm(log, number))

    def mark_read(self, peer_id: str, marks: Sequence[Known]) -> Deferred[None]:
        """Note how far logs were read."""
        return self._commit(lambda: self.of(peer_id).mark(marks))

    def entries(self, peer_id: str, wanted: EntryRange, most_bytes: int) -> Deferred[list[bytes]]:
        """Return entries as they came."""
        return self._commit(lambda: found_in(self.of(peer_id), wanted, most_bytes))

    def close(self) -> Deferred[None]:
        """Close."""
        return self._commit(lambda: setattr(self, "is_closed", True))
