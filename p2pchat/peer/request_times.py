"""
Time limits of requests to one server, and what their round trips took.

A connection that is made measures a round trip, and so does a request that goes out on one that is
there.  A limit has its floor where nothing was measured, or round trips are short; each connection
that isn't made in time gives the next one twice as long, up to DOUBLINGS times, and then it begins
anew: whoever is back shall not be waited for by a try that began long before.

A request has its limit for connecting, and as long again from when that is done.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from p2pchat.runtime import cancel
from p2pchat.traversal.round_trips import CONNECTING, LONGEST, TRIPS, RoundTrips, bounded

REQUEST_TIMEOUT = 5.0  # seconds; where trips are short an answer takes one and a millisecond
CONNECT_TIMEOUT = 5.0  # seconds for each address
DOUBLINGS = 2


@attrs.define(eq=False)
class _Wait:
    """A request that waits for its answer."""

    began: float
    timer: IDelayedCall
    has_connected: bool = False


@attrs.define(eq=False)
class RequestTimes:
    """
    The times of one server.

    :ivar trips: its round trips.
    :ivar under_way: connections that are being made.
    """

    _clock: IReactorTime
    trips: RoundTrips = attrs.Factory(RoundTrips)
    under_way: int = 0
    _unconnected: int = 0  # connections in a row that weren't made in time
    _waiting: set[_Wait] = attrs.Factory(set)

    def _doubled(self, seconds: float) -> float:
        return seconds * 2.0 ** (self._unconnected % (DOUBLINGS + 1))

    @property
    def connect_limit(self) -> float:
        """The seconds in which a connection must be made."""
        wanted = max(TRIPS * self.trips.smoothed, self._doubled(CONNECT_TIMEOUT))
        return bounded(CONNECT_TIMEOUT, wanted, LONGEST)

    @property
    def limit(self) -> float:
        """The seconds in which an answer must come."""
        return bounded(REQUEST_TIMEOUT, CONNECTING * self.trips.smoothed, LONGEST)

    def connecting(self) -> float:
        """A connection is begun; returns when."""
        self.under_way += 1
        return self._clock.seconds()

    def connected(self, began: float) -> None:
        """A connection is made that was begun then."""
        self.under_way -= 1
        self._unconnected = 0
        self.trips.measured(self._clock.seconds() - began)
        for one in self._waiting:
            if not one.has_connected:
                one.has_connected = True
                one.timer.reset(self.limit)

    def not_connected(self, failure: Failure, began: float) -> Failure:
        """A connection wasn't made that was begun then; only silence asks for more patience."""
        self.under_way -= 1
        if self._clock.seconds() - began >= CONNECT_TIMEOUT:
            self._unconnected += 1
        return failure

    def bound(self, sent: Deferred[Any]) -> Deferred[Any]:
        """Cancel what is asked for when its time is over; a :exc:`TimeoutError` comes of it."""
        seconds = max(self.limit, self.connect_limit)
        wait = _Wait(self._clock.seconds(), self._clock.callLater(seconds, sent.cancel))
        self._waiting.add(wait)
        return sent.addBoth(self._ended, wait)

    def _ended(self, result: Any, wait: _Wait) -> Any:
        self._waiting.discard(wait)
        has_timed_out = not wait.timer.active()
        cancel(wait.timer)
        if not isinstance(result, Failure):
            if not wait.has_connected:  # it went out on a connection that was there
                self.trips.measured(self._clock.seconds() - wait.began)
        elif has_timed_out and result.check(CancelledError):
            raise TimeoutError(self.limit, "an answer")
        return result
