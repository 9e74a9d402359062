"""The yes to one call."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.approval import RETRY_PATIENCE, RETURN_PATIENCE, Approval, By

NOW = 7.0


class ApprovalTests(SynchronousTestCase):
    """An approval is for one call and its conversation."""

    def setUp(self) -> None:
        self.approval = Approval()

    def test_ends(self) -> None:
        """Nobody's at first, it ends with the call."""
        self.assertFalse(self.approval.holds(NOW))
        for by in (By.POLICY, By.PERSON):
            self.approval.give(by)
            self.assertTrue(self.approval.holds(NOW))
            self.approval.end()
            self.assertFalse(self.approval.holds(NOW))

    def test_person(self) -> None:
        """What the person has approved isn't made the policy's by a fresh offer."""
        self.approval.give(By.POLICY)
        self.assertFalse(self.approval.was_wanted)
        self.approval.give(By.PERSON)
        self.approval.give(By.POLICY)
        self.assertIs(self.approval.by, By.PERSON)
        self.approval.end()
        self.assertTrue(self.approval.was_wanted)

    def test_lost(self) -> None:
        """After a loss it holds for a while; who comes back in time has it again."""
        self.approval.give(By.PERSON)
        self.approval.lose(NOW)
        self.assertTrue(self.approval.holds(NOW + RETURN_PATIENCE - 1))
        self.assertFalse(self.approval.holds(NOW + RETURN_PATIENCE))
        self.approval.give(By.POLICY)
        self.assertTrue(self.approval.holds(NOW + RETURN_PATIENCE))

    def test_forgotten(self) -> None:
        """Whom the person has forgotten goes on talking, and doesn't come back by himself."""
        self.approval.give(By.PERSON)
        self.approval.disown()
        self.assertTrue(self.approval.holds(NOW))
        self.approval.lose(NOW)
        self.assertFalse(self.approval.holds(NOW))
        self.approval.give(By.PERSON)
        self.approval.lose(NOW)
        self.approval.disown()
        self.assertFalse(self.approval.holds(NOW))

    def test_next_attempt(self) -> None:
        """The next attempt of a call needs no yes of its own, if it comes soon."""
        self.approval.give(By.PERSON)
        self.approval.await_retry(NOW)
        self.assertTrue(self.approval.holds(NOW + RETRY_PATIENCE - 1))
        self.assertFalse(self.approval.holds(NOW + RETRY_PATIENCE))

    def test_lost_by_policy(self) -> None:
        """What the policy approved is lost with the conversation: the policy can say yes again."""
        self.approval.give(By.POLICY)
        self.approval.lose(NOW)
        self.assertFalse(self.approval.holds(NOW))
