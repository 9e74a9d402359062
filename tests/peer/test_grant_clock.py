"""The clock that grants run out by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.grant_clock import GrantClock

NOW = 1_800_000_000.0
_STEPS = st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e9, 1e9)), max_size=20)


class GrantClockTests(SynchronousTestCase):
    """A machine whose clock is set."""

    def setUp(self) -> None:
        self.wall, self.steady = NOW, 5.0

    def clock(self, latest: float = 0.0) -> GrantClock:
        """Return the clock of a program that begins now."""
        return GrantClock(lambda: self.wall, lambda: self.steady, latest)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.wall, self.steady = self.wall + seconds, self.steady + seconds

    def test_right(self) -> None:
        """It is the machine's own where nobody sets that."""
        clock = self.clock()
        self.assertEqual(clock.now(), NOW)
        self.wait(60)
        self.assertEqual(clock.now(), NOW + 60)

    def test_asleep(self) -> None:
        """The steady clock of a laptop stands still while that sleeps; the time counts."""
        clock = self.clock()
        clock.now()
        self.wall += 3600
        self.assertEqual(clock.now(), NOW + 3600)

    def test_set_back(self) -> None:
        """It goes on by the steady clock while the machine's is behind."""
        clock = self.clock()
        clock.now()
        self.wall -= 86_400
        self.wait(10)
        self.assertEqual(clock.now(), NOW + 10)

    def test_restarted(self) -> None:
        """A program that begins under another date goes on from the time that was kept."""
        latest = self.clock().now()
        self.wall = 0.0  # no battery
        clock = self.clock(latest)
        self.assertEqual(clock.now(), NOW)
        self.wait(7)
        self.assertEqual(clock.now(), NOW + 7)

    @given(_STEPS)
    def test_forward(self, steps: list[tuple[float, float]]) -> None:
        """Whatever is done to the machine's clock, no time comes again, and none takes longer."""
        clock = self.clock()
        before = clock.now()
        for passed, step in steps:
            self.wait(passed)
            self.wall += step
            now = clock.now()
            self.assertGreaterEqual(now, before + passed - 1e-3)
            before = now
