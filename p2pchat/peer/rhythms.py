"""Rhythms of a node, on one clock: heartbeats, looks, tidying up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

AGAIN = 15.0  # seconds until what has failed is done again, where it has no rhythm yet

_log = Logger()


@attrs.define(eq=False)
class Rhythms:
    """The rhythms of one node, from the first :meth:`begin` to :meth:`stop`."""

    _clock: IReactorTime
    _calls: list[LoopingCall] = attrs.Factory(list)
    _is_stopped: bool = False

    @property
    def is_running(self) -> bool:
        """Whether anything is done."""
        return bool(self._calls) and not self._is_stopped

    def begin(self, effect: Callable[[], object], interval: float) -> LoopingCall:
        """Do something every so many seconds; what fails is logged, and begins again."""
        rhythm = LoopingCall(effect)
        rhythm.clock = self._clock
        self._calls.append(rhythm)
        self._start(rhythm, interval)
        return rhythm

    def _start(self, rhythm: LoopingCall, interval: float) -> None:
        running: Deferred[Any] = rhythm.start(interval, now=False)
        running.addErrback(self._begin_again, rhythm)

    def _begin_again(self, failure: Failure, rhythm: LoopingCall) -> None:
        _log.failure("what is done again and again has failed", failure)
        if not self._is_stopped:
            self._start(rhythm, rhythm.interval or AGAIN)

    def stop(self) -> None:
        """Do nothing any more."""
        self._is_stopped = True
        for rhythm in self._calls:
            if rhythm.running:
                rhythm.stop()
