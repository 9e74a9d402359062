"""
The writer of the database: group commit.

::

    put ─▶ waiting ─▶ one transaction of all that waits, at most MAX_GROUP ─▶ committed ─▶ Deferreds

A commit waits for the disk, and a hundred writes in one take hardly longer than one alone: under
load more of them share it.  Where the disk is full or the file locked all of them fail, and may be
asked for again; once the file turns out to be damaged nothing is written any more.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage.connections import IConnections
from p2pchat.peer.storage.database import DatabaseFile, is_damage, passes

MAX_GROUP = 1000  # writes in one transaction; some ten milliseconds

_log = Logger()

_Write = TypeVar("_Write")


class _Waiting(NamedTuple, Generic[_Write]):
    write: _Write
    written: Deferred[Any]
    is_alone: bool


@attrs.define(eq=False)
class GroupCommit(Generic[_Write]):
    """
    The one that writes.

    :ivar execute: does some writes within a transaction, in a thread, and returns their results.
    """

    _file: DatabaseFile
    _connections: IConnections
    _execute: Callable[[sqlite3.Connection, Sequence[_Write]], Sequence[Any]]
    _waiting: deque[_Waiting[_Write]] = attrs.Factory(deque)
    _is_busy: bool = False
    _singly: int = 0  # of those that wait, tried one by one: together they failed
    _ended: StorageFailed | None = None  # why nothing is written any more
    _closed: Deferred[None] | None = None

    def put(self, write: _Write, is_alone: bool = False) -> Deferred[Any]:
        """
        Write something.

        :param is_alone: in a transaction of its own: it takes long, and nobody is to wait for both.

        A Deferred fires when it is committed, or fails with ``StorageFailed``; then it isn't.
        """
        if self._ended is not None:
            return fail(self._ended)
        written: Deferred[Any] = Deferred()
        self._waiting.append(_Waiting(write, written, is_alone))
        if not self._is_busy:
            self._begin()
        return written

    def _begin(self) -> None:
        """Begin a transaction of what waits, if anything does."""
        self._is_busy = bool(self._waiting)
        if not self._waiting:
            self._finish_closing()
            return
        group = self._group()
        count = len(group)
        running = self._connections.run(lambda connection: self._transact(connection, group))
        running.addCallbacks(self._committed, self._failed, (count,), errbackArgs=(count,))

    def _group(self) -> list[_Waiting[_Write]]:
        first = self._waiting[0]
        if self._singly or first.is_alone:
            return [first]
        found = islice(self._waiting, MAX_GROUP)
        return list(takewhile(lambda one: not one.is_alone, found))

    def _transact(
        self, connection: sqlite3.Connection, group: list[_Waiting[_Write]]
    ) -> Sequence[Any]:
        connection.execute("BEGIN IMMEDIATE")
        return self._execute(connection, [one.write for one in group])

    def _committed(self, results: Sequence[Any], count: int) -> None:
        for one, result in zip(self._take(count), results, strict=True):
            one.written.callback(result)
        self._begin()

    def _take(self, count: int) -> list[_Waiting[_Write]]:
        self._singly = max(0, self._singly - count)
        return [self._waiting.popleft() for _ in range(count)]

    def _failed(self, failure: Failure, count: int) -> None:
        error: Any = failure.value
        if is_damage(error):
            self._ended = self._file.explain(error)
            count = len(self._waiting)
        elif not passes(error) and count > 1:  # one of them is to blame: which one?
            self._singly, count = count, 0
        elif not passes(error):
            _log.failure("the database can't do a write", failure)
        for one in self._take(count):
            one.written.errback(self._file.explain(error))
        self._begin()

    def close(self) -> Deferred[None]:
        """Write what waits; fires when nothing runs any more."""
        self._closed = Deferred()
        self._ended = self._ended or StorageFailed("the program is leaving")
        if not self._is_busy:
            self._finish_closing()
        return self._closed

    def _finish_closing(self) -> None:
        if self._closed is not None and not self._closed.called:
            self._closed.callback(None)
