"""
Round-trip times as they were measured, and the time limits that follow from them.

A limit for an answer has a *floor*, which holds where round trips are short or none was measured
yet, follows the round trips where they are longer, and has a *ceiling*, so that nothing waits
without a bound.  Before the first answer by a way, those of another one stand for it: whoever is
seconds away from the registry mostly is so from everybody.  Where there is none, either, what gives
up has a generous floor, and what is tried beside it, as another address or another transport, a
short wait that follows nothing.

The estimate is that of RFC 6298 section 2.  What answers a retransmission isn't told apart from
what answers the first request (Karn's algorithm): where both are alike it counts from the first, so
that a limit is too long rather than too short.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

RTT_WEIGHT = 0.125  # of a new measurement, RFC 6298 section 2
VARIATION_WEIGHT = 0.25
VARIATIONS = 4  # that a limit is above the smoothed time, RFC 6298 section 2
BACKOFFS = 3  # times that a failure doubles what comes next, ...
REMEMBERED = 30.0  # ... seconds for which it does
TRIPS = 3  # round trips for an answer that may be lost once; what RFC 6298 allows after the first
CONNECTING = 4  # for one that takes a connection over TLS, too
REGISTERING = 6  # for registering anew, and a new event stream, both over TLS
LONGEST = 30.0  # seconds that any answer is waited for


def bounded(floor: float, seconds: float, ceiling: float) -> float:
    """Return a time limit: what was measured asks for ``seconds``."""
    return max(floor, min(seconds, ceiling))


@attrs.define
class RoundTrips:
    """
    Round-trip times of one way.

    :ivar presumed: returns the seconds that stand for them until one is measured, 0 for none.
    :ivar smoothed: seconds, 0 while unknown.
    """

    presumed: Callable[[], float] = lambda: 0.0
    smoothed: float = 0.0
    _variation: float = 0.0
    _failures: int = 0  # in a row
    _failed_at: float = 0.0

    def measured(self, seconds: float) -> None:
        """Take a measurement."""
        if not self.smoothed:
            self.smoothed, self._variation = seconds, seconds / 2
            return
        off = abs(self.smoothed - seconds)
        self._variation += VARIATION_WEIGHT * (off - self._variation)
        self.smoothed += RTT_WEIGHT * (seconds - self.smoothed)

    def limit(self, floor: float, ceiling: float = LONGEST, trips: int = TRIPS) -> float:
        """Return the seconds within which an answer comes, if it does, that takes some trips."""
        trip = self.smoothed or self.presumed()
        wanted = max(trips * trip, trip + VARIATIONS * self._variation)
        return bounded(floor, wanted, ceiling)

    def ended(self, succeeded: bool, now: float) -> None:
        """Note whether what had a limit was answered within it."""
        self._failures, self._failed_at = 0 if succeeded else self._failures + 1, now

    def backed_off(self, floor: float, ceiling: float, now: float) -> float:
        """Return a limit that is twice as long after each failure, for a while."""
        is_recent = now - self._failed_at < REMEMBERED
        backoff = 2.0 ** min(self._failures, BACKOFFS) if is_recent else 1.0
        return min(self.limit(floor, ceiling) * backoff, ceiling)
