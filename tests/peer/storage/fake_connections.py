"""Connections for tests: a real SQLite without a thread, that works at once or when told."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.peer.storage.connections import IConnections
from p2pchat.peer.storage.database import DatabaseFile


@implementer(IConnections)
class ImmediateConnections:
    """
    One connection that does what is asked at once.

    :ivar is_held: what is asked waits for :meth:`do_one`, as for a thread.
    :ivar done: how many times something was done.
    :ivar fails_with: raised instead of doing anything.
    """

    def __init__(self, file: DatabaseFile, most_pages: int = 0) -> None:
        self._file = file
        self._most_pages = most_pages
        self._connection: sqlite3.Connection | None = None
        self._asked: deque[tuple[Callable[[sqlite3.Connection], Any], Deferred[Any]]] = deque()
        self.is_held = False
        self.done = 0
        self.fails_with: Exception | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, opened when it is needed first."""
        if self._connection is None:
            self._connection = self._file.connect()
            self.allow_pages(self._most_pages)
        return self._connection

    def allow_pages(self, most: int) -> None:
        """Let the disk have room for so many pages; 0: for all that SQLite can have."""
        if self._connection is not None:
            self._connection.execute(f"PRAGMA max_page_count = {most or 2**32 - 2}")

    def start(self) -> None:
        """Begin."""

    def run(self, work: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        """Do something, or let it wait."""
        done: Deferred[Any] = Deferred()
        self._asked.append((work, done))
        if not self.is_held:
            self.do_one()
        return done

    def do_one(self) -> None:
        """Do what waits longest."""
        work, done = self._asked.popleft()
        self.done += 1
        try:
            if self.fails_with is not None:
                raise self.fails_with
            result = work(self.connection)
            self.connection.commit()
        except Exception:
            failure = Failure()
            self.connection.rollback()
            done.errback(failure)
        else:
            done.callback(result)

    @property
    def waiting(self) -> int:
        """How much waits."""
        return len(self._asked)

    def close(self) -> None:
        """Close the connection; what waits is never done."""
        self._asked.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abandon(self) -> None:
        """Close the connection, too: there is no thread to be left behind."""
        self.close()


class SlowConnections(ImmediateConnections):
    """
    One connection whose work takes time, by a clock of the test's.

    :param delay: returns the seconds that the next work takes.
    """

    def __init__(self, file: DatabaseFile, clock: IReactorTime, delay: Callable[[], float]) -> None:
        super().__init__(file)
        self._clock = clock
        self._delay = delay
        self.is_held = True

    def run(self, work: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        """Do something later, after what was asked before."""
        done = super().run(work)
        self._clock.callLater(self._delay(), self._do_next)
        return done

    def _do_next(self) -> None:
        if self.waiting:
            self.do_one()
