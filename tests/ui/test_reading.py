"""Lines that were shown, and seen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.ui import results
from p2pchat.ui.reading import MAX_PEERS, ShownLines
from tests.ui.fake_history import line
from tests.ui.fake_node import BOB, CAROL, FakeNode


class ShownLinesTests(SynchronousTestCase):
    """The node is told of the last one, once."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.lines = ShownLines(self.node)

    def show(self, peer_id: str, id: str) -> None:
        """Show a line."""
        self.lines.show(events.MessageReceived(peer_id, "x", id, "text", 0.0))

    def test_seen(self) -> None:
        """All that was shown of one peer is seen with the last line."""
        for id in ("1", "2"):
            self.show(BOB, id)
        self.show(CAROL, "3")
        self.lines.seen(BOB)
        self.lines.seen(BOB)
        self.assertEqual(self.node.asked, [("seen", BOB, "2")])

    def test_history(self) -> None:
        """So is the last line of theirs that a history shows, unless a newer one came."""
        lines = (line(BOB, "x"), line(BOB, "xx", ours=True))
        self.lines.show(results.History(BOB, "bob", lines))
        self.lines.seen(BOB)
        self.show(BOB, "9")
        self.lines.show(results.History(BOB, "bob", lines))
        self.lines.seen(BOB)
        self.assertEqual([one[2] for one in self.node.asked], [lines[0].id, "9"])

    def test_bounded(self) -> None:
        """Strangers can't make it remember more than so many."""
        for number in range(MAX_PEERS + 1):
            self.show(f"{number}", "1")
        for number in (0, MAX_PEERS):
            self.lines.seen(f"{number}")
        self.assertEqual(self.node.asked, [("seen", f"{MAX_PEERS}", "1")])
