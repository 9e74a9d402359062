"""
The load of the registry, and the difficulty of the work that it asks of strangers for that.

::

    measure                                   begins at    worst at    is over under
    strangers let in a second, over 10 s      the option   8 times it  half of it
    share of the directory that is taken      0.8          1.0         0.7
    lateness of the event loop, smoothed      0.25 s       1 s         0.125 s

Between where a measure begins and where it is worst, the difficulty rises from MIN_DIFFICULTY to
MAX_DIFFICULTY with the measure's logarithm; the worst of the three counts.  It rises at once.  It
falls by a bit every EASE seconds, and ends only when all three are over: so that a flood
that pauses isn't met by an open door, nor an honest peer by another difficulty at each try.

Strangers who were refused don't count: whoever doesn't work can't make others work.  Nor do those
who come in the first moments of a registry, which knows nobody after a restart.
"""

from __future__ import annotations

from math import exp, log

import attrs

from p2pchat.wire.work import MAX_DIFFICULTY, MIN_DIFFICULTY

STRANGERS = 50.0  # a second; a registry of 100,000 peers that live for half an hour has as many
WINDOW = 10.0  # seconds over which strangers are averaged: 500 at once are no pressure
SHARE = (0.8, 1.0, 0.7)  # begins, worst, over
LAG = (0.25, 1.0, 0.125)  # seconds; one long pause alone doesn't reach it
SMOOTHING = 0.2  # weight of the newest lateness
EASE = 10.0  # seconds
GRACE = 30.0  # seconds after the start; peers come back within twelve


@attrs.define
class LoadMeter:
    """
    The three measures, and the difficulty that follows.

    ``now`` is in seconds on any clock that isn't set back.

    :ivar onset: strangers a second from which on work is asked; 0: never, whatever happens.
    :ivar counts_from: when it begins to count strangers.
    :ivar difficulty: bits asked now; 0: no work.
    """

    onset: float = STRANGERS
    counts_from: float = 0.0
    difficulty: int = attrs.field(init=False, default=0)
    _strangers: float = attrs.field(init=False, default=0.0)
    _counted: float = attrs.field(init=False, default=0.0)
    _share: float = attrs.field(init=False, default=0.0)
    _lag: float = attrs.field(init=False, default=0.0)
    _changed: float = attrs.field(init=False, default=0.0)

    def count_stranger(self, now: float) -> None:
        """Count a stranger who was let in."""
        if now >= self.counts_from:
            self._fade(now)
            self._strangers += 1
            self._follow(now)

    def measure(self, share: float, lag: float, now: float) -> None:
        """
        Take what is measured about once a second.

        :param share: of the directory's capacity, 0 to 1.
        :param lag: seconds by which the event loop was late.
        """
        self._fade(now)
        self._share = share
        self._lag += SMOOTHING * (min(lag, LAG[1]) - self._lag)
        self._follow(now)

    def _fade(self, now: float) -> None:
        self._strangers *= exp((self._counted - now) / WINDOW)
        self._counted = now

    def _measures(self) -> list[tuple[float, float, float, float]]:
        """Return value, begin, worst and end of each."""
        rate = (self.onset, 8 * self.onset, self.onset / 2)
        return [(self._strangers / WINDOW, *rate), (self._share, *SHARE), (self._lag, *LAG)]

    def _required(self) -> int:
        severity = max(
            log(value / begin) / log(worst / begin) if value > 0 else -1.0
            for value, begin, worst, _ in self._measures()
        )
        span = MAX_DIFFICULTY - MIN_DIFFICULTY
        return 0 if severity < 0 else MIN_DIFFICULTY + round(span * min(1.0, severity))

    def _follow(self, now: float) -> None:
        if not self.onset:
            return
        required = self._required()
        if required >= self.difficulty:
            self.difficulty, self._changed = required, now
        elif now - self._changed >= EASE:
            self._ease(now)

    def _ease(self, now: float) -> None:
        if self.difficulty > MIN_DIFFICULTY:
            self.difficulty, self._changed = self.difficulty - 1, now
        elif all(value < over for value, _, _, over in self._measures()):
            self.difficulty = 0
