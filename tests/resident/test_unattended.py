"""Tests of :mod:`p2pchat.resident.unattended`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.resident.unattended import Unattended
from tests.ui.fake_node import BOB, CAROL, FakeNode


class UnattendedTests(SynchronousTestCase):
    """Calls at a node where nobody is."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.is_attended = False
        self.node.listen(Unattended(self.node, lambda: self.is_attended))

    def test_refused(self) -> None:
        """A call that somebody would have to accept is refused."""
        self.node.offer(BOB)
        self.assertEqual(self.node.asked, [("reject", BOB)])

    def test_somebody_there(self) -> None:
        """It waits for whoever is there."""
        self.is_attended = True
        self.node.offer(BOB)
        self.assertEqual(self.node.asked, [])

    def test_accepted(self) -> None:
        """What the policy accepts is nobody's business."""
        self.node.tell(events.OfferReceived(CAROL, "carol", True))
        self.assertEqual(self.node.asked, [])

    def test_taken_back(self) -> None:
        """One that was taken back meanwhile is no fault."""
        self.node.tell(events.OfferReceived(BOB, "bob", False))
        self.assertEqual(self.node.asked, [])
