"""Tests of :mod:`p2pchat.registry.kept_documents`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.kept_documents import (
    KEPT,
    MAX_BYTES,
    MAX_EACH,
    KeptDocument,
    KeptDocuments,
)

NOW = 100.0


class KeptDocumentsTests(SynchronousTestCase):
    """What is kept, for whom, and how much of it."""

    def setUp(self) -> None:
        self.kept = KeptDocuments()

    def keep(self, number: int, peer_id: str = "bob", token: str = "x", now: float = NOW) -> None:
        """Keep a document that was written now."""
        self.kept.keep(KeptDocument(peer_id, number, token, now), now)

    def numbers(self, after: int = 0, peer_id: str = "bob", now: float = NOW) -> list[int]:
        """Take a peer's documents; returns their numbers."""
        return [one.number for one in self.kept.take(peer_id, after, now)]

    def test_after(self) -> None:
        """What a peer had isn't given again, and what is given isn't kept."""
        for number in (1, 2, 3):
            self.keep(number)
        self.keep(9, "carol")
        self.assertEqual(self.numbers(1), [2, 3])
        self.assertEqual(self.numbers(), [])
        self.assertEqual(self.numbers(peer_id="carol"), [9])
        self.assertEqual(len(self.kept), 0)

    def test_old(self) -> None:
        """Nothing is kept for longer than KEPT, whenever it is written again."""
        self.keep(1)
        self.keep(2, now=NOW + KEPT / 2)
        self.kept.keep(KeptDocument("bob", 3, "x", NOW), NOW + KEPT / 2)
        self.assertEqual(self.numbers(now=NOW + KEPT), [2])
        self.assertEqual(len(self.kept), 0)

    def test_expired(self) -> None:
        """What is old goes by itself."""
        self.keep(1)
        self.kept.expire(NOW + KEPT - 1)
        self.assertEqual(len(self.kept), 1)
        self.kept.expire(NOW + KEPT)
        self.assertEqual(len(self.kept), 0)

    def test_many(self) -> None:
        """Of one peer's the last MAX_EACH are kept."""
        for number in range(3 * MAX_EACH):
            self.keep(number)
        self.assertEqual(self.numbers(), list(range(2 * MAX_EACH, 3 * MAX_EACH)))

    def test_much(self) -> None:
        """Of all peers' together MAX_BYTES are kept, the newest ones."""
        token = "x" * (MAX_BYTES // 100)
        for number in range(1, 301):
            self.keep(number, f"peer {number}", token)
        self.assertLessEqual(len(self.kept), 100)
        self.assertEqual(self.numbers(peer_id="peer 1"), [])
        self.assertEqual(self.numbers(peer_id="peer 300"), [300])

    def test_forgotten(self) -> None:
        """A peer that is gone leaves nothing."""
        for number in (1, 2):
            self.keep(number)
        self.kept.forget("bob")
        self.kept.forget("nobody")
        self.assertEqual((self.numbers(), len(self.kept)), ([], 0))
