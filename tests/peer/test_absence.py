"""Calls that wait for the registry to be back."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.absence import PATIENCE, Absence


class AbsenceTests(SynchronousTestCase):
    """A call goes out when an answer can reach us, or when patience ends."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.absence = Absence(self.clock)

    def test_back(self) -> None:
        """Who waits goes on when the registry is back; who comes then doesn't wait."""
        first, second = self.absence.passed(), self.absence.passed()
        self.assertNoResult(first)
        self.absence.end()
        for one in (first, second, self.absence.passed()):
            self.successResultOf(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_patience(self) -> None:
        """Patience ends, and the registry's return is nothing to who went on."""
        waiting = self.absence.passed()
        self.clock.advance(PATIENCE)
        self.successResultOf(waiting)
        self.absence.end()

    def test_lost_again(self) -> None:
        """After another loss calls wait again."""
        self.absence.end()
        self.absence.begin()
        self.assertNoResult(self.absence.passed())
        self.absence.release()
        self.assertEqual(self.clock.getDelayedCalls(), [])
