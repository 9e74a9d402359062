"""
Work in order, a bounded amount of it in each turn of the reactor.

A big paste and a flood of messages are worked off in slices, so that heartbeats, other
conversations and the next key come between.  What is little is done at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime


def _nothing() -> None:
    """Do nothing."""


@attrs.define(eq=False)
class Slices:
    """
    The pieces of work that wait; each does its part when called, and returns what it cost.

    :ivar budget: the cost after which a turn ends; one piece may exceed it.
    :ivar most: pieces that may wait; what is more is done at once, so that its source has to wait.
    :ivar emptied: called when nothing waits any more.
    """

    _clock: IReactorTime
    _budget: int
    _most: int
    _emptied: Callable[[], None] = _nothing
    _waiting: deque[Callable[[], int]] = attrs.Factory(deque)
    _spent: int = 0
    _is_working: bool = False
    _turn: IDelayedCall | None = None

    def __len__(self) -> int:
        """Return how many pieces wait."""
        return len(self._waiting)

    def put(self, pieces: Iterable[Callable[[], int]]) -> None:
        """Do these after all that waits: now where the turn has room for it, else later."""
        self._waiting.extend(pieces)
        self._go_on()

    def finish(self) -> None:
        """Do all that waits, now."""
        self._end_turn()
        while self._waiting:
            self._waiting.popleft()()

    def stop(self) -> None:
        """Forget what waits."""
        self._end_turn()
        self._waiting.clear()

    def _go_on(self) -> None:
        if self._is_working:  # a piece that brings another: it has its turn
            return
        self._is_working = True
        try:
            while self._waiting and (self._spent < self._budget or len(self) > self._most):
                self._spent += max(1, self._waiting.popleft()())
        finally:
            self._is_working = False
            if self._spent and self._turn is None:
                self._turn = self._clock.callLater(0, self._next_turn)
        if not self._waiting:
            self._emptied()

    def _next_turn(self) -> None:
        self._turn, self._spent = None, 0
        if self._waiting:
            self._go_on()

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
        self._turn, self._spent = None, 0
