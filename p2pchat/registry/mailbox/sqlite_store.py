"""
A store of mailboxes in SQLite: in a file, or in the memory of the process.

::

    asked ─▶ waiting ─▶ one transaction of all that waits ─▶ committed ─▶ answered

In memory each is done at once.  With a file a thread does it, and what came meanwhile shares the
next transaction: a commit waits for the disk, and an envelope is said to be kept only after it.

The file is of mode 0600, in WAL mode with ``synchronous=FULL``, and locked: no second process can
have it.  What is deleted is overwritten (``secure_delete``).  Its size is limited by SQLite itself,
so that one answer covers both: what exceeds the limit, and what a full disk has no room for.

Time is what the process's steady clock counts, on from where the file's ended; what went by
meanwhile is the wall clock's to say, but no more than MAX_PAUSE of it: a clock that was wrong at a
start makes nothing expire by more than that.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from p2pchat.errors import ConfigurationError
from p2pchat.interfaces import IMailboxStore
from p2pchat.registry.event_streams import MAIL, EventStreams
from p2pchat.registry.mailbox import tables
from p2pchat.registry.mailbox.outcomes import (
    GivenPrekeys,
    KeptEnvelope,
    LeftEnvelope,
    MailboxCounts,
    MailboxOutcome,
    PublishedPrekeys,
    unavailable,
)
from p2pchat.registry.mailbox.permits import KEY
from p2pchat.registry.refusals import Refused
from p2pchat.runtime import Runtime
from p2pchat.wire.mailbox import DAY, Mail, MailboxState
from p2pchat.wire.strict_json import dumps

APPLICATION_ID = 0x7032706D  # "p2pm"
VERSION = 1  # of the tables
PAGE = 4096  # bytes
MAX_PAUSE = float(DAY)  # seconds
MAX_GROUP = 200  # requests of one transaction: at most the uploads and what else is asked
MAX_WAITING = 2000  # requests; envelopes among them are bounded by the uploads
SWEEP = 10.0  # seconds; how late what has had its time is deleted; it isn't shown any more
NOTE = 60.0  # seconds; how exactly is known how long it was off, where nothing is written
MAX_WAL = 4 * 1024 * 1024  # bytes
LOCKED = 2.0  # seconds to wait for a file that somebody has locked

_PRIMARY = 0xFF  # of a result code of SQLite
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_T = TypeVar("_T")
_Work = Callable[[sqlite3.Connection, float], Any]
_log = Logger()


def open_database(
    path: Path | None, capacity: int, wall: float
) -> tuple[sqlite3.Connection, float]:
    """
    Open the file, or memory, make the tables where there are none, and return what time they have.

    :param capacity: bytes that it may have.
    :param wall: seconds since 1970.
    :raises ConfigurationError: it can't be used; says why and what helps.
    """
    try:
        if path is not None:
            _check_file(path)
        connection = sqlite3.connect(
            path or ":memory:", LOCKED, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, capacity)
            return connection, tables.passed(connection, wall, MAX_PAUSE)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"--mailbox-file: {path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        what = "another registry has it" if _code(error) == sqlite3.SQLITE_BUSY else str(error)
        hint = "end that one, or name another file" if "another" in what else "move it away"
        raise ConfigurationError(f"--mailbox-file: {path}: {what}: {hint}") from error


def _check_file(path: Path) -> None:
    """Make a file of mode 0600, or check that it is ours alone."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        path.chmod(0o600)
    except FileExistsError:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"--mailbox-file: {path} is no file") from None
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigurationError(
                f"--mailbox-file: {path} must be the file of the user that runs this, and of "
                f"nobody else: chmod 600 {path}"
            ) from None


def _prepare(connection: sqlite3.Connection, path: Path | None, capacity: int) -> None:
    def pragma(text: str) -> Any:
        found = connection.execute(f"PRAGMA {text}").fetchone()
        return found and found[0]

    pragma("locking_mode = EXCLUSIVE")
    application, version = pragma("application_id"), pragma("user_version")
    (count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application, version) != (APPLICATION_ID, VERSION) and (application, count) != (0, 0):
        raise ConfigurationError(
            f"--mailbox-file: {path} is of another program, or of another version of this one: "
            "name another file"
        )
    pragma(f"page_size = {PAGE}")
    pragma("journal_mode = WAL")
    pragma("synchronous = FULL")
    pragma("secure_delete = ON")
    pragma(f"journal_size_limit = {MAX_WAL}")
    connection.execute("BEGIN IMMEDIATE")  # which takes the lock
    if not count:
        tables.create(connection)
        pragma(f"application_id = {APPLICATION_ID}")
        pragma(f"user_version = {VERSION}")
    connection.execute("COMMIT")
    pragma(f"max_page_count = {max(capacity // PAGE, 64)}")


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


@attrs.frozen
class _Query:
    work: _Work
    done: Deferred[Any]


@implementer(IMailboxStore)
@attrs.define(eq=False)
class SqliteMailboxes:
    """
    Mailboxes of one process.

    :ivar streams: where owners are told.
    :ivar path: of the file, or None: in memory.
    :ivar capacity: bytes of all.
    :ivar in_thread: whether a file is written in a thread.
    """

    runtime: Runtime
    streams: EventStreams
    path: Path | None
    capacity: int
    in_thread: bool = attrs.field(default=True, kw_only=True)
    permit_key: bytes = attrs.field(init=False, repr=False)
    _connection: sqlite3.Connection | None = attrs.field(init=False, default=None)
    _pool: ThreadPool | None = attrs.field(init=False, default=None)
    _ahead: float = attrs.field(init=False, default=0.0)  # the tables' clock, of the runtime's
    _waiting: deque[_Query] = attrs.field(init=False, factory=deque)
    _is_busy: bool = attrs.field(init=False, default=False)
    _is_damaged: bool = attrs.field(init=False, default=False)
    _complaint: str = attrs.field(init=False, default="")
    _closed: Deferred[None] | None = attrs.field(init=False, default=None)
    _next_sweep: float = attrs.field(init=False, default=0.0)
    _next_note: float = attrs.field(init=False, default=0.0)  # of the time
    _counts: MailboxCounts | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.permit_key = self.runtime.random_bytes(KEY)

    # -- its life

    def start(self) -> None:
        """
        Open the file, and begin to work.

        :raises ConfigurationError: it can't be used.
        """
        now, wall = self.runtime.clock.seconds(), self.runtime.wall_time()
        self._connection, passed = open_database(self.path, self.capacity, wall)
        self._ahead = passed - now
        if self.path is not None and self.in_thread:
            self._pool = ThreadPool(1, 1, "mailboxes")
            threads: Any = self._pool
            threads.threadFactory = partial(Thread, daemon=True)  # left behind where the disk hangs
            self._pool.start()

    def stop(self) -> Deferred[None]:
        """Do what waits, and close the file."""
        if self._closed is None:
            self._closed = Deferred()
            if not self._is_busy:
                self._close()
        return self._closed

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.stop()
        if self._connection is not None:
            self._connection.close()
        if self._closed is not None:
            self._closed.callback(None)

    def sweep(self) -> None:
        """Delete what has had its time."""
        if self.runtime.clock.seconds() >= self._next_sweep:
            self._next_sweep = self.runtime.clock.seconds() + SWEEP
            self._ask(tables.expire).addCallbacks(self._swept, _quietly)
            self._ask(lambda connection, _now: tables.counts(connection)).addCallbacks(
                self._counted, _quietly
            )

    def _swept(self, is_more: bool) -> None:
        if is_more:
            self._next_sweep = 0.0

    def _counted(self, counts: MailboxCounts) -> None:
        self._counts = counts

    def counts(self) -> MailboxCounts | None:
        """Return what was counted at the last sweep."""
        return self._counts

    # -- what is asked

    def state(self, peer_id: str) -> Deferred[MailboxState | None]:
        """Return the state of a mailbox."""
        return self._ask(lambda connection, now: tables.state(connection, peer_id, now))

    def publish(
        self, peer_id: str, prekeys: PublishedPrekeys
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Take prekeys."""
        return self._ask(lambda connection, now: tables.publish(connection, peer_id, prekeys, now))

    def allow(
        self, peer_id: str, tokens: Iterable[bytes], issued_at: float
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Take the hashes of all tokens."""
        return self._ask(
            lambda connection, now: tables.allow(connection, peer_id, tokens, issued_at, now)
        )

    def give(self, peer_id: str, token: bytes) -> Deferred[GivenPrekeys | MailboxOutcome]:
        """Give prekeys."""
        return self._ask(lambda connection, now: tables.give(connection, peer_id, token, now))

    def deposit(self, deposit: LeftEnvelope) -> Deferred[KeptEnvelope | MailboxOutcome]:
        """Keep an envelope, and tell the owner's stream."""
        kept = self._ask(lambda connection, now: tables.deposit(connection, deposit, now))
        return kept.addCallback(self._kept, deposit.peer)

    def _kept(
        self, kept: KeptEnvelope | MailboxOutcome, peer_id: str
    ) -> KeptEnvelope | MailboxOutcome:
        if isinstance(kept, KeptEnvelope):
            self.streams.announce(peer_id, MAIL, dumps(kept.state.to_json()).decode("ascii"))
        return kept

    def fetch(self, peer_id: str) -> Deferred[Mail | MailboxOutcome]:
        """Return what waits longest."""
        return self._ask(lambda connection, now: tables.fetch(connection, peer_id, now))

    def acknowledge(
        self, peer_id: str, names: Iterable[bytes]
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Delete envelopes."""
        return self._ask(
            lambda connection, now: tables.acknowledge(connection, peer_id, names, now)
        )

    # -- how it is done

    def _ask(self, work: Callable[[sqlite3.Connection, float], _T]) -> Deferred[_T]:
        is_open = self._connection is not None and self._closed is None
        if self._is_damaged or not is_open or len(self._waiting) >= MAX_WAITING:
            return fail(unavailable())
        one = _Query(work, Deferred())
        self._waiting.append(one)
        if not self._is_busy:
            self._begin()
        return one.done

    def _begin(self) -> None:
        """Begin a transaction of what waits, if anything does."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        self._is_busy = bool(group)
        if not group:
            if self._closed is not None:
                self._close()
            return
        now, is_due = self.runtime.clock.seconds(), self.runtime.clock.seconds() >= self._next_note
        if is_due:
            self._next_note = now + NOTE
        times = _Times(now + self._ahead, self.runtime.wall_time(), is_due)
        connection = cast(sqlite3.Connection, self._connection)
        do = partial(_do, connection, [one.work for one in group], times)
        running = (
            succeed(do())
            if self._pool is None
            else deferToThreadPool(self.runtime.reactor, self._pool, do)
        )
        running.addCallback(self._done, group)
        running.addErrback(lambda failure: _log.failure("mailboxes", failure))

    def _done(self, results: list[Any], group: list[_Query]) -> None:
        for result, one in zip(results, group, strict=True):
            if one.done.called:  # whoever asked has left
                continue
            if not isinstance(result, Failure):
                one.done.callback(result)
            elif _code(result.value) == sqlite3.SQLITE_FULL:
                self._complain(result.value)
                one.done.callback(MailboxOutcome.FULL)
            elif isinstance(result.value, sqlite3.Error):
                self._complain(result.value)
                one.done.errback(unavailable())
            else:
                one.done.errback(result)
        self._begin()

    def _complain(self, error: BaseException | None) -> None:
        """Tell the operator, each time once."""
        self._is_damaged = self._is_damaged or _code(error) in _DAMAGED
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.error(
                "--mailbox-file: {path}: {error}", path=str(self.path or "memory"), error=str(error)
            )


@attrs.frozen
class _Times:
    """
    Time of a transaction.

    :ivar now: on the tables' clock.
    :ivar wall: seconds since 1970.
    :ivar is_due: whether they are to be noted, even if nothing changes.
    """

    now: float
    wall: float
    is_due: bool


def _do(connection: sqlite3.Connection, works: list[_Work], times: _Times) -> list[Any]:
    """Do some works in one transaction, or where that fails each in its own."""
    try:
        return _transact(connection, works, times)
    except Exception:
        if len(works) == 1:
            return [Failure()]
    return [_do(connection, [work], times)[0] for work in works]


def _transact(connection: sqlite3.Connection, works: list[_Work], times: _Times) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    before = connection.total_changes
    try:
        results = [work(connection, times.now) for work in works]
        if times.is_due or connection.total_changes != before:
            tables.note(connection, times.now, times.wall)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results


def _quietly(failure: Failure) -> None:
    """Let what will be done again anyway fail without a word."""
    failure.trap(Refused)
