"""
The store of messages in the database: :class:`p2pchat.interfaces.IMessageStore`.

::

    append, confirmed, replace ─▶ GroupCommit ─▶ one connection
    entries, history, search ───▶ a few others                  never in the writer's way

What one peer sends is bounded (:mod:`p2pchat.peer.storage.quota`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, DeferredLock, fail, inlineCallbacks
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import QuotaReached, StorageFailed
from p2pchat.interfaces import IHistory, IMessageStore
from p2pchat.peer.storage import deletion, entry_table, history
from p2pchat.peer.storage.connections import IConnections, PooledConnections
from p2pchat.peer.storage.database import DatabaseFile
from p2pchat.peer.storage.deletion import DeletionStage
from p2pchat.peer.storage.entry_table import MICROSECONDS, Append, Kept
from p2pchat.peer.storage.export import export
from p2pchat.peer.storage.group_commit import GroupCommit
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.peer.storage.quota import Quota
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry

READERS = 2  # connections; a long search holds up nobody who wants the last page
MAX_READS = 64  # that wait or run; a person asks for one at a time

_T = TypeVar("_T")
_Write = Append | Callable[[sqlite3.Connection], Any]


@implementer(IMessageStore, IHistory)
class SqliteStore:
    """
    The store.

    :param author: our raw id.
    :param writing: one connection.
    :param reading: others, for what only reads.
    """

    is_lasting = True

    def __init__(
        self,
        file: DatabaseFile,
        author: bytes,
        writing: IConnections,
        reading: IConnections,
    ) -> None:
        self._file = file
        self._author = author
        self._writing = writing
        self._reading = reading
        self._writer: GroupCommit[_Write] = GroupCommit(file, writing, _execute)
        self._reads = 0
        self._newest = 0  # id of the last entry before this program began
        self._deleting = DeferredLock()
        self._quota = Quota(author)

    @classmethod
    def in_threads(cls, file: DatabaseFile, author: bytes, reactor: Any) -> SqliteStore:
        """Return a store whose work is done in threads of this reactor."""
        writing = PooledConnections(reactor, file)
        return cls(file, author, writing, PooledConnections(reactor, file, READERS))

    def load(self) -> Deferred[Mapping[str, ConversationState]]:
        """Read what every conversation goes on from."""
        self._writing.start()
        self._reading.start()
        loaded = self.read(
            lambda one: (history.newest_id(one), entry_table.load(one), deletion.is_marked(one))
        )
        return loaded.addCallback(self._loaded)

    def _loaded(self, found: tuple[int, list[Kept], bool]) -> Mapping[str, ConversationState]:
        self._newest, kept, is_marked = found
        self._quota.restore(kept)
        if is_marked:
            self.resume_deletion().addErrback(lambda failure: failure.trap(StorageFailed))
        return {one.peer_id: one.state for one in kept}

    def append(self, peer_id: str, entries: Sequence[StoredEntry]) -> Deferred[None]:
        """Store entries."""
        try:
            self._quota.check(peer_id, entries)
        except QuotaReached as error:
            return fail(error)
        written = self._writer.put(Append(peer_id, self._author, entries))
        return written.addCallback(lambda _: self._quota.stored(peer_id, entries))

    def replace(
        self, peer_id: str, head: LogHead, entries: Sequence[StoredEntry]
    ) -> Deferred[None]:
        """Store entries of ours in the place of those that come after a head of a log of ours."""
        written = Append(peer_id, self._author, entries)
        return self._writer.put(partial(entry_table.replace, head=head, write=written))

    def confirmed(self, peer_id: str, log: bytes, number: int) -> Deferred[None]:
        """Note that the other side has our entries of a log."""
        where = (peer_id, self._author, log, number)
        return self._writer.put(lambda connection: entry_table.confirm(connection, *where))

    def entries(self, peer_id: str, wanted: EntryRange, most_bytes: int) -> Deferred[list[bytes]]:
        """Read entries as they came."""
        return self.read(
            lambda connection: entry_table.raw_entries(connection, peer_id, wanted, most_bytes)
        )

    def last(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Read the last lines of a conversation."""
        return self.read(lambda one: history.last_lines(one, self._author, peer_id, count))

    def earlier(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Read those of them that were stored before this program began."""
        return self.read(
            lambda one: history.last_lines(one, self._author, peer_id, count, self._newest)
        )

    def search(self, words: str) -> Deferred[list[HistoryLine]]:
        """Read the newest lines that have all of these words."""
        return self.read(lambda one: history.find_lines(one, self._author, words))

    def waiting(self, peer_id: str) -> Deferred[list[HistoryLine]]:
        """Read lines of ours that the other side doesn't have yet; of everybody for ""."""
        return self.read(lambda one: history.waiting_lines(one, self._author, peer_id))

    def export(self, peer_ids: Sequence[str], path: str) -> Deferred[int]:
        """Write all that was said with some peers into a new file."""
        return self.read(lambda one: export(one, self._author, peer_ids, path))

    def size(self) -> int:
        """Return the bytes of the database on the disk; 0 where they can't be read."""
        with suppress(OSError):
            return self._file.size()
        return 0

    def wipe(self, peer_id: str) -> Deferred[None]:
        """
        Delete for good what was said with a peer, but lines of ours that it doesn't have yet.

        It is hidden at once; a Deferred fires when it is gone.
        """
        return self._delete(lambda connection: deletion.mark(connection, peer_id))

    def delete_older(self, wall_time: float) -> Deferred[None]:
        """Delete for good what was stored before a time, in seconds since 1970, likewise."""
        limit = int(wall_time * MICROSECONDS)
        return self._delete(lambda connection: deletion.mark_older(connection, limit))

    def resume_deletion(self) -> Deferred[None]:
        """Go on with what an earlier run of the program couldn't finish."""
        return self._delete(lambda _connection: None)

    @inlineCallbacks
    def _delete(self, mark: Callable[[sqlite3.Connection], object]) -> Any:
        yield self._writer.put(mark)
        yield self._deleting.run(self._delete_marked)

    @inlineCallbacks
    def _delete_marked(self) -> Any:
        stage = (
            DeletionStage.DELETE if (yield self.read(deletion.is_marked)) else DeletionStage.DONE
        )
        while stage is not DeletionStage.DONE:
            if stage is DeletionStage.UNMARK and not (yield self._writing.run(_write_back)):
                raise StorageFailed("what was deleted is overwritten at the next start")
            stage = yield self._writer.put(partial(deletion.go_on, stage=stage))

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """Read something; fails with ``StorageFailed`` where the database can't be read."""
        if self._reads >= MAX_READS:
            return fail(StorageFailed("too much is being looked up already: try again later"))
        self._reads += 1
        found = cast("Deferred[_T]", self._reading.run(work))
        return found.addBoth(self._have_read)

    def _have_read(self, result: _T | Failure) -> _T | Failure:
        self._reads -= 1
        if isinstance(result, Failure) and isinstance(result.value, sqlite3.Error):
            raise self._file.explain(result.value) from result.value
        return result

    def close(self) -> Deferred[None]:
        """Write what waits, and let go of the file; where it is cancelled, let go at once."""
        closing: Deferred[Any] = self._writer.close()
        closing.addCallback(lambda _: self._writing.run(_write_back))
        closing.addErrback(lambda failure: failure.trap(sqlite3.Error) and None)
        return closing.addCallbacks(self._let_go, self._leave_behind)

    def _let_go(self, _result: object) -> None:
        self._writing.close()
        if self._reads:
            self._reading.abandon()
        else:
            self._reading.close()

    def _leave_behind(self, failure: Failure) -> Failure:
        self._writing.abandon()
        self._reading.abandon()
        return failure


def _write_back(connection: sqlite3.Connection) -> bool:
    """Write the WAL into the file and cut it; tells whether nobody who reads is in the way."""
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def _execute(connection: sqlite3.Connection, writes: Sequence[_Write]) -> list[Any]:
    """Do some writes; what is appended to one conversation goes together."""
    results: list[Any] = []
    appended: dict[tuple[str, bytes], list[StoredEntry]] = {}
    for write in writes:
        if isinstance(write, Append):
            appended.setdefault((write.peer_id, write.author), []).extend(write.entries)
            results.append(None)
        else:
            _append(connection, appended)
            results.append(write(connection))
    _append(connection, appended)
    return results


def _append(
    connection: sqlite3.Connection, appended: dict[tuple[str, bytes], list[StoredEntry]]
) -> None:
    for (peer_id, author), entries in appended.items():
        entry_table.append(connection, Append(peer_id, author, entries))
    appended.clear()
