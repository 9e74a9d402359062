"""Tests of :mod:`p2pchat.ui.deliveries`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.ui import results
from p2pchat.ui.deliveries import PATIENCE, Deliveries
from tests.ui.fake_node import BOB, CAROL

CONNECTED = events.Connected(BOB, "bob", 97.0, False)
SENT = events.MessageSent(BOB, "s1", "hi")


class DeliveriesTests(SynchronousTestCase):
    """Who waits for a confirmation in vain hears of it, once."""

    def _fed(self, *told: tuple[object, float]) -> Deliveries:
        deliveries = Deliveries()
        for event, now in told:
            deliveries.receive(event, now)
        return deliveries

    def test_overdue(self) -> None:
        """A line that isn't confirmed in time is named once."""
        deliveries = self._fed((CONNECTED, 0.0), (SENT, 1.0))
        self.assertEqual(deliveries.get_timer(), 1.0 + PATIENCE)
        self.assertEqual(deliveries.overdue(0.9 + PATIENCE), [])
        self.assertEqual(deliveries.overdue(1.0 + PATIENCE), [(BOB, ["hi"])])
        self.assertEqual(deliveries.overdue(99.0), [])
        self.assertIsNone(deliveries.get_timer())

    def test_far(self) -> None:
        """Over a path of seconds a line has some of its round trips, before it is overdue."""
        far = events.PathFound(BOB, "bob", "srflx", "srflx", "192.0.2.1:9", 9000.0, 3000.0)
        deliveries = self._fed((CONNECTED, 0.0), (far, 0.0), (SENT, 1.0))
        self.assertEqual(deliveries.overdue(12.9), [])
        self.assertEqual(deliveries.get_timer(), 13.0)
        self.assertEqual(deliveries.overdue(13.0), [(BOB, ["hi"])])

    def test_many(self) -> None:
        """Those of one peer are named together, oldest first; those that came later stay."""
        sent = [(events.MessageSent(BOB, f"s{n}", str(n)), float(n)) for n in range(4)]
        deliveries = self._fed((CONNECTED, 0.0), *sent)
        self.assertEqual(deliveries.overdue(2.0 + PATIENCE), [(BOB, ["0", "1", "2"])])
        self.assertEqual(deliveries.get_timer(), 3.0 + PATIENCE)

    def test_withdrawn(self) -> None:
        """A line that was taken back is not, nor are its changes."""
        edit = events.MessageSent(BOB, "s2", "ho", edits="s1")
        withdrawn = results.Withdrawn(BOB, "bob", "s1", "hi", ("s2",))
        deliveries = self._fed((SENT, 0.0), (edit, 0.0), (withdrawn, 1.0), (CONNECTED, 2.0))
        self.assertEqual(deliveries.overdue(99.0), [])

    def test_deletion(self) -> None:
        """A deletion has no text, and is named as what it is."""
        deletion = events.MessageSent(BOB, "s2", "", deletes="s1")
        deliveries = self._fed((CONNECTED, 0.0), (deletion, 0.0))
        self.assertEqual(deliveries.overdue(99.0), [(BOB, ["(a deletion)"])])

    def test_delivered(self) -> None:
        """A confirmed line is not."""
        delivered = events.MessageDelivered(BOB, "s1", 12.0)
        self.assertIsNone(self._fed((CONNECTED, 0.0), (SENT, 0.0), (delivered, 0.1)).get_timer())

    def test_before_the_conversation(self) -> None:
        """A line typed during the call has its time from the connection on."""
        deliveries = self._fed((SENT, 0.0))
        self.assertIsNone(deliveries.get_timer())
        deliveries.receive(CONNECTED, 60.0)
        self.assertEqual(deliveries.get_timer(), 60.0 + PATIENCE)

    def test_path_lost(self) -> None:
        """While a path is looked for nobody is told what is obvious; the line isn't forgotten."""
        lost = events.PathLost(BOB, "bob", "silence")
        deliveries = self._fed((CONNECTED, 0.0), (SENT, 0.0), (lost, 1.0))
        self.assertEqual(deliveries.overdue(99.0), [])
        deliveries.receive(events.Connected(BOB, "bob", 1.0, True), 100.0)
        self.assertEqual(deliveries.get_timer(), 100.0 + PATIENCE)

    def test_ended(self) -> None:
        """With a conversation its lines are over, and others' are not."""
        ended = events.Disconnected(BOB, "bob", "left", 1)
        other = events.MessageSent(CAROL, "s2", "ho")
        deliveries = self._fed((CONNECTED, 0.0), (SENT, 0.0), (other, 0.0), (ended, 1.0))
        deliveries.receive(events.Connected(CAROL, "carol", 1.0, False), 2.0)
        self.assertEqual(deliveries.overdue(99.0), [(CAROL, ["ho"])])
