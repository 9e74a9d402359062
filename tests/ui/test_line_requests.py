"""``/reply``, ``/edit`` and ``/delete``, as a person or program types them."""

from __future__ import annotations

from p2pchat import events
from p2pchat.session.stored import message_id
from p2pchat.ui import results
from p2pchat.wire.entries import MAX_TEXT
from tests.cases import each
from tests.ui.fake_history import line
from tests.ui.fake_node import BOB, CAROL
from tests.ui.test_history_requests import HistoryCase

THEIRS, OURS = message_id(b"b" * 16, 1), message_id(b"a" * 16, 1)


class LineCase(HistoryCase):
    """Bob said something, and so did we."""

    def setUp(self) -> None:
        super().setUp()
        self.node.begin(BOB)
        self.node.can_withdraw = False
        self.node.tell(events.MessageReceived(BOB, "bob", THEIRS, "shall we?", 0.0))
        self.node.tell(events.MessageSent(BOB, OURS, "yse"))

    def said(self, typed: str) -> tuple[str, ...]:
        """Return what the node was asked for."""
        self.node.asked.clear()
        self.requests.type(typed)
        (asked,) = self.node.asked
        return tuple(asked)


class LineTests(LineCase):
    """Which line is meant."""

    def test_last(self) -> None:
        """Without a number it is the last line: theirs is answered, ours changed."""
        self.assertEqual(self.said("/edit 3 yes"), ("send", BOB, "3 yes", "edit", OURS))
        self.assertEqual(self.said("/delete"), ("send", BOB, "", "delete", OURS))
        self.assertEqual(self.said("/reply yes"), ("send", BOB, "yes", "reply", THEIRS))

    def test_number(self) -> None:
        """A number is that of a line of the last list."""
        self.requests.type("/history 3")
        listed = self.front_end.shown[-1].lines
        asked = self.said("/reply #2 two\nlines")
        self.assertEqual(asked, ("send", BOB, "two\nlines", "reply", listed[1].id))

    def test_id(self) -> None:
        """A program names a line by its id, of whichever conversation."""
        hers = self.history.lines[-1]
        self.node.begin(CAROL)
        self.assertEqual(self.said(f"/reply {THEIRS} x"), ("send", BOB, "x", "reply", THEIRS))
        self.assertEqual(self.said(f"/edit {hers.id} x"), ("send", CAROL, "x", "edit", hers.id))

    def test_history(self) -> None:
        """A last line of before is found, too."""
        self.node.begin(CAROL)
        self.requests.type("/to carol")
        hers = self.history.lines[-1]
        self.assertEqual(self.said("/edit x"), ("send", CAROL, "x", "edit", hers.id))
        self.history.lines[-1] = line(CAROL, "hers")
        self.assertIn("no such line", self.trouble("/edit x").reason)

    def test_taken_back(self) -> None:
        """What nobody can have yet is taken back instead of deleted."""
        self.node.can_withdraw = True
        self.assertEqual(self.said("/delete"), ("withdraw", BOB, OURS))
        withdrawn = self.front_end.shown[-1]
        self.assertEqual(withdrawn, results.Withdrawn(BOB, withdrawn.name, OURS, "yse"))

    @each(
        ("/reply", "needs a text"),
        ("/edit", "/delete removes"),
        ("/edit  ", "/delete removes"),
        ("/reply #7 x", "no line has that number"),
        ("/delete that", "/delete takes a line"),
        (f"/edit {THEIRS} x", "a line of theirs"),
        (f"/delete {THEIRS}", "a line of theirs"),
        (f"/reply {'0' * 32}-9 x", "no such line"),
        (f"/reply {'x' * (MAX_TEXT + 1000)}", "characters"),
    )
    def test_refused(self, typed: str, why: str) -> None:
        """What can't be done says why, and nothing is sent."""
        self.assertIn(why, self.trouble(typed).reason)
        self.assertEqual(self.node.asked, [])

    def test_deleted(self) -> None:
        """A deleted line is gone."""
        self.node.tell(events.MessageDeleted(BOB, "bob", THEIRS, "x", 0.0))
        self.assertIn("is deleted", self.trouble(f"/reply {THEIRS} x").reason)

    def test_nobody(self) -> None:
        """Who talks to nobody has to say which line."""
        self.requests.cursor.current = ""
        self.assertIn("nobody", self.trouble("/reply x").reason)
