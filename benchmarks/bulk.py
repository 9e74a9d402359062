"""
One end of a bulk transfer: what each carrier has to offer, and what is counted.

The receiving end says in one line how it can be reached; the sending end is started with that line,
and pours.  Both count their processor time: the sending end from its first byte to the word that
all has come, the receiving end from its first byte to its last, and the time with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

CHUNK = 64 * 1024  # bytes that are handed to a carrier at a time
AHEAD = 128 * 1024  # bytes that wait in it unsent


@attrs.frozen
class Spent:
    """Seconds, and seconds of processor time."""

    seconds: float
    computed: float

    @classmethod
    def so_far(cls) -> Spent:
        """Return what this process has spent until now."""
        return cls(time.monotonic(), time.process_time())

    def since(self, start: Spent) -> Spent:
        """Return what was spent since then."""
        return Spent(self.seconds - start.seconds, self.computed - start.computed)


@attrs.define(eq=False)
class Tally:
    """
    What arrives at the receiving end.

    :ivar expected: bytes.
    :ivar complete: called with what was spent, once all are there.
    """

    expected: int
    complete: Callable[[Spent], None]
    arrived: int = 0
    _start: Spent | None = None

    def add(self, count: int) -> bool:
        """Count bytes; tell whether these were the last."""
        self._start = self._start or Spent.so_far()
        self.arrived += count
        is_complete = self.arrived - count < self.expected <= self.arrived
        if is_complete:
            self.complete(Spent.so_far().since(self._start))
        return is_complete


class Carrier(Protocol):
    """One end; it is told which, once."""

    def receive(self, tally: Tally) -> Deferred[str]:
        """Be the receiving end; a Deferred fires with what the other one must know."""

    def reach(self, where: str) -> Deferred[object]:
        """Be the sending end; a Deferred fires when it may pour."""

    def pour(self, size: int) -> Deferred[object]:
        """Send so many bytes; a Deferred fires when the other end says that it has them."""
