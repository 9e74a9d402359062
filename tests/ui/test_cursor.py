"""Tests of :mod:`p2pchat.ui.cursor`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import WhoError
from p2pchat.peer.settings import ConversationInfo
from p2pchat.ui.cursor import MAX_NAMED, OFFERED, Cursor, advice, names
from tests.ui.fake_node import BOB, CAROL


def offer(number: int, contact: bool = False, quiet: bool = False) -> ConversationInfo:
    """Return a call that waits."""
    return ConversationInfo(f"{number:08}", f"n{number}", OFFERED, contact=contact, quiet=quiet)


class CursorTests(SynchronousTestCase):
    """Nothing is said to anybody whom the person didn't mean."""

    def test_current(self) -> None:
        """The first conversation is current; its end leaves none, and no other takes its place."""
        cursor = Cursor()
        connected = events.Connected(BOB, "bob", 1.0, False)
        self.assertEqual(cursor.follow(connected), BOB)
        cursor = Cursor(current=BOB, was_chosen=True)
        self.assertEqual(cursor.follow(events.Connected(CAROL, "carol", 1.0, False)), BOB)
        self.assertEqual(cursor.follow(events.Disconnected(CAROL, "carol", "left", 0)), BOB)
        self.assertEqual(cursor.last, (CAROL, "carol"))
        self.assertEqual(cursor.follow(events.Disconnected(BOB, "bob", "left", 0)), "")

    def test_waits(self) -> None:
        """Where lines wait for the one who left it stays, unless our person ended it."""
        cursor = Cursor(current=BOB, was_chosen=True)
        left = events.Disconnected(BOB, "bob", "left", 0, waits=True)
        self.assertEqual(cursor.follow(left), BOB)
        failed = events.CallFailed(BOB, "bob", "peer-offline", "", waits=True)
        self.assertEqual(cursor.follow(failed), BOB)
        ours = events.Disconnected(BOB, "bob", "closed", 0, ours=True, waits=True)
        self.assertEqual(cursor.follow(ours), "")

    def test_only_offer(self) -> None:
        """An answer without a name is for the only one who waits, or the only contact."""
        cursor = Cursor()
        self.assertEqual(cursor.only_offer([offer(1), offer(2, quiet=True)]), offer(1).peer_id)
        self.assertEqual(cursor.only_offer([offer(1), offer(2, contact=True)]), offer(2).peer_id)
        for waiting, part in (
            ([], "Nobody is calling"),
            ([offer(1, quiet=True)], "Only silent calls wait"),
            ([offer(1), offer(2)], "n1 (00000001), n2 (00000002)"),
        ):
            error = self.assertRaises(WhoError, cursor.only_offer, waiting)
            self.assertIn(part, str(error))

    def test_gone(self) -> None:
        """An answer that may be for a call that has just ended is for nobody, once."""
        cursor = Cursor()
        cursor.follow(events.OfferReceived(BOB, "bob", False))
        cursor.follow(events.OfferEnded(BOB, "bob", "cancelled"))
        error = self.assertRaises(WhoError, cursor.only_offer, [offer(1)])
        self.assertIn("bob no longer calls", str(error))
        self.assertEqual(cursor.only_offer([offer(1)]), offer(1).peer_id)

    def test_advice(self) -> None:
        """What somebody can do depends on who is there."""
        self.assertIn("/connect WHO", advice([]))
        self.assertIn("/accept", advice([offer(1), ConversationInfo(BOB, "bob", "open")]))
        self.assertIn("/to WHO", advice([ConversationInfo(BOB, "bob", "open")]))

    def test_names(self) -> None:
        """Of many the first few are named."""
        many = names([offer(number) for number in range(MAX_NAMED + 3)])
        self.assertTrue(many.endswith("n4 (00000004) and 3 more"), many)
