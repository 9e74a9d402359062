"""Round trips that were measured, and limits that follow."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.round_trips import REMEMBERED, TRIPS, RoundTrips, bounded


class RoundTripsTests(SynchronousTestCase):
    """The estimate, and what may be waited."""

    def setUp(self) -> None:
        self.trips = RoundTrips()

    def test_unknown(self) -> None:
        """Where nothing was measured a limit is its floor."""
        self.assertEqual((self.trips.smoothed, self.trips.limit(1.2, 30)), (0.0, 1.2))

    def test_presumed(self) -> None:
        """Those of another way stand for it until one is measured."""
        trips = RoundTrips(lambda: 4.0)
        self.assertEqual(trips.limit(1.2), TRIPS * 4.0)
        self.assertEqual(trips.limit(1.2, trips=2), 2 * 4.0)
        trips.measured(0.02)
        self.assertEqual(trips.limit(1.2), 1.2)

    def test_short(self) -> None:
        """Round trips that are short change no limit."""
        self.trips.measured(0.02)
        self.assertEqual(self.trips.limit(1.2, 30), 1.2)

    def test_long(self) -> None:
        """A limit is several of those that are long, and never more than its ceiling."""
        self.trips.measured(2.0)
        self.assertAlmostEqual(self.trips.limit(1.2, 30), TRIPS * 2.0)
        self.assertEqual(self.trips.limit(1.2, 5), 5)

    def test_growing(self) -> None:
        """Where they have begun to grow, one measurement raises the limit above it."""
        for _ in range(50):
            self.trips.measured(0.02)
        self.trips.measured(3.0)
        self.assertGreater(self.trips.limit(1.2, 30), 3.0)
        self.assertLess(self.trips.smoothed, 1.0)

    def test_bounded(self) -> None:
        """A limit lies between its floor and its ceiling."""
        self.assertEqual([bounded(1, wanted, 3) for wanted in (0, 2, 9)], [1, 2, 3])

    def test_backed_off(self) -> None:
        """Each failure doubles the next limit, up to a ceiling, until one succeeds or is old."""
        limits = []
        for now in range(6):
            limits.append(self.trips.backed_off(1.2, 8.0, now))
            self.trips.ended(False, now)
        self.assertEqual(limits, [1.2, 2.4, 4.8, 8.0, 8.0, 8.0])
        self.assertEqual(self.trips.backed_off(1.2, 8.0, 5 + REMEMBERED), 1.2)
        self.trips.ended(True, 6)
        self.assertEqual(self.trips.backed_off(1.2, 8.0, 7), 1.2)
