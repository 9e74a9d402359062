"""Token bucket: so many at once, and one more in each interval."""

from __future__ import annotations

import attrs


@attrs.define
class TokenBucket:
    """
    A bucket that is full at first.

    :ivar burst: how many at once.
    :ivar interval: seconds.
    """

    burst: float
    interval: float
    _spent: float = 0.0
    _when: float = 0.0

    def take(self, now: float) -> bool:
        """Ask for one; tells whether there is one."""
        passed = max(0.0, now - self._when)  # a clock that is set back costs nothing
        self._spent, self._when = max(0.0, self._spent - passed / self.interval), now
        if self._spent + 1 > self.burst:
            return False
        self._spent += 1
        return True
