"""
A staggered race: the same is tried by several ways, the best one first.

::

    first way ── suffices ──▶ that is the result, the others are cancelled
        │
        ├── it failed, or doesn't suffice ──▶ the next way, at once
        └── nothing for a while ────────────▶ the next way, beside it

So a way that is dead costs the delay once, and one that works costs nothing more than itself: the
idea of RFC 8305, for requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from p2pchat.errors import RegistryError
from p2pchat.runtime import cancel

_T = TypeVar("_T")


@attrs.frozen
class RaceResult(Generic[_T]):
    """
    The result of a race.

    :ivar winner: the result that sufficed, if one did.
    :ivar results: what the ways said that were asked, in their order.
    :ivar errors: how those failed that did, likewise.
    """

    winner: _T | None
    results: list[_T]
    errors: list[RegistryError]


@attrs.define(eq=False)
class StaggeredRace(Generic[_T]):
    """
    One race.

    :ivar suffices: tells whether a result ends it.
    """

    _ways: Iterator[Callable[[], Deferred[_T]]]
    _clock: IReactorTime
    _delay: float
    suffices: Callable[[_T], bool]
    _begun: int = 0  # ways, of which the last may be about to be asked
    _asked: list[Deferred[_T]] = attrs.Factory(list)
    _results: dict[int, _T] = attrs.Factory(dict)
    _errors: dict[int, RegistryError] = attrs.Factory(dict)
    _timer: IDelayedCall | None = None
    _is_over: bool = False
    done: Deferred[RaceResult[_T]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.done = Deferred(lambda _done: self._end())

    def next_way(self) -> None:
        """Ask by the next way, if there is one."""
        cancel(self._timer)
        way = None if self._is_over else next(self._ways, None)
        if way is not None:
            self._begin(way)
        elif not self._is_over and self._is_decided():
            self._finish(None)

    def _begin(self, way: Callable[[], Deferred[_T]]) -> None:
        number = self._begun
        self._begun += 1  # before it is asked, which may lead to the end of one before it
        asked = way()
        self._asked.append(asked)
        asked.addCallbacks(self._said, self._failed, (number,), errbackArgs=(number,))
        if self._is_over:
            asked.cancel()
        elif not asked.called:
            self._next_later()

    def _next_later(self) -> None:
        cancel(self._timer)
        if self._delay:
            self._timer = self._clock.callLater(self._delay, self.next_way)
        else:
            self.next_way()

    def _is_decided(self) -> bool:
        return len(self._results) + len(self._errors) == self._begun

    def _said(self, result: _T, number: int) -> None:
        if self._is_over:
            return
        self._results[number] = result
        if self.suffices(result):
            self._finish(result)
        else:
            self.next_way()

    def _failed(self, failure: Failure, number: int) -> None:
        if self._is_over:
            return
        error = failure.value
        if isinstance(error, RegistryError):
            self._errors[number] = error
            self.next_way()
        else:  # a mistake of ours
            self._end()
            self.done.errback(failure)

    def _finish(self, winner: _T | None) -> None:
        self._end()
        results, errors = ([one[n] for n in sorted(one)] for one in (self._results, self._errors))
        self.done.callback(RaceResult(winner, results, errors))  # type: ignore[arg-type]

    def _end(self) -> None:
        self._is_over = True
        cancel(self._timer)
        for asked in self._asked:
            asked.cancel()


def race(
    ways: Iterable[Callable[[], Deferred[_T]]],
    clock: IReactorTime,
    delay: float,
    suffices: Callable[[_T], bool] = lambda _result: True,
) -> Deferred[RaceResult[_T]]:
    """
    Try ways one after the other, the next where one fails or says nothing for a while.

    A Deferred of the :class:`RaceResult`, which may be cancelled, fires with the first result that
    suffices, or when all have ended.

    :param ways: each begins one; they are taken from it when it is their turn.
    :param delay: seconds; 0: all at once.
    """
    running = StaggeredRace(iter(ways), clock, delay, suffices)
    running.next_way()
    return running.done
