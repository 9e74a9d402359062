"""Mail in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.ui.mail_wording import day_and_time, mailed, not_mailed, place

BOB = "b0b00000-0000-8000-8000-000000000002"
UNTIL = 1_800_000_000.0


class MailWordingTests(SynchronousTestCase):
    """What waits, where and until when."""

    def test_mailed(self) -> None:
        """It is said how many wait, and that nobody has to stay."""
        said = [mailed(events.Mailed(BOB, "bob", n, "x", UNTIL, "url"), "bob") for n in (1, 2000)]
        until = day_and_time(UNTIL)
        self.assertEqual(
            said[0],
            f"1 message waits at the registry for bob, sealed, until {until}: you needn't stay.",
        )
        self.assertIn("2,000 messages wait", said[1])

    def test_not_mailed(self) -> None:
        """The reason is a sentence, safe for a terminal."""
        event = events.NotMailed(BOB, "bob", "token-full", "enough \x1b[31m waits")
        said = not_mailed(event, "bob")
        self.assertIn("waits here until bob and you are both there", said)
        self.assertNotIn("\x1b", said)
        self.assertTrue(said.endswith("."))

    def test_place(self) -> None:
        """A line says where it waits, if that isn't here."""
        line = HistoryLine(BOB, "x", True, "hi", UNTIL, UNTIL, False)
        self.assertEqual(place(line), ())
        there = HistoryLine(BOB, "x", True, "hi", UNTIL, UNTIL, False, kept_until=UNTIL)
        self.assertEqual(place(there), (f"waits at the registry until {day_and_time(UNTIL)}",))
