"""
The store of messages in the database: :class:`p2pchat.interfaces.IMessageStore`.

What one peer sends is bounded (:mod:`p2pchat.peer.storage.quota`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, fail, inlineCallbacks
from zope.interface import implementer

from p2pchat.errors import QuotaReached, StorageFailed
from p2pchat.interfaces import IHistory, IMessageStore
from p2pchat.peer.storage import deletion, entry_table, history
from p2pchat.peer.storage.deletion import DeletionStage
from p2pchat.peer.storage.entry_table import MICROSECONDS, Append, Kept
from p2pchat.peer.storage.export import export
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.peer.storage.quota import Quota
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry
from p2pchat.wire.entries import Known

_T = TypeVar("_T")


@implementer(IMessageStore, IHistory)
class SqliteStore:
    """
    The store.

    :param author: our raw id.
    """

    is_lasting = True

    def __init__(self, database: OpenDatabase, author: bytes) -> None:
        self._database = database
        self._author = author
        self._newest = 0  # id of the last entry before this program began
        self._deleting = DeferredLock()
        self._quota = Quota(author)

    def load(self) -> Deferred[Mapping[str, ConversationState]]:
        """Read what every conversation goes on from."""
        self._database.start()
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

    def append(
        self, peer_id: str, entries: Sequence[StoredEntry]
    ) -> Deferred[Collection[StoredEntry]]:
        """Store entries; a Deferred fires with those that were said before in another place."""
        try:
            self._quota.check(peer_id, entries)
        except QuotaReached as error:
            return fail(error)
        written = self._database.put(Append(peer_id, self._author, entries))
        return written.addCallback(self._appended, peer_id, entries)

    def _appended(
        self,
        repeated: Collection[StoredEntry],
        peer_id: str,
        entries: Sequence[StoredEntry],
    ) -> Collection[StoredEntry]:
        self._quota.stored(peer_id, entries)
        return repeated

    def replace(
        self, peer_id: str, head: LogHead, entries: Sequence[StoredEntry]
    ) -> Deferred[None]:
        """Store entries of ours in the place of those that come after a head of a log of ours."""
        written = Append(peer_id, self._author, entries)
        return self._database.put(partial(entry_table.replace, head=head, write=written))

    def confirmed(self, peer_id: str, log: bytes, number: int) -> Deferred[None]:
        """Note that the other side has our entries of a log."""
        where = (peer_id, self._author, log, number)
        return self._database.put(lambda connection: entry_table.confirm(connection, *where))

    def mark_read(self, peer_id: str, marks: Sequence[Known]) -> Deferred[None]:
        """Note how far logs were read."""
        return self._database.put(lambda one: entry_table.mark_read(one, peer_id, marks))

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

    def before(self, id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Read the last lines before the line of an id."""
        return self.read(lambda one: history.lines_before(one, self._author, id, count))

    def line(self, id: str) -> Deferred[HistoryLine | None]:
        """Read a line by its id."""
        return self.read(lambda one: history.line(one, self._author, id))

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
        return self._database.size()

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
        yield self._database.put(mark)
        yield self._deleting.run(self._delete_marked)

    @inlineCallbacks
    def _delete_marked(self) -> Any:
        stage = (
            DeletionStage.DELETE if (yield self.read(deletion.is_marked)) else DeletionStage.DONE
        )
        while stage is not DeletionStage.DONE:
            if stage is DeletionStage.UNMARK:
                yield self._database.rewrite(deletion.rewrite)
                if not (yield self._database.write_back()):
                    raise StorageFailed("what was deleted is overwritten at the next start")
            piece = partial(deletion.go_on, stage=stage)
            stage = yield self._database.put(piece, is_alone=True)

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """Read something; fails with ``StorageFailed`` where the database can't be read."""
        return self._database.read(work)

    def close(self) -> Deferred[None]:
        """Write what waits, and let go of the file; where it is cancelled, let go at once."""
        return self._database.close()
