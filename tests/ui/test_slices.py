"""Tests of :mod:`p2pchat.ui.slices`."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.slices import Slices


class SlicesTests(SynchronousTestCase):
    """Much work comes in turns, in order; little is done at once."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[int] = []
        self.emptied: list[bool] = []
        self.slices = Slices(
            cast(Any, self.clock), 3, most=10, emptied=lambda: self.emptied.append(True)
        )

    def work(self, number: int, cost: int = 1) -> int:
        """Do a piece of work."""
        self.done.append(number)
        return cost

    def put(self, *numbers: int) -> None:
        """Put pieces of work."""
        self.slices.put([partial(self.work, number) for number in numbers])

    def test_little(self) -> None:
        """What fits the turn is done at once, and the next turn has all its room again."""
        self.put(1, 2, 3)
        self.assertEqual((self.done, len(self.emptied)), ([1, 2, 3], 1))
        self.clock.advance(0)
        self.put(4)
        self.assertEqual(self.done, [1, 2, 3, 4])
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_much(self) -> None:
        """What doesn't fit comes in later turns, before what is put meanwhile."""
        self.put(1, 2, 3, 4, 5)
        self.put(6, 7)
        self.assertEqual((self.done, len(self.slices)), ([1, 2, 3], 4))
        self.clock.advance(0)
        self.assertEqual((self.done, self.emptied), ([1, 2, 3, 4, 5, 6, 7], [True]))

    def test_too_much(self) -> None:
        """No more than so many wait."""
        self.put(*range(20))
        self.assertEqual((len(self.done), len(self.slices)), (10, 10))

    def test_costly(self) -> None:
        """A piece may cost more than a turn has; it is done, and ends the turn."""
        self.slices.put([partial(self.work, 1, 99), partial(self.work, 2)])
        self.assertEqual(self.done, [1])
        self.clock.advance(0)
        self.assertEqual(self.done, [1, 2])

    def test_piece_in_piece(self) -> None:
        """A piece that brings another doesn't do it itself."""
        self.slices.put([lambda: self.put(2) or self.work(1)])  # type: ignore[func-returns-value]
        self.assertEqual(self.done, [1, 2])

    def test_end(self) -> None:
        """At the end all that waits is done, or forgotten; no timer is left."""
        self.put(1, 2, 3, 4)
        self.slices.finish()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([1, 2, 3, 4], []))
        self.put(5, 6, 7, 8)
        self.slices.stop()
        self.assertEqual((self.done[-1], self.clock.getDelayedCalls()), (7, []))
