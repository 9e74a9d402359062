"""This machine's clock, corrected by the registry's."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.wall_clock import NOTICEABLE, WallClock, described

NOW = 1_800_000_000.0
DAY = 86_400.0


class WallClockTests(SynchronousTestCase):
    """What an answer of the registry changes."""

    def setUp(self) -> None:
        self.system = NOW
        self.steady = 1000.0
        self.true = NOW  # the registry's
        self.warned: list[str] = []
        self.clock = WallClock(lambda: self.system, lambda: self.steady, self.warned.append)

    def run_for(self, seconds: float) -> None:
        """Let time pass, on all clocks."""
        self.system += seconds
        self.steady += seconds
        self.true += seconds

    def tell(self, took: float = 0.1) -> None:
        """Let the registry answer."""
        asked_at = self.steady
        self.run_for(took / 2)
        theirs = float(int(self.true))
        self.run_for(took / 2)
        self.clock.observe(theirs, asked_at)

    def assert_right(self, within: float = 1.2) -> None:
        """The clock shows what the registry's does."""
        self.assertLess(abs(self.clock.now() - self.true), within)

    def test_silence(self) -> None:
        """This machine's clock counts until the registry has said something, set or not."""
        for set_by in (0.0, 3600.0, -DAY):
            self.system += set_by
            self.assertEqual(self.clock.now(), self.system)

    def test_same(self) -> None:
        """Clocks that agree stay as they are, however long the answer took."""
        for took in (0.0, 0.3, 4.9):
            for _ in range(10):
                self.run_for(0.1)
                self.tell(took)
                self.assert_right(1e-5)
        self.assertEqual(self.warned, [])

    def test_corrected(self) -> None:
        """A difference is taken as exactly as whole seconds allow, however far it is."""
        for error in (5.0, -5.0, 50.0, -3600.0, 7 * DAY, 10_000 * DAY, -20_000 * DAY):
            self.system, self.true = NOW, NOW + error
            self.tell()
            self.assert_right()

    def test_set(self) -> None:
        """It doesn't matter how far this machine's clock is set between two answers."""
        self.tell()
        for set_by in (60.0, -3600.0, -9000 * DAY, 10_000 * DAY):
            self.system += set_by
            self.run_for(7.0)
            self.assert_right(1e-4)
        self.tell()
        self.assert_right(1e-4)

    def test_registry_set(self) -> None:
        """The registry's clock is gone by from its next answer on."""
        self.tell()
        for set_by in (-600.0, 3600.0, -400 * DAY):
            self.true += set_by
            self.tell()
            self.assert_right()

    def test_told(self) -> None:
        """The person is told once which clock is wrong, and by how much, if it is noticeable."""
        self.true += NOTICEABLE - 3
        self.tell()
        self.assertEqual(self.warned, [])
        self.true = self.system - 300.0
        self.tell()
        self.true = self.system + 2 * DAY
        self.tell()
        (sentence,) = self.warned
        self.assertIn("this machine's clock is 5 minutes ahead of the registry's", sentence)

    def test_told_when_set(self) -> None:
        """A clock that is set while the program runs is told of at the next answer."""
        self.tell()
        self.system -= 10 * DAY
        self.tell()
        (sentence,) = self.warned
        self.assertIn("10 days behind", sentence)

    def test_words(self) -> None:
        """A difference is said in the unit that suits it."""
        for difference, words in (
            (50.0, "50 seconds behind"),
            (-119.4, "119 seconds ahead of"),
            (7200.0, "2 hours behind"),
            (-86400.0 * 366, "366 days ahead of"),
        ):
            self.assertEqual(described(difference), words)
