"""
Threads in which files are read, hashed and written: a disk that hangs holds up no reactor.

There are MAX_THREADS, made when they are needed.  Each transfer has one thing to do at a time, so
what waits is bounded by how many transfers there are.  Threads whose disk hangs are left behind
when the program ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

MAX_THREADS = 4  # a disk isn't faster for more, and hashing lets the interpreter go

_T = TypeVar("_T")


class FileThreads:
    """The threads of one program."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def run(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do something in a thread; a Deferred fires with what came of it."""
        if self._pool is None:
            self._pool = ThreadPool(0, MAX_THREADS, "files")
            threads: Any = self._pool
            threads.threadFactory = partial(Thread, daemon=True)
            self._pool.start()
        return cast("Deferred[_T]", deferToThreadPool(self._reactor, self._pool, work))
