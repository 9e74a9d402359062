"""
Wall clock: the registry's, as this machine's steady clock goes on from its last answer.

A document is fresh for minutes, so two peers must agree on the time; both take it from the registry
that they share.  Every answer of it has the time, to a second, which is somewhere between our
request and the answer's arrival.  What was learnt stays until an answer can't be explained by it;
between answers only the steady clock counts, so that it doesn't matter who sets this machine's
clock, when, and how far.  That one is gone by until the registry has said something.

However far the registry's clock is from this machine's, it is believed: a machine without a battery
begins in 1970.  Whoever answers in its place can have documents of ours that will be good some day;
what that is worth to them, the threat model says.  The person is told once that the two differ by
NOTICEABLE.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

NOTICEABLE = 20.0  # seconds; what somebody wrote may be shown as written a minute ago then
GRANULARITY = 1.0  # seconds of a Date header, which is cut off, not rounded
TOLERANCE = 1.0  # seconds; registries may write their Date once a second

_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


@attrs.define
class WallClock:
    """
    The time by which documents are dated.

    :ivar system: seconds since 1970 by this machine's clock.
    :ivar steady: seconds on a clock that nobody sets.
    :ivar warn: takes a sentence for the person.
    """

    system: Callable[[], float]
    steady: Callable[[], float]
    warn: Callable[[str], None]
    _ahead: float | None = None  # seconds that the registry's is ahead of the steady clock
    _warned: bool = False

    def now(self) -> float:
        """Return seconds since 1970."""
        return self.system() if self._ahead is None else self.steady() + self._ahead

    def observe(self, theirs: float, asked_at: float) -> None:
        """
        Take the time of the registry's answer, which has just come.

        :param theirs: seconds since 1970, by the registry's clock.
        :param asked_at: when it was asked, by the steady clock.
        """
        now = self.steady()
        least, most = theirs - now - TOLERANCE, theirs + GRANULARITY - asked_at + TOLERANCE
        if self._ahead is None or not least <= self._ahead <= most:
            own = self.system() - now  # exact to less than a second, if it is right
            self._ahead = own if least <= own <= most else (least + most) / 2
        self._compare(now + self._ahead - self.system())

    def _compare(self, difference: float) -> None:
        """Tell the person once that this machine's clock is wrong, or the registry's."""
        if abs(difference) >= NOTICEABLE and not self._warned:
            self._warned = True
            self.warn(
                f"this machine's clock is {described(difference)} the registry's: this program "
                "goes by the registry's; set the one that is wrong"
            )


def described(difference: float) -> str:
    """
    Say how a clock differs from another one.

    :param difference: seconds that the other one is ahead; negative: behind.
    """
    seconds = abs(difference)
    unit, name = next((one for one in _UNITS if seconds >= 2 * one[0]), (1, "seconds"))
    return f"{seconds / unit:.0f} {name} {'behind' if difference > 0 else 'ahead of'}"
