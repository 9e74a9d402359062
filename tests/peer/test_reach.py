"""By which ways documents reach a node, and what is worth telling of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.reach import Reach, ReachTable
from tests.peer.fake_signaling import FakeSignaling


class ReachTests(SynchronousTestCase):
    """Two ways."""

    def setUp(self) -> None:
        self.first, self.second = FakeSignaling("first"), FakeSignaling("second")
        self.reach = ReachTable([self.first, self.second])

    def states(self) -> list[str]:
        """Return how the two are."""
        return [self.reach.info(one).state for one in (self.first, self.second)]

    def test_states(self) -> None:
        """Each is said to be as it said last; all are of use while none is there."""
        self.assertEqual(self.states(), ["starting", "starting"])
        self.assertEqual(self.reach.usable(), [self.first, self.second])
        self.assertTrue(self.reach.became_available(self.second, ()))
        self.assertFalse(self.reach.became_available(self.second, ()))
        self.reach.lost(self.first, "taken over", True)
        self.assertEqual(self.states(), ["displaced", "reachable"])
        self.assertEqual(self.reach.info(self.first).reason, "taken over")
        self.assertEqual(self.reach.usable(), [self.second])
        self.assertEqual(self.reach.those(Reach.DISPLACED), [self.first])

    def test_stun(self) -> None:
        """What any of them named is used, once."""
        one, other = ("192.0.2.1", 3478), ("192.0.2.2", 3478)
        self.reach.became_available(self.first, (one,))
        self.reach.became_available(self.second, (one, other))
        self.assertEqual(self.reach.stun(), (one, other))

    def test_losses(self) -> None:
        """Worth telling: one that was there, and the last one when all have spoken."""
        self.assertFalse(self.reach.lost(self.first, "away", False))
        self.assertTrue(self.reach.lost(self.second, "away", False))
        self.reach.became_available(self.first, ())
        self.assertFalse(self.reach.lost(self.second, "away", False))
        self.assertTrue(self.reach.lost(self.first, "away", False))

    def test_waiting(self) -> None:
        """Who waits for a way goes on when that is there; who waits for any, at the first."""
        any_, second = self.reach.any.passed(), self.reach.passed(self.second)
        self.reach.became_available(self.first, ())
        self.reach.open(self.first)
        self.successResultOf(any_)
        self.assertNoResult(second)
        self.reach.lost(self.first, "away", False)
        waiting = self.reach.any.passed()
        self.assertNoResult(waiting)
        self.reach.release()
        for one in (second, waiting):
            self.successResultOf(one)
