"""Time without pauses, as a link's QUIC connection sees it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.link_clock import LATE, LinkClock

NOW = 1000.0


class LinkClockTests(SynchronousTestCase):
    """A clock that begins with ours."""

    def setUp(self) -> None:
        self.clock = LinkClock()

    def test_running(self) -> None:
        """While nothing is late, link time is ours."""
        for now, due in ((NOW, None), (NOW + 1, NOW + 2), (NOW + 2.01, NOW + 2)):
            self.assertEqual(self.clock.time(now, due), now)
        self.assertEqual(self.clock.our_time(NOW + 3), NOW + 3)
        self.assertIsNone(self.clock.our_time(None))

    def test_frozen(self) -> None:
        """A timer that comes a minute late comes in time, and the minute never was."""
        self.assertEqual(self.clock.time(NOW + 60, NOW), NOW)
        self.assertEqual(self.clock.time(NOW + 60.5, NOW + 1), NOW + 0.5)
        self.assertEqual(self.clock.our_time(NOW + 1), NOW + 61)

    def test_busy(self) -> None:
        """What is late by less than LATE is a busy process, and counts."""
        self.assertEqual(self.clock.time(NOW + LATE / 2, NOW), NOW + LATE / 2)

    def test_rounding(self) -> None:
        """A timer that comes as wished finds its time come, whatever was slept before."""
        self.clock.time(NOW + 1 / 3, NOW)
        for due in (NOW + number / 7 for number in range(1, 50)):
            wanted = self.clock.our_time(due)
            assert wanted is not None
            self.assertGreaterEqual(self.clock.time(wanted, due), due)

    def test_standing(self) -> None:
        """While it stands no timer is due; the pause counts as a round trip of the path."""
        self.clock.time(NOW, None)
        self.clock.stand(NOW)
        self.clock.stand(NOW + 5)
        self.assertTrue(self.clock.is_standing)
        self.assertEqual(self.clock.time(NOW + 30, NOW + 1), NOW)
        self.assertIsNone(self.clock.our_time(NOW + 1))
        self.clock.go_on(NOW + 60, 0.25)
        self.assertFalse(self.clock.is_standing)
        self.assertEqual(self.clock.time(NOW + 60, NOW + 1), NOW + 0.25)
        self.assertEqual(self.clock.our_time(NOW + 1), NOW + 60.75)

    def test_skip(self) -> None:
        """Where it stands, just so much passes as is asked for; where it runs, nothing."""
        self.clock.time(NOW, None)
        self.clock.skip_to(NOW + 1)
        self.clock.stand(NOW)
        self.assertEqual(self.clock.time(NOW + 9, None), NOW)
        self.clock.skip_to(NOW + 0.5)
        self.assertAlmostEqual(self.clock.time(NOW + 9, None), NOW + 0.5, 5)

    def test_short_stand(self) -> None:
        """A pause shorter than a round trip counts as what it was."""
        self.clock.time(NOW, None)
        self.clock.stand(NOW)
        self.clock.go_on(NOW + 0.1, 0.25)
        self.assertEqual(self.clock.time(NOW + 0.1, None), NOW + 0.1)

    def test_never_back(self) -> None:
        """Link time never goes back, not when a timer was due long ago either."""
        self.clock.time(NOW + 10, None)
        self.assertEqual(self.clock.time(NOW + 12, NOW), NOW + 10)
