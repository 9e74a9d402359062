"""How long requests may take."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.request_times import (
    CONNECT_TIMEOUT,
    DOUBLINGS,
    REQUEST_TIMEOUT,
    RequestTimes,
)
from p2pchat.traversal.round_trips import CONNECTING, LONGEST, TRIPS


class RequestTimesTests(SynchronousTestCase):
    """The times of one server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.times = RequestTimes(self.clock)

    def request(self) -> Deferred[Any]:
        """Return a request that is bounded."""
        return self.times.bound(Deferred())

    def test_short(self) -> None:
        """Where round trips are short, or unknown, the limits are their floors."""
        for _ in range(2):
            self.assertEqual(self.times.limit, REQUEST_TIMEOUT)
            self.assertEqual(self.times.connect_limit, CONNECT_TIMEOUT)
            self.clock.advance(0.02)
            self.times.connected(self.clock.seconds() - 0.02)

    def test_long(self) -> None:
        """Where they are long there is time for some of them, and not for ever."""
        self.clock.advance(4)
        self.times.connected(0.0)
        self.assertEqual(self.times.trips.smoothed, 4.0)
        self.assertEqual(self.times.limit, CONNECTING * 4)
        self.assertEqual(self.times.connect_limit, TRIPS * 4)
        self.clock.advance(100)
        self.times.connected(0.0)
        self.assertEqual((self.times.limit, self.times.connect_limit), (LONGEST, LONGEST))

    def test_measured(self) -> None:
        """A request on a connection that was there measures a round trip."""
        request: Deferred[Any] = Deferred()
        bounded = self.times.bound(request)
        self.clock.advance(0.5)
        request.callback("answer")
        self.assertEqual(self.successResultOf(bounded), "answer")
        self.assertEqual(self.times.trips.smoothed, 0.5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeout(self) -> None:
        """A request that isn't answered ends, and measures nothing."""
        request = self.request()
        self.clock.advance(REQUEST_TIMEOUT - 0.1)
        self.assertNoResult(request)
        self.clock.advance(0.2)
        self.failureResultOf(request, TimeoutError)
        self.assertEqual(self.times.trips.smoothed, 0.0)

    def test_connecting(self) -> None:
        """Once it is connected a request has its time from then on, once."""
        request = self.request()
        self.clock.advance(REQUEST_TIMEOUT - 0.1)
        self.times.connected(self.clock.seconds() - 0.02)
        self.clock.advance(REQUEST_TIMEOUT - 0.1)
        self.assertNoResult(request)
        self.times.connected(self.clock.seconds() - 0.02)
        self.clock.advance(0.2)
        self.failureResultOf(request, TimeoutError)

    def test_silence(self) -> None:
        """Each connection that isn't made in time gives the next one more, and then less again."""
        limits = []
        for _ in range(DOUBLINGS + 2):
            limits.append(self.times.connect_limit)
            began = self.clock.seconds()
            self.clock.advance(limits[-1])
            self.times.not_connected(Failure(TimeoutError()), began)
        self.assertEqual(limits, [CONNECT_TIMEOUT * factor for factor in (1, 2, 4, 1)])

    def test_refused(self) -> None:
        """One that is refused at once changes nothing."""
        self.times.not_connected(Failure(TimeoutError()), self.clock.seconds())
        self.assertEqual(self.times.connect_limit, CONNECT_TIMEOUT)
