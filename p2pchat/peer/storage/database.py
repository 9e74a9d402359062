"""
The database: one SQLite file, ours alone, checked before anything is read from it.

::

    DIR/p2pchat.sqlite3        mode 0600; what was said, in clear
    DIR/p2pchat.sqlite3-wal    what the last transactions wrote; part of the database
    DIR/p2pchat.sqlite3-shm    the index of that

It is in WAL mode: readers never wait for the writer, nor it for them, and a killed program leaves
what was committed.  A crash of the machine leaves that too with FULL; with NORMAL what was
committed in the last seconds may be lost, though what is left is whole.

Refuses a file that isn't a database, that another program made, that a newer p2pchat made, or that
is damaged: each with a sentence that names the file and what to do.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import TypeVar

import attrs

from p2pchat.errors import ConfigurationError, StorageFailed
from p2pchat.peer.files import check_private, sync_directory
from p2pchat.peer.storage.schema import SINCE_PROFILES, VERSION, migrate

DATABASE_FILE = "p2pchat.sqlite3"
APPLICATION_ID = 0x70327063  # "p2pc"
BUSY_TIMEOUT = 5.0  # seconds that another program, such as a backup, may lock the file
MAX_WAL = 4 * 1024 * 1024  # bytes; a WAL that grew beyond is cut when it was written back

_PRIMARY = 0xFF  # of a result code of SQLite; the rest says more exactly
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WITHOUT_ROOM = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_PASSING = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)

_T = TypeVar("_T")


class Synchronous(Enum):
    """Waiting of a commit for the disk: always, only now and then, or (in tests) never."""

    FULL = "full"
    NORMAL = "normal"
    OFF = "off"


@attrs.frozen
class DatabaseFile:
    """
    The file of the database, and how it is opened.

    :ivar is_exclusive: by one connection alone, which needs no file beside it for an index of the
        WAL: where the disk is full, so that there is no room for that.
    """

    path: Path
    synchronous: Synchronous = Synchronous.FULL
    is_exclusive: bool = False

    def prepare(self) -> DatabaseFile:
        """
        Make the file where there is none, check it, and bring its tables to our version.

        Returns how it is opened from then on.

        :raises ConfigurationError: it can't be used; says why and what helps.
        """
        with self.explained():
            try:
                self._prepare()
            except sqlite3.Error as error:
                if self.is_exclusive or not self._lacks_room(error):
                    raise
            else:
                return self
        return attrs.evolve(self, is_exclusive=True).prepare()

    def _prepare(self) -> None:
        self._make()
        self._check()
        with closing(self._open()) as connection:
            version = self._version(connection)
            self.tune(connection)  # only now that it is known to be ours
            if version < VERSION:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(connection, version)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """
        Use a connection to the prepared file, outside of the threads.

        :raises ConfigurationError: what was wanted of it fails.
        """
        with self.explained(), closing(self.connect()) as connection:
            yield connection

    def look(self, work: Callable[[sqlite3.Connection], _T], nothing: _T) -> _T:
        """
        Read from a file as it is, whichever program uses it; ``nothing`` if it isn't there.

        :param work: gets the connection if there are contacts and settings in it; a database of
            before had neither, and there is nothing.
        :raises ConfigurationError: it can't be used; says why and what helps.
        """
        if not self.path.exists():
            return nothing
        with self.explained():
            self._check()
            try:
                return self._look(work, nothing, "?mode=ro")
            except sqlite3.Error as error:
                if not self._lacks_room(error):
                    raise
            return attrs.evolve(self, is_exclusive=True)._look(work, nothing, "")

    def _look(self, work: Callable[[sqlite3.Connection], _T], nothing: _T, options: str) -> _T:
        with closing(self._open(options)) as connection:
            return work(connection) if self._version(connection) >= SINCE_PROFILES else nothing

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of SQLite and of the system into the sentence that the user reads."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.path
            raise ConfigurationError(f"{where}: {error.strerror or error}") from error
        except sqlite3.Error as error:
            raise ConfigurationError(str(self.explain(error))) from error

    def _check(self) -> None:
        for path in self._paths():
            check_private(path, path.stat(), secret=True)

    def _make(self) -> None:
        """Make an empty file of mode 0600; SQLite would leave the mode to the umask."""
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        os.fchmod(handle, 0o600)
        os.close(handle)
        sync_directory(self.path.parent)

    def _paths(self) -> list[Path]:
        beside = [self.path.with_name(self.path.name + end) for end in ("-wal", "-shm")]
        return [self.path, *(path for path in beside if path.exists())]

    def connect(self) -> sqlite3.Connection:
        """Open a connection, to be used by one thread at a time."""
        connection = self._open()
        self.tune(connection)
        return connection

    def _open(self, options: str = "") -> sqlite3.Connection:
        where = self.path.absolute().as_uri() + options
        connection = sqlite3.connect(
            where, BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, uri=True
        )
        if self.is_exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        return connection

    def tune(self, connection: sqlite3.Connection) -> None:
        """Set what holds for one connection."""
        if self.is_exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # before it reads anything
        connection.execute(f"PRAGMA synchronous = {self.synchronous.value}")
        (vacuum,) = connection.execute("PRAGMA auto_vacuum").fetchone()
        if not vacuum:  # of a file that is still empty; it writes, whatever is set already
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL}")
        connection.execute("PRAGMA secure_delete = ON")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the version of the tables, 0 where there are none."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
            raise ConfigurationError(
                f"{self.path} is a database of another program: move it away, or name another "
                "directory with --state"
            )
        if version > VERSION:
            raise ConfigurationError(
                f"{self.path} was written by a newer p2pchat (version {version} of its tables; "
                f"this one knows {VERSION}): use that one, or name another directory with --state"
            )
        return int(version)

    def explain(self, error: Exception) -> StorageFailed:
        """Return what the person is told of an error of SQLite."""
        if is_damage(error):
            return StorageFailed(
                f"{self.path} is damaged, or no database of p2pchat ({error}): end the program, "
                "move the file away (a new one begins empty) and put a backup in its place, or "
                "get out of it what is left: sqlite3 FILE .recover"
            )
        code = result_code(error)
        if self._lacks_room(error):
            return StorageFailed(self.without_room())
        if code == sqlite3.SQLITE_READONLY:
            return StorageFailed(f"{self.path} is read-only: let it be written again (chmod 600)")
        if code == sqlite3.SQLITE_BUSY:
            return StorageFailed(f"{self.path} is locked by another program, such as a backup")
        return StorageFailed(f"{self.path} can't be read or written ({error})")

    def without_room(self) -> str:
        """Return what the person is told where the disk is full."""
        return f"the disk is full: make room where {self.path} is"

    def _lacks_room(self, error: Exception) -> bool:
        code = result_code(error)
        return code == sqlite3.SQLITE_FULL or (code in _WITHOUT_ROOM and self._is_disk_full())

    def _is_disk_full(self) -> bool:
        """Tell whether the disk has no room for a file that SQLite needs."""
        with contextlib.suppress(OSError):
            found = os.statvfs(self.path.parent)
            return found.f_bavail * found.f_frsize < MAX_WAL // 64
        return False

    def size(self) -> int:
        """Return how many bytes the database takes on the disk."""
        return sum(path.stat().st_size for path in self._paths())


def result_code(error: Exception) -> int:
    """Return the primary result code of an error of SQLite; 0 where it has none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return int(code) & _PRIMARY


def is_damage(error: Exception) -> bool:
    """Tell whether an error says that the file is damaged, or no database."""
    return result_code(error) in _DAMAGED


def passes(error: Exception) -> bool:
    """Tell whether the same may work later: when there is room again, or another has ended."""
    return result_code(error) in _PASSING
