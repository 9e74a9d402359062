"""The time at which a machine wants to be called, of all the times that its parts name."""

from __future__ import annotations


def earliest(*times: float | None) -> float | None:
    """Return the earliest of these times, in seconds; ``None`` is never."""
    return min((time for time in times if time is not None), default=None)
