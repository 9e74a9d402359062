"""A log as far as it came: what a signature covers, and what is refused."""

from __future__ import annotations

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.log_copy import MAX_UNSIGNED, LogCopy
from p2pchat.session.own_log import OwnLog
from p2pchat.session.stored import Content
from p2pchat.wire.entries import NOTHING, TEXT, LogEntry
from tests.identity.people import ALICE

NAME = b"n" * 16
WALL = 1_800_000_000.0


class LogCopyTests(SynchronousTestCase):
    """Alice's log, as Bob has it."""

    def setUp(self) -> None:
        self.log = OwnLog(bytes(16), ALICE, NAME)
        self.copy = LogCopy(self.log.author, NAME)

    def said(self, *texts: str) -> list[bytes]:
        """Let Alice say a batch."""
        for text in texts:
            self.log.write(Content(TEXT, text), self.log.number + 1, (), WALL, 0.0)
        return [one.raw for one in self.log.next_batch()]

    def take(self, raw: bytes) -> list[str]:
        """Let Bob take an entry; returns the texts that it proves."""
        entry = LogEntry.decode(raw)
        proved = self.copy.extend(entry, raw, ALICE.public_key, WALL)
        return [one.text for one in proved]

    def test_signature_covers(self) -> None:
        """A signature proves all that came before it, and nothing else does."""
        one, two, three = self.said("one", "two", "three")
        self.assertEqual((self.take(one), self.take(two), self.copy.number), ([], [], 0))
        self.assertEqual((self.take(three), self.copy.number), (["one", "two", "three"], 3))
        self.assertEqual(self.copy.last, sha256(three).digest())

    def test_forgotten(self) -> None:
        """What no signature covers is forgotten, and taken when it comes again."""
        one, two = self.said("one", "two")
        self.take(one)
        self.assertEqual(self.copy.next, 2)
        self.copy.drop_unsigned()
        self.assertEqual((self.copy.next, self.copy.last), (1, NOTHING))
        self.take(one)
        self.assertEqual(self.take(two), ["one", "two"])

    def test_follows(self) -> None:
        """An entry follows the one before it by its hash, signed or not."""
        one, two = map(LogEntry.decode, raws := self.said("one", "two"))
        self.assertTrue(self.copy.follows(one))
        self.assertFalse(self.copy.follows(two))
        self.take(raws[0])
        self.assertTrue(self.copy.follows(two))
        self.copy.skip_to(9)
        self.assertTrue(self.copy.follows(two))  # nobody can tell
        self.assertFalse(self.copy.is_followed)

    def test_bound(self) -> None:
        """An author who never signs is refused."""
        raws: list[bytes] = []
        while sum(map(len, raws)) < 2 * MAX_UNSIGNED:
            raws += self.said("x" * 10_000, "signed")[:1]
        with self.assertRaises(RemoteProtocolError):
            for raw in raws:
                self.take(raw)
        self.assertLess(self.copy.next, 30)
