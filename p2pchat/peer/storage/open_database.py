"""
The database as a program uses it: one connection that writes, a few that read, in threads.

::

    put  ─▶ GroupCommit ─▶ one connection
    read ─▶ a few others                  never in the writer's way

What was deleted is zeros in its place (``secure_delete``).  Older pages have it until the WAL is
written back and cut; and so may unused bytes of a page have it, where SQLite had moved it: see
:meth:`OpenDatabase.overwrite_soon`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage import entry_table
from p2pchat.peer.storage.connections import IConnections, PooledConnections
from p2pchat.peer.storage.database import DatabaseFile
from p2pchat.peer.storage.entry_table import Append
from p2pchat.peer.storage.group_commit import GroupCommit
from p2pchat.runtime import cancel
from p2pchat.session.stored import StoredEntry

READERS = 2  # connections; a long search holds up nobody who wants the last page
MAX_READS = 64  # that wait or run; a person asks for one at a time
OVERWRITING = 30.0  # seconds after a deletion that the WAL is cut; deletions share it
OVERWRITING_AGAIN = 5.0  # seconds, where a reader was in the way

_log = Logger()

_T = TypeVar("_T")
Write = Append | Callable[[sqlite3.Connection], Any]


class OpenDatabase:
    """
    The database of one program.

    :param writing: one connection.
    :param reading: others, for what only reads; the same where there may be only one.
    """

    def __init__(
        self, file: DatabaseFile, writing: IConnections, reading: IConnections, clock: IReactorTime
    ) -> None:
        self.file = file
        self._writing = writing
        self._reading = reading
        self._clock = clock
        self._writer: GroupCommit[Write] = GroupCommit(file, writing, _execute)
        self._reads = 0
        self._rewrite: Callable[[sqlite3.Connection], object] = _nothing
        self._overwriting: IDelayedCall | None = None

    @classmethod
    def in_threads(cls, file: DatabaseFile, reactor: Any) -> OpenDatabase:
        """Return one whose work is done in threads of this reactor."""
        writing = PooledConnections(reactor, file)
        alone = file.is_exclusive
        reading = writing if alone else PooledConnections(reactor, file, READERS)
        return cls(file, writing, reading, reactor)

    def start(self) -> None:
        """Begin to work; called when the reactor runs."""
        self._writing.start()
        if self._reading is not self._writing:
            self._reading.start()

    def put(self, write: Write, is_alone: bool = False) -> Deferred[Any]:
        """
        Write something, after what was put before; what is put together is committed together.

        :param is_alone: not together with others, as it takes long.

        A Deferred fires with the result when it is committed, or fails with ``StorageFailed``.
        """
        return self._writer.put(write, is_alone)

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """Read something; fails with ``StorageFailed`` where the database can't be read."""
        if self._reads >= MAX_READS:
            return fail(StorageFailed("too much is being looked up already: try again later"))
        self._reads += 1
        found = cast("Deferred[_T]", self._reading.run(work))
        return found.addBoth(self._have_read)

    def _have_read(self, result: _T | Failure) -> _T | Failure:
        self._reads -= 1
        return self._explain(result) if isinstance(result, Failure) else result

    def _explain(self, failure: Failure) -> Failure:
        if isinstance(failure.value, sqlite3.Error):
            raise self.file.explain(failure.value) from failure.value
        return failure

    def rewrite(self, work: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """Do what can't be done in a transaction; fails with ``StorageFailed``."""
        written = cast("Deferred[_T]", self._writing.run(work))
        return written.addErrback(self._explain)

    def write_back(self) -> Deferred[bool]:
        """
        Write the WAL into the file and cut it.

        A Deferred fires with whether nobody who reads was in the way.
        """
        return self._writing.run(_write_back)

    def overwrite_soon(self, rewrite: Callable[[sqlite3.Connection], object]) -> None:
        """
        Let nothing of what was deleted be on the disk in a minute.

        :param rewrite: writes a table anew, done before the WAL is cut; always the same.
        """
        self._rewrite = rewrite
        if self._overwriting is None:
            self._overwriting = self._clock.callLater(OVERWRITING, self._overwrite, rewrite)

    def _overwrite(self, rewrite: Callable[[sqlite3.Connection], object]) -> None:
        def overwritten(is_done: bool) -> None:
            if not is_done and self._overwriting is None:
                again = self._clock.callLater(OVERWRITING_AGAIN, self._overwrite, rewrite)
                self._overwriting = again

        self._overwriting = None  # what is deleted from now on takes another time
        written = self.put(rewrite).addCallback(lambda _: self.write_back())
        written.addErrback(_not_now).addCallback(overwritten)

    def size(self) -> int:
        """Return the bytes of the database on the disk; 0 where they can't be read."""
        with suppress(OSError):
            return self.file.size()
        return 0

    def close(self) -> Deferred[None]:
        """Write what waits, and let go of the file; where it is cancelled, let go at once."""
        if self._overwriting is not None:
            cancel(self._overwriting)
            self.put(self._rewrite).addErrback(_not_now)
        closing: Deferred[Any] = self._writer.close()
        closing.addCallback(lambda _: self.write_back())
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


def _nothing(_connection: sqlite3.Connection) -> None: ...


def _not_now(failure: Failure) -> bool:
    failure.trap(sqlite3.Error, StorageFailed)
    _log.debug("what was deleted is still on the disk: {error}", error=failure.value)
    return False


def _write_back(connection: sqlite3.Connection) -> bool:
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def _execute(connection: sqlite3.Connection, writes: Sequence[Write]) -> list[Any]:
    """Do some writes; what is appended to one conversation goes together."""
    results: list[Any] = []
    appended: dict[tuple[str, bytes], _Appended] = {}
    for write in writes:
        if isinstance(write, Append):
            one = appended.setdefault((write.peer_id, write.author), _Appended([], []))
            one.entries.extend(write.entries)
            results.append(one.repeated)
        else:
            _append(connection, appended)
            results.append(write(connection))
    _append(connection, appended)
    return results


class _Appended(NamedTuple):
    entries: list[StoredEntry]
    repeated: list[StoredEntry]  # the same list for all whose entries go together


def _append(connection: sqlite3.Connection, appended: dict[tuple[str, bytes], _Appended]) -> None:
    for (peer_id, author), one in appended.items():
        one.repeated.extend(entry_table.append(connection, Append(peer_id, author, one.entries)))
    appended.clear()
