"""This machine's clock, corrected by the registry's."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.wall_clock import MOST_BELIEVED, NOTICEABLE, WallClock, described

NOW = 1_800_000_000.0


class WallClockTests(SynchronousTestCase):
    """What an answer of the registry changes."""

    def setUp(self) -> None:
        self.system = NOW
        self.warned: list[str] = []
        self.clock = WallClock(lambda: self.system, self.warned.append)

    def tell(self, error: float, took: float = 0.1) -> None:
        """Let the registry answer, whose clock is ahead by so many seconds."""
        asked_at = self.system
        theirs = float(int(asked_at + took / 2 + error))
        self.system += took
        self.clock.observe(theirs, asked_at)

    @property
    def offset(self) -> float:
        """By how much the clock is corrected."""
        return self.clock.now() - self.system

    def test_same(self) -> None:
        """Clocks that agree stay as they are, however long the answer took."""
        for took in (0.0, 0.3, 4.9):
            for part in range(10):
                self.system = NOW + part / 10
                self.tell(0.0, took)
                self.assertEqual(self.offset, 0.0)
        self.assertEqual(self.warned, [])

    def test_corrected(self) -> None:
        """A difference is taken as exactly as whole seconds allow."""
        for error in (5.0, -5.0, 50.0, -3600.0, MOST_BELIEVED - 5):
            self.tell(error)
            self.assertLess(abs(self.offset - error), 1.2)

    def test_right_again(self) -> None:
        """A clock that is set while the program runs is believed again."""
        self.tell(600.0)
        self.system += 600.0
        self.tell(0.0)
        self.assertLess(abs(self.offset), 1.2)

    def test_told(self) -> None:
        """The person is told once which clock is wrong, and by how much, if it is noticeable."""
        self.tell(NOTICEABLE - 3)
        self.assertEqual(self.warned, [])
        self.tell(-300.0)
        self.tell(300.0)
        (sentence,) = self.warned
        self.assertIn("this machine's clock is 5 minutes ahead of the registry's", sentence)

    def test_not_believed(self) -> None:
        """More than a day is not believed, in all; the person is told that, once."""
        self.tell(MOST_BELIEVED - 100)
        for days in (2, -2, 365, 10_000, -10_000):
            self.tell(86_400.0 * days)
            self.assertLess(abs(self.offset), MOST_BELIEVED)
        self.assertEqual(len(self.warned), 2)
        self.assertIn("2 days behind", self.warned[-1])

    def test_set_meanwhile(self) -> None:
        """An answer whose request seems to be later says nothing."""
        self.clock.observe(NOW + 100, NOW + 1000)
        self.assertEqual(self.offset, 0.0)

    def test_words(self) -> None:
        """A difference is said in the unit that suits it."""
        for difference, words in (
            (50.0, "50 seconds behind"),
            (-119.4, "119 seconds ahead of"),
            (7200.0, "2 hours behind"),
            (-86400.0 * 366, "366 days ahead of"),
        ):
            self.assertEqual(described(difference), words)
