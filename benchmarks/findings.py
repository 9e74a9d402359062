"""What a scenario of ``hostile.py`` is told, and what it finds."""

from __future__ import annotations

import attrs

from benchmarks.waits import MIB, Cost, Waits

__all__ = ["MIB", "Found", "Plan", "megabytes"]


@attrs.frozen
class Plan:
    """
    How long things last, in seconds.

    :ivar seconds: an attack.
    :ivar frozen: a freeze.
    """

    seconds: float
    frozen: float

    @property
    def alone(self) -> float:
        """What is honest, without the attack."""
        return max(1.0, self.seconds / 3)

    @property
    def brief(self) -> bool:
        """Whether less is played where time doesn't say how much."""
        return self.seconds < 5


@attrs.frozen
class Found:
    """
    What became of the honest, and of the victim.

    :ivar limit: seconds that an honest line or request may wait; ``None``: none is asked of it.
    :ivar growth: bytes that the victim may have beyond those before; ``None``: nobody measured.
    :ivar faults: what is wrong however slow the machine is.
    :ivar notes: how much there was of the attack, and what else was seen.
    """

    limit: float | None
    alone: Waits
    beside: Waits
    cost: Cost
    growth: int
    faults: list[str]
    notes: list[str]

    @property
    def allowed(self) -> float | None:
        """Seconds that may be waited: the limit, or more where it isn't held without an attack."""
        return None if self.limit is None else max(self.limit, 2 * self.alone.longest)

    @property
    def is_over(self) -> bool:
        """Whether somebody honest waited for too long."""
        return self.allowed is not None and self.beside.longest > self.allowed

    @property
    def wrong(self) -> list[str]:
        """Everything that is wrong on a slow machine, too."""
        grown = self.cost.growth > self.growth
        more = [f"grows by {megabytes(self.cost.growth)}, {megabytes(self.growth)} allowed"]
        return self.faults + (more if grown else [])

    @property
    def verdict(self) -> str:
        """One word."""
        return "wrong" if self.wrong else "over" if self.is_over else "ok"


def megabytes(count: int) -> str:
    """Write a number of bytes."""
    return f"{count / MIB:.0f} MiB"
