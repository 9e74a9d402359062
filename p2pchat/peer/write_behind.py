"""
Rows on the disk that follow what is in memory.

::

    put ─▶ waiting ─▶ written together, one write at a time ─▶ what came meanwhile is next
                        └─ failed: told once, and again after RETRY, with what is the latest then

So nobody waits for the disk, what changes often is written once, and a full disk holds nothing
else up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import StorageFailed
from p2pchat.runtime import cancel

RETRY = 5.0  # seconds; somebody makes room on a disk meanwhile

_log = Logger()

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")


@attrs.define(eq=False)
class WriteBehind(Generic[_Key, _Row]):
    """
    Rows of one kind.

    :ivar what: they are, in words: "contacts".
    :ivar write: writes rows, and deletes those of ``None``, in one step.
    :ivar tell: takes the event that they can't be written.
    """

    what: str
    write: Callable[[Mapping[_Key, _Row | None]], Deferred[None]]
    _clock: IReactorTime
    tell: Callable[[events.NodeEvent], None]
    _waiting: dict[_Key, _Row | None] = attrs.field(factory=dict, repr=False)
    _tried: list[Deferred[None]] = attrs.Factory(list)  # by those who wait for what waits
    _is_busy: bool = False
    _retry: IDelayedCall | None = None
    _trouble: str = ""  # why it can't be written
    _is_stopped: bool = False

    def put(self, rows: Mapping[_Key, _Row | None]) -> Deferred[None]:
        """Write rows, ``None`` for no such row; a Deferred fires when that was tried once."""
        if not rows:
            return succeed(None)
        self._waiting.update(rows)
        tried: Deferred[None] = Deferred()
        self._tried.append(tried)
        if not self._is_busy and self._retry is None:
            self._write_waiting()
        elif self._retry is not None:
            self._end_waits()
        return tried

    def stop(self) -> None:
        """Try what waits a last time, now."""
        self._is_stopped = True
        cancel(self._retry)
        if self._waiting:
            self._write_waiting()

    def _write_waiting(self) -> None:
        self._retry = None
        self._is_busy = True
        rows, self._waiting = self._waiting, {}
        tried, self._tried = self._tried, []
        written = self.write(rows)
        written.addCallbacks(self._written, self._failed, errbackArgs=(rows,))
        written.addErrback(lambda failure: _log.failure("rows aren't written any more", failure))
        written.addCallback(lambda _: _fire(tried))

    def _written(self, _result: object) -> None:
        self._is_busy = False
        if self._trouble:
            self._trouble = ""
            self.tell(events.Trouble(f"{self.what} are saved again", "storage"))
        if self._waiting:
            self._write_waiting()

    def _failed(self, failure: Failure, rows: Mapping[_Key, _Row | None]) -> None:
        failure.trap(StorageFailed)
        self._is_busy = False
        if self._is_stopped:
            self._end_waits()
            return
        self._waiting = {**rows, **self._waiting}
        self._retry = self._clock.callLater(RETRY, self._write_waiting)
        self._end_waits()
        reason, before = str(failure.value), self._trouble
        self._trouble = reason
        if reason != before:
            self.tell(
                events.Trouble(
                    f"{self.what} can't be saved, and are forgotten when you quit before they can: "
                    f"{reason}",
                    "storage",
                )
            )

    def _end_waits(self) -> None:
        tried, self._tried = self._tried, []
        _fire(tried)


def _fire(waits: list[Deferred[None]]) -> None:
    for one in waits:
        one.callback(None)
