"""Tests of :mod:`p2pchat.ui.slices`."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.slices import Slices


class SlicesTests(SynchronousTestCase):
    """Much work comes in turns, in order; little is done at once."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[int] = []
        self.slices: Slices[int] = Slices(cast(Any, self.clock), 3, 10, self.work)

    def work(self) -> None:
        """Do the pieces of work that there is room for."""
        self.slices.work(self.do)

    def do(self, number: int) -> int:
        """Do a piece of work; a number of three digits costs as much as it says, and 0 fails."""
        if number == 0:
            raise ArithmeticError
        self.done.append(number)
        return number if number > 99 else 0

    def put(self, *numbers: int) -> None:
        """Put pieces of work, and do what there is room for."""
        self.slices.put(numbers)
        self.work()

    def test_little(self) -> None:
        """What fits the turn is done at once, and the next turn has all its room again."""
        self.put(1, 2, 3)
        self.assertEqual(self.done, [1, 2, 3])
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
        self.assertEqual(self.done, [1, 2, 3, 4, 5, 6, 7])

    def test_too_much(self) -> None:
        """No more than so many wait."""
        self.put(*range(1, 21))
        self.assertEqual((len(self.done), len(self.slices)), (10, 10))

    def test_costly(self) -> None:
        """A piece may cost more than a turn has; it is done, and ends the turn."""
        self.put(100, 2)
        self.assertEqual(self.done, [100])
        self.clock.advance(0)
        self.assertEqual(self.done, [100, 2])

    def test_fault(self) -> None:
        """A piece that fails keeps no other from its turn."""
        self.assertRaises(ArithmeticError, self.put, 0, 2)
        self.clock.advance(0)
        self.assertEqual(self.done, [2])

    def test_end(self) -> None:
        """At the end all that waits is done, or forgotten; no timer is left."""
        self.put(1, 2, 3, 4)
        self.slices.finish()
        self.put(5)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([1, 2, 3, 4, 5], []))
        self.slices.put([6])
        self.slices.stop()
        self.work()
        self.assertEqual((self.done[-1], self.clock.getDelayedCalls()), (5, []))
