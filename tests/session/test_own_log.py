"""A log that we write: hashes, signatures and batches."""

from __future__ import annotations

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.entry_signatures import check_entry
from p2pchat.session.log_copy import MAX_UNSIGNED
from p2pchat.session.own_log import MAX_BATCH, OwnLog
from p2pchat.session.stored import Content, StoredEntry
from p2pchat.session.streams import WINDOW
from p2pchat.wire.entries import MAX_TEXT, TEXT, LogEntry
from tests.identity.people import ALICE

NAME = b"n" * 16
WALL = 1_800_000_000.0


class OwnLogTests(SynchronousTestCase):
    """Alice's log."""

    def setUp(self) -> None:
        self.log = OwnLog(bytes(16), ALICE, NAME)

    def write(self, text: str) -> None:
        """Let Alice write a line."""
        self.log.write(Content(TEXT, text), self.log.number + 1, (), WALL, 0.0)

    def read(self, batch: list[StoredEntry]) -> list[LogEntry]:
        """Check that a batch is a chain, and return its entries."""
        found = [LogEntry.decode(one.raw) for one in batch]
        for entry, before in zip(found[1:], batch, strict=False):
            self.assertEqual(entry.previous, sha256(before.raw).digest())
        return found

    def test_batch(self) -> None:
        """What is written before a batch is taken is in it; its last entry is signed."""
        for text in ("one", "two", "thrée"):
            self.write(text)
        batch = self.log.next_batch()
        self.assertEqual([one.text for one in batch], ["one", "two", "thrée"])
        entries = self.read(batch)
        self.assertEqual([len(one.signature) for one in entries], [0, 0, 64])
        check_entry(ALICE.public_key, entries[-1], batch[-1].raw)
        self.assertFalse(self.log.has_batch)
        self.assertEqual(self.log.next_batch(), [])
        self.write("next")
        (entry,) = self.read(self.log.next_batch())
        self.assertEqual((entry.number, entry.previous), (4, sha256(batch[-1].raw).digest()))

    def test_long_batches(self) -> None:
        """What is written without end has a signature again and again, long before it is needed."""
        for _ in range(100):
            self.write("😀" * MAX_TEXT)
        run = greatest = 0
        for entry in self.read(self.log.next_batch()):
            run += len(entry.encode())
            greatest = max(run, greatest)
            run = 0 if entry.signature else run
        self.assertEqual(run, 0)
        self.assertLess(greatest, MAX_UNSIGNED)
        self.assertLess(MAX_BATCH + 4 * MAX_TEXT, MAX_UNSIGNED)
        self.assertLess(MAX_UNSIGNED, WINDOW // 2)

    def test_stored_and_confirmed(self) -> None:
        """A line may go out when it is stored, and is forgotten when it is confirmed."""
        for text in ("one", "two", "three"):
            self.write(text)
        self.log.next_batch()
        self.write("four")
        self.assertEqual(self.log.sendable(), [])
        self.assertTrue(self.log.waits_for(1))
        self.assertEqual([line.number for line in self.log.stored(3)], [1, 2, 3])
        self.assertEqual((self.log.waits_for(3), self.log.waits_for(4)), (False, True))
        self.assertEqual([line.number for line in self.log.confirmed(2)], [1, 2])
        self.assertEqual((self.log.oldest, self.log.number), (3, 4))
        self.assertEqual([line.number for line in self.log.sendable()], [3])

    def test_restored(self) -> None:
        """A log that was kept goes on after its last entry."""
        for text in ("one", "two"):
            self.write(text)
        batch = self.log.next_batch()
        again = OwnLog(bytes(16), ALICE, NAME)
        again.restore(self.log.head(), batch[1:], WALL - 7.0)
        self.assertEqual([line.said_at for line in again.sendable()], [7.0])
        again.write(Content(TEXT, "three"), 3, (), WALL, 0.0)
        self.write("three")
        self.assertEqual(again.next_batch(), self.log.next_batch())
