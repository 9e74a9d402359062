"""
Virtual time, kept as a heap of events.

`twisted.internet.task.Clock` sorts all its calls at each step and lets every call of one
`advance` see the same time.  This clock runs one event at a time, at the event's own time, and
costs a heap operation for each.  Two events of the same time run in the order they were
scheduled.  Times are float seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

_MANY_CANCELLED = 1000  # calls; then the heap is cleared of them if they are the greater part

_Event = tuple[float, int, DelayedCall | None, Callable[..., object], tuple[Any, ...]]


class EventClock(Clock):
    """A `Clock` that moves from event to event, with light events beside delayed calls."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.rightNow = start
        self._events: list[_Event] = []
        self._numbers = count()
        self._cancelled = 0

    def post(self, when: float, function: Callable[..., object], *args: Any) -> None:
        """Call `function` at the time `when`; unlike a delayed call it can't be cancelled."""
        heappush(self._events, (when, next(self._numbers), None, function, args))

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """See `IReactorTime.callLater`."""
        when = self.rightNow + delay
        call = DelayedCall(when, callable, args, kw, self._cancel, self._push, self.seconds)
        self._push(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """See `IReactorTime.getDelayedCalls`; soonest first."""
        calls = {event[2]: None for event in sorted(self._events, key=lambda event: event[:2])}
        pending = [call for call in calls if call is not None and call.active()]
        return sorted(pending, key=DelayedCall.getTime)

    def advance(self, amount: float) -> None:
        """Run every event of the next `amount` seconds, each at its own time."""
        until = self.rightNow + amount
        while self.step(until):
            pass
        self.rightNow = max(self.rightNow, until)

    def step(self, until: float) -> bool:
        """Run the next event unless it is later than `until`; tell whether one was run."""
        events = self._events
        while events and events[0][0] <= until:
            when, _, call, function, args = heappop(events)
            if call is None:
                self.rightNow = max(self.rightNow, when)
                function(*args)
                return True
            if self._run(call, when):
                return True
        return False

    def pending(self) -> int:
        """Count the events to come, cancelled ones included."""
        return len(self._events)

    def _run(self, call: DelayedCall, when: float) -> bool:
        if not call.active():
            return False
        if call.getTime() > when:
            self._push(call)
            return False
        self.rightNow = max(self.rightNow, when)
        call.called = 1
        call.func(*call.args, **call.kw)
        return True

    def _push(self, call: DelayedCall) -> None:
        call.activate_delay()
        heappush(self._events, (call.time, next(self._numbers), call, _never, ()))

    def _cancel(self, call: DelayedCall) -> None:
        self._cancelled += 1
        if self._cancelled > max(_MANY_CANCELLED, len(self._events) // 2):
            self._cancelled = 0
            self._events[:] = [
                event for event in self._events if event[2] is None or event[2].active()
            ]
            heapify(self._events)


def _never() -> None:
    raise AssertionError("a delayed call runs by itself")
