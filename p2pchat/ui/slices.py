"""
Work in order, a bounded amount of it in each turn of the reactor.

A big paste and a flood of messages are worked off in slices, so that heartbeats, other
conversations and the next key come between.  What is little is done at once::

    slices.put(pieces)
    slices.work(do)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

_Piece = TypeVar("_Piece")


@attrs.define(eq=False)
class Slices(Generic[_Piece]):
    """
    The pieces of work that wait.

    :ivar budget: the cost after which a turn ends; one piece may exceed it.
    :ivar most: pieces that may wait; what is more is ready at once, so that its source has to wait.
    :ivar again: called when a new turn begins and something waits.
    """

    _clock: IReactorTime
    _budget: int
    _most: int
    _again: Callable[[], None]
    _waiting: deque[_Piece] = attrs.Factory(deque)
    _spent: int = 0
    _turn: IDelayedCall | None = None
    _finished: bool = False

    def __len__(self) -> int:
        """Return how many pieces wait."""
        return len(self._waiting)

    def put(self, pieces: Iterable[_Piece]) -> None:
        """Let these wait behind all others."""
        self._waiting.extend(pieces)

    def work(self, do: Callable[[_Piece], int]) -> None:
        """Do what this turn has room for, piece by piece; ``do`` returns what a piece has cost."""
        while self._waiting and self._has_room():
            if self._turn is None and not self._finished:
                self._turn = self._clock.callLater(0, self._next_turn)
            self._spent += max(1, do(self._waiting.popleft()))

    def _has_room(self) -> bool:
        return self._finished or self._spent < self._budget or len(self) > self._most

    def finish(self) -> None:
        """End the turns: all that waits, and what comes, is ready at once."""
        self._finished = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def stop(self) -> None:
        """Forget what waits."""
        self.finish()
        self._waiting.clear()

    def _next_turn(self) -> None:
        self._turn, self._spent = None, 0
        if self._waiting:
            self._again()
