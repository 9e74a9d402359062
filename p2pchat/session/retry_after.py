"""
The earliest time at which a registry may be asked again, as far as it said so.

Every automatic retry, of a call or a registration, waits for its :class:`RetryAfter`.  Jitter keeps
clients that were refused together from coming back together.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import attrs

JITTER = 0.5  # of the wait that was asked for, at most, are added to it


@attrs.define
class RetryAfter:
    """The earliest time of the next automatic retry."""

    _random_bytes: Callable[[int], bytes]
    _until: float = -inf

    def refused(self, retry_after: float | None, now: float) -> None:
        """Note a refusal, and the seconds that it asks for, if it asks."""
        if retry_after is not None:
            wait = retry_after * (1 + JITTER * self._random_bytes(1)[0] / 255)
            self._until = max(self._until, now + wait)

    def earliest(self, wanted: float) -> float:
        """Return when to retry: at ``wanted``, or when it is allowed."""
        return max(wanted, self._until)
