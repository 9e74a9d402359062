"""
Wall clock: this machine's, corrected by the registry's.

A document is fresh for a minute, so two peers must agree on the time; both take it from the
registry that they share.  Every answer of it has the time, to a second, which is somewhere between
our request and the answer's arrival: only what can't be explained so is a difference.

The registry is believed up to MOST_BELIEVED from the system's clock, counted in all and not from
answer to answer: whoever sets our clock further has documents of ours that will be good some day.
The person is told once that the clocks differ by NOTICEABLE, and once that they differ by more
than is believed.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

MOST_BELIEVED = 86_400.0  # seconds; summer time and a wrong zone are hours
NOTICEABLE = 20.0  # seconds; a third of the age at which documents are refused
GRANULARITY = 1.0  # seconds of a Date header, which is cut off, not rounded
TOLERANCE = 1.0  # seconds; registries may write their Date once a second

_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


@attrs.define
class WallClock:
    """
    The time by which documents are dated.

    :ivar system: seconds since 1970 by this machine's clock.
    :ivar warn: takes a sentence for the person.
    """

    system: Callable[[], float]
    warn: Callable[[str], None]
    _offset: float = 0.0
    _warned: set[str] = attrs.Factory(set)

    def now(self) -> float:
        """Return seconds since 1970."""
        return self.system() + self._offset

    def observe(self, theirs: float, asked_at: float) -> None:
        """
        Take the time of the registry's answer, which has just come.

        :param theirs: seconds since 1970, by the registry's clock.
        :param asked_at: when it was asked, by the system's clock.
        """
        least = theirs - self.system() - TOLERANCE
        most = theirs + GRANULARITY - asked_at + TOLERANCE
        if least > most:  # the system's clock was set meanwhile
            return
        difference = (least + most) / 2
        if abs(difference) > MOST_BELIEVED:
            self._warn_once(
                difference,
                ", which is more than is believed: this program goes by this machine's, and calls "
                "fail if that is the one that is wrong; set it",
            )
        elif not least <= self._offset <= most:
            self._offset = difference
            if abs(difference) >= NOTICEABLE:
                self._warn_once(
                    difference,
                    ": this program goes by the registry's; set the one that is wrong",
                )

    def _warn_once(self, difference: float, consequence: str) -> None:
        if consequence not in self._warned:
            self._warned.add(consequence)
            how = described(difference)
            self.warn(f"this machine's clock is {how} the registry's{consequence}")


def described(difference: float) -> str:
    """
    Say how a clock differs from another one.

    :param difference: seconds that the other one is ahead; negative: behind.
    """
    seconds = abs(difference)
    unit, name = next((one for one in _UNITS if seconds >= 2 * one[0]), (1, "seconds"))
    return f"{seconds / unit:.0f} {name} {'behind' if difference > 0 else 'ahead of'}"
