"""Rhythms of a node."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.rhythms import Rhythms


class RhythmsTests(SynchronousTestCase):
    """Things that are done again and again."""

    def setUp(self) -> None:
        self.clock, self.done = Clock(), 0
        self.rhythms = Rhythms(self.clock)

    def do(self) -> None:
        """Do it."""
        self.done += 1

    def test_again(self) -> None:
        """Each is done at its interval, which may change, until all are stopped."""
        self.assertFalse(self.rhythms.is_running)
        call = self.rhythms.begin(self.do, 2.0)
        self.assertTrue(self.rhythms.is_running)
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.done, 2)
        call.interval = 1.0
        call.reset()
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.done, 7)
        self.rhythms.stop()
        self.assertFalse(self.rhythms.is_running)
        self.clock.pump([1.0] * 5)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (7, []))

    def test_fails(self) -> None:
        """What fails is logged and goes on."""

        def fail() -> None:
            self.do()
            raise ZeroDivisionError

        self.rhythms.begin(fail, 1.0)
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.done, 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
