"""Tests of the rate of a transfer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.transfer_rate import SPAN, TransferRate


class RateTests(SynchronousTestCase):
    """The rate, and the time that is left."""

    def test_unknown(self) -> None:
        """It isn't known before anything moved."""
        rate = TransferRate()
        self.assertEqual((rate.rate(), rate.seconds_left(5)), (0.0, None))
        rate.note(0, 1.0)
        self.assertEqual((rate.rate(), rate.seconds_left(5)), (0.0, None))
        rate.note(0, 1.0)
        self.assertEqual(rate.rate(), 0.0)

    def test_steady(self) -> None:
        """It is what came in the last while."""
        rate = TransferRate()
        for second in range(5):
            rate.note(100 * second, float(second))
        self.assertEqual((rate.rate(), rate.seconds_left(250)), (100.0, 2.5))

    def test_slower(self) -> None:
        """A path that gets slower is followed, and one that stands still."""
        rate = TransferRate()
        for second in range(30):
            rate.note(1000 * min(second, 10) + 10 * max(second - 10, 0), float(second))
        self.assertEqual(rate.rate(), 10.0)

    def test_bounded(self) -> None:
        """However often something is noted, what is kept is bounded."""
        rate = TransferRate()
        for number in range(10_000):
            rate.note(number, number / 100)
        self.assertLess(len(repr(rate)), 100 * SPAN * 4)
        self.assertAlmostEqual(rate.rate(), 100.0, delta=5)
