"""Waiting for what comes and goes."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.gate import Gate


class GateTests(SynchronousTestCase):
    """Whoever comes to a closed gate waits."""

    def test_open(self) -> None:
        """Those who wait pass when it opens, in their order; who comes then doesn't wait."""
        gate = Gate()
        passed: list[int] = []
        for number in range(3):
            gate.passed().addCallback(lambda _, one: passed.append(one), number)
        self.assertEqual(passed, [])
        gate.open()
        self.assertEqual(passed, [0, 1, 2])
        self.successResultOf(gate.passed())

    def test_closed_again(self) -> None:
        """After a closing others wait, until they are released; that opens nothing."""
        gate = Gate(is_open=True)
        gate.close()
        waiting = gate.passed()
        self.assertNoResult(waiting)
        gate.release()
        self.successResultOf(waiting)
        self.assertNoResult(gate.passed())

    def test_cancelled(self) -> None:
        """One who has given up is in nobody's way."""
        gate = Gate()
        first, second = gate.passed(), gate.passed()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        gate.open()
        self.successResultOf(second)
