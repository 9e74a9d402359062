"""Paths that are lost, and paths that are only slow."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.path_loss import LONGEST_QUIET, QUEUE, QUIET, SLOW, SPARED, PathLoss

NOW = 100.0


class PathLossTests(SynchronousTestCase):
    """What is reported, and when."""

    def setUp(self) -> None:
        self.reports: list[tuple[str, float]] = []
        self.loss = PathLoss(lambda reason, since: self.reports.append((reason, since)))

    def test_certain(self) -> None:
        """What is certain is reported at once, and once."""
        self.loss.begin("silence", 0.02, True, NOW)
        self.loss.confirm()
        self.loss.confirm()
        self.assertEqual((self.reports, self.loss.end(NOW)), ([("silence", NOW)], False))

    def test_quiet(self) -> None:
        """What isn't is reported when its time is over, from its beginning."""
        self.loss.begin("silence", 0.02, False, NOW)
        self.assertEqual(self.loss.due, NOW + QUIET)
        self.loss.handle_timer(NOW + QUIET - 0.1)
        self.assertEqual(self.reports, [])
        self.loss.handle_timer(NOW + QUIET)
        self.assertEqual((self.reports, self.loss.due), ([("silence", NOW)], None))

    def test_queue(self) -> None:
        """Where much was on the path just before, it waits for what may have queued up."""
        self.loss.begin("silence", 0.02, True, NOW)
        self.assertEqual(self.loss.due, NOW + QUEUE)

    def test_only_slow(self) -> None:
        """Of one that is found in time nothing is reported."""
        self.loss.begin("silence", 0.02, False, NOW)
        self.assertTrue(self.loss.end(NOW))
        self.loss.handle_timer(NOW + QUIET)
        self.assertEqual(self.reports, [])

    def test_long_trips(self) -> None:
        """Where round trips are long it has longer, and so when checks turn out to be slow."""
        self.loss.begin("silence", 3.6, True, NOW)
        self.assertEqual(self.loss.due, NOW + 7.2)
        self.loss.checks_answered(60.0, NOW + 4)
        self.assertEqual(self.loss.due, NOW + 4 + LONGEST_QUIET)

    def test_spared(self) -> None:
        """Some rounds may fail where something comes, more after one that succeeded."""
        for _ in range(2):
            self.assertEqual(
                [self.loss.spares(True, NOW) for _ in range(SPARED + 1)], [True] * SPARED + [False]
            )
            self.loss.checks_answered(0.02, NOW)
        self.assertFalse(self.loss.spares(False, NOW))

    def test_slow_again(self) -> None:
        """For a while after it was only slow it may be so again, though nothing comes."""
        self.loss.begin("silence", 0.02, True, NOW)
        self.loss.end(NOW)
        self.assertTrue(self.loss.spares(False, NOW + 1))
        self.assertFalse(self.loss.spares(False, NOW + 1 + SLOW))
        self.assertEqual(self.loss.due, None)
