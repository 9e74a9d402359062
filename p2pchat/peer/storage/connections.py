"""
Connections to the database, each used in a thread of its own: nothing of it holds up the reactor.

The threads are left behind where the disk hangs while the program leaves: what was committed is
there, and what wasn't is as if the machine had lost its power.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, TypeVar, cast

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from p2pchat.peer.storage.database import BUSY_TIMEOUT, DatabaseFile

_T = TypeVar("_T")


class IConnections(Interface):
    """One connection to a database, or several."""

    def start() -> None:
        """Begin to work; called when the reactor runs."""

    def run(work: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        """
        Call ``work`` with a connection and commit, or roll back where it raises.

        A Deferred fires with what it returned, or fails with what it raised.  It can't be
        cancelled: the work is done all the same.
        """

    def close() -> None:
        """Close all, now that nothing runs."""

    def abandon() -> None:
        """Leave behind what runs."""


@implementer(IConnections)
class PooledConnections:
    """
    A pool of :mod:`twisted.enterprise.adbapi`.

    :param count: how many connections there are at most; only one of them may write at a time.
    """

    def __init__(self, reactor: Any, file: DatabaseFile, count: int = 1) -> None:
        self._reactor = reactor
        self._file = file
        self._count = count
        self._pool: ConnectionPool | None = None

    def start(self) -> None:
        """Start the threads."""
        self._pool = pool = ConnectionPool(
            "sqlite3",
            self._file.path,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cp_reactor=self._reactor,
            cp_min=0,  # else threads begin right here, before they are made ours
            cp_max=self._count,
            cp_openfun=self._file.tune,
        )
        threads: Any = pool.threadpool
        threads.threadFactory = partial(Thread, daemon=True)
        pool.start()
        # It would wait for its threads, whatever they do, when the reactor ends.
        self._reactor.removeSystemEventTrigger(pool.shutdownID)
        pool.shutdownID = None

    def run(self, work: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """Call ``work`` in a thread."""
        if self._pool is None:
            raise RuntimeError("not started")
        return cast("Deferred[_T]", self._pool.runWithConnection(work))

    def close(self) -> None:
        """Close the connections and end the threads, which are idle."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def abandon(self) -> None:
        """Leave the threads behind; the process ends without them."""
        self._pool = None
