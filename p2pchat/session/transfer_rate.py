"""The rate of a transfer, and the time that is left; pure."""

from __future__ import annotations

from collections import deque

import attrs

SPAN = 10.0  # seconds that a rate is of: it follows a path that gets slower, and doesn't jump


@attrs.define
class TransferRate:
    """The rate of what is stored."""

    _counts: deque[tuple[float, int]] = attrs.Factory(deque)  # when, and how many bytes by then

    def note(self, size: int, now: float) -> None:
        """Take it that so many bytes are stored by now, of this stream."""
        counts = self._counts
        if len(counts) > 1 and now - counts[-2][0] < SPAN / 50:
            counts.pop()  # one is kept for each little while
        counts.append((now, size))
        while len(counts) > 2 and counts[0][0] < now - SPAN:
            counts.popleft()

    def rate(self) -> float:
        """Return bytes a second, 0.0 while that isn't known."""
        if len(self._counts) < 2:
            return 0.0
        (begin, before), (end, after) = self._counts[0], self._counts[-1]
        return (after - before) / (end - begin) if end > begin else 0.0

    def seconds_left(self, size: int) -> float | None:
        """Return how long so many bytes take, ``None`` while that isn't known."""
        rate = self.rate()
        return size / rate if rate > 0 else None
