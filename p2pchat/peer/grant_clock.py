"""
The clock that grants run out by: it goes on, and nobody sets it back.

It is this machine's wall clock where that has gone on; where that was set back, it goes on with the
steady one from the latest time that it has shown.  That time is kept with the grants, so that a
restart with another date lets nothing in again.  A registry has no say in it.

What a clock that was ahead once has shown stays the latest: a grant of 8 hours lasts 8 hours of it
all the same, and one that was given before ends early, not late.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.define
class GrantClock:
    """
    The clock of one node's grants.

    :ivar wall: seconds since 1970, by a clock that a person or a server may set.
    :ivar steady: seconds, by one that nobody sets.
    :ivar latest: the latest time that was shown, by this run or one before.
    """

    wall: Callable[[], float]
    steady: Callable[[], float]
    latest: float = 0.0
    _read_at: float | None = None  # by the steady one, when that was

    def now(self) -> float:
        """Return seconds since 1970; never fewer than before."""
        steady = self.steady()
        passed = 0.0 if self._read_at is None else max(0.0, steady - self._read_at)
        self._read_at = steady
        self.latest = max(self.latest + passed, self.wall())
        return self.latest
