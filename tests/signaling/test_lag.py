"""The lateness of the event loop."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.signaling.lag import INTERVAL, LagProbe


class LagProbeTests(SynchronousTestCase):
    """A timer knows by how much it was missed."""

    def test_lag(self) -> None:
        """On time it is 0; late, it is the lateness of the last timer."""
        clock = Clock()
        probe = LagProbe(clock)
        probe.start()
        for passed, lag in ((INTERVAL, 0.0), (INTERVAL + 0.5, 0.5), (INTERVAL, 0.0)):
            clock.advance(passed)
            self.assertAlmostEqual(probe.lag, lag)

    def test_stop(self) -> None:
        """Stopped, or never begun, it leaves no timer."""
        clock = Clock()
        probe = LagProbe(clock)
        probe.stop()
        probe.start()
        clock.advance(INTERVAL)
        probe.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
