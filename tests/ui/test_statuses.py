"""Statuses beside a name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.ui.statuses import MAX_PEERS, TYPING_SHOWN, Statuses
from tests.ui.fake_node import BOB, CAROL


class StatusesTests(SynchronousTestCase):
    """They say what is so now, and of one conversation."""

    def setUp(self) -> None:
        self.statuses = Statuses()

    def follow(self, *values: events.NodeEvent) -> None:
        """Take events at second 0."""
        for value in values:
            self.statuses.follow(value, 0.0)

    def of(self, peer_id: str = BOB, now: float = 0.0) -> str:
        """Return what stands beside a name."""
        return self.statuses.of(peer_id, now)

    def test_read(self) -> None:
        """All is read once the last line is, until there is another."""
        self.follow(events.MessageSent(BOB, "1", "x"), events.MessageSent(BOB, "2", "y"))
        self.follow(events.MessagesRead(BOB, "1"))
        self.assertEqual(self.of(), "")
        self.follow(events.MessagesRead(BOB, "2"))
        self.assertEqual((self.of(), self.of(CAROL)), ("read", ""))
        self.follow(events.MessageSent(BOB, "3", "z"))
        self.assertEqual(self.of(), "")
        self.follow(events.MessagesRead(BOB, "3"), events.MessageReceived(BOB, "b", "m", "a", 0.0))
        self.assertEqual(self.of(), "")

    def test_typing(self) -> None:
        """Typing is over by itself, and with the line that it was for, or the link."""
        typing = events.PeerTyping(BOB, "bob")
        self.follow(typing)
        self.assertEqual((self.of(), self.of(now=TYPING_SHOWN)), ("typing", ""))
        self.assertEqual(self.statuses.until(BOB, 1.0), TYPING_SHOWN)
        self.assertIsNone(self.statuses.until(BOB, TYPING_SHOWN))
        for end in (
            events.MessageReceived(BOB, "bob", "m", "x", 0.0),
            events.Disconnected(BOB, "bob", "left", 0),
            events.PathLost(BOB, "bob", "x"),
        ):
            self.follow(typing, end)
            self.assertEqual(self.of(), "")

    def test_bounded(self) -> None:
        """Of very many peers the first are forgotten."""
        for number in range(MAX_PEERS + 1):
            self.follow(events.PeerTyping(f"{number}", "x"))
        self.assertEqual((self.of("0"), self.of(f"{MAX_PEERS}")), ("", "typing"))
