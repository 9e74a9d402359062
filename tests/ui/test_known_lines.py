"""Lines that were shown, so that one can be meant."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.ui.known_lines import MAX_KNOWN, KnownLines
from tests.ui.fake_history import line
from tests.ui.fake_node import BOB, CAROL


class KnownLinesTests(SynchronousTestCase):
    """Bob and Carol talk to us."""

    def setUp(self) -> None:
        self.known = KnownLines()
        self.known.receive(events.MessageReceived(BOB, "bob", "b1", "hi", 0.0))
        self.known.receive(events.MessageSent(BOB, "a1", "ho"))
        self.known.receive(events.MessageReceived(CAROL, "carol", "c1", "psst", 0.0))

    def last(self, ours: bool) -> str:
        """Return the last line in Bob's conversation."""
        found = self.known.last(BOB, ours)
        return "" if found is None else found.id

    def test_last(self) -> None:
        """Each conversation has a last line of theirs, and one of ours."""
        self.assertEqual((self.last(False), self.last(True)), ("b1", "a1"))

    def test_changes(self) -> None:
        """What was changed says so; what was deleted isn't meant, and comes back by nothing."""
        self.known.receive(events.MessageEdited(BOB, "bob", "b1", "b2", 0.0, "hello"))
        self.known.receive(events.MessageSent(BOB, "a2", "", deletes="a1"))
        self.known.receive(events.MessageSent(BOB, "a3", "again", edits="a1"))
        self.assertEqual((self.known.text("b1"), self.known.text("a1")), ("hello", ""))
        self.assertEqual((self.last(False), self.last(True)), ("b1", ""))
        self.known.receive(events.MessageDeleted(BOB, "bob", "b1", "b3", 0.0))
        self.assertEqual(self.last(False), "")

    def test_unknown_kind(self) -> None:
        """What can't be shown is no line."""
        self.known.receive(events.MessageReceived(BOB, "bob", "b9", "a poll", 0.0, "poll"))
        self.assertEqual(self.last(False), "b1")

    def test_list(self) -> None:
        """Numbers are those of the last list; its lines are older than what was said since."""
        listed = [line(BOB, "long ago"), attrs.evolve(line(BOB, ""), deleted=True)]
        self.known.show(listed, numbered=True)
        found = self.known.numbered(1), self.known.numbered(2)
        self.assertEqual([one and one.text for one in found], ["long ago", None])
        self.assertEqual((self.known.numbered(0), self.known.numbered(3)), (None, None))
        self.assertEqual(self.last(False), "b1")

    def test_bound(self) -> None:
        """The oldest are forgotten."""
        for number in range(MAX_KNOWN):
            self.known.receive(events.MessageSent(BOB, f"s{number}", "x"))
        self.assertIsNone(self.known.get("b1"))
        self.assertEqual(self.last(True), f"s{MAX_KNOWN - 1}")
