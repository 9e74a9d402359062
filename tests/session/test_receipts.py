"""Receipts at a bounded rate."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.link import FIRST_KEYS
from p2pchat.session.receipts import RECEIPT_INTERVAL, RECEIPT_LINES, Receipts
from tests.session.pair import Pair

LINES = 40


class ReceiptsTests(SynchronousTestCase):
    """When receipts are due."""

    def setUp(self) -> None:
        self.receipts = Receipts()

    def test_interval(self) -> None:
        """A receipt is due at once, the next ones RECEIPT_INTERVAL after the last one."""
        self.assertIsNone(self.receipts.due)
        self.receipts.read("bob", "e-1", 10.0)
        self.assertEqual(self.receipts.due, 10.0)
        self.assertEqual(self.receipts.take(10.0), {"bob": "e-1"})
        self.assertIsNone(self.receipts.due)
        self.receipts.read("bob", "e-2", 10.001)
        self.receipts.read("bob", "e-3", 10.002)
        self.assertEqual(self.receipts.due, 10.0 + RECEIPT_INTERVAL)
        self.assertEqual(self.receipts.take(10.02), {"bob": "e-3"})
        self.receipts.read("bob", "e-4", 11.0)
        self.assertEqual(self.receipts.due, 11.0)

    def test_many_lines(self) -> None:
        """Many lines, of however many peers, make all receipts due at once, and no state grows."""
        self.receipts.take(10.0)
        for number in range(RECEIPT_LINES):
            self.assertNotEqual(self.receipts.due, 10.0)
            self.receipts.read(f"peer {number}", "e-1", 10.0)
        self.assertEqual(self.receipts.due, 10.0)
        self.assertEqual(len(self.receipts.take(10.0)), RECEIPT_LINES)
        self.assertFalse(self.receipts.owes("peer 1"))


class PairTests(SynchronousTestCase):
    """Receipts between two peers."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.connect()
        self.pair.run(2 * FIRST_KEYS)
        self.pair.chat()  # with it come the link's new keys
        self.pair.run(1)
        self.alice, self.bob = self.pair.both
        for one in self.pair.both:
            one.told.clear()

    def test_one_for_many(self) -> None:
        """Lines that come one right after the other are confirmed together."""
        before = len(self.bob.sent)
        for number in range(LINES):
            self.pair.say(self.alice, f"line {number}")
            self.pair.wire.run(RECEIPT_INTERVAL / 10)
        self.pair.run(0.1)
        self.assertEqual(len(self.alice.events(events.MessageDelivered)), LINES)

        self.assertLess(len(self.bob.sent) - before, LINES)

    def test_goodbye(self) -> None:
        """Whoever reads a line and leaves at once has confirmed it."""
        self.pair.path.latency = RECEIPT_INTERVAL / 10
        for text in ("hello", "are you there?"):
            self.pair.say(self.alice, text)
            while text not in self.bob.texts():
                self.pair.wire.run(RECEIPT_INTERVAL / 10)
        self.bob.session.disconnect(self.pair.wire.now)
        self.pair.run_until(lambda: self.alice.events(events.Disconnected))
        self.assertEqual(self.alice.events(events.Disconnected)[0].undelivered, 0)

    def test_gone(self) -> None:
        """What was read of a peer who is gone meanwhile is nobody's."""
        self.bob.endpoint.read("nobody", "e-1", self.pair.wire.now)
        self.pair.run(2 * RECEIPT_INTERVAL)
        self.assertGreater(self.pair.chat(), 0)
