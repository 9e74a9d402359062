"""Used nonces: none is taken twice while it could be, and the memory has an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ReplayedDocument, TooManyDocuments
from p2pchat.identity.nonces import BUCKET, UsedNonces

NOW = 1_800_000_000.0


class UsedNoncesTests(SynchronousTestCase):
    """What was used, until when, and how much of it."""

    def setUp(self) -> None:
        self.used = UsedNonces(3)

    def refuse(self, error: type[Exception], nonce: str, until: float, now: float) -> None:
        """This nonce of Alice's is refused."""
        self.assertRaises(error, self.used.use, "alice", nonce, until, now)

    def test_once(self) -> None:
        """A nonce is taken once, by each issuer, whatever the date of its document."""
        self.used.use("alice", "nonce", NOW + 60, NOW)
        self.used.use("bob", "nonce", NOW + 60, NOW)
        for until in (NOW + 60, NOW + 1, NOW + 120):
            self.refuse(ReplayedDocument, "nonce", until, NOW)

    @given(st.floats(0, 120))
    def test_until_stale(self, life: float) -> None:
        """It is remembered until its document is stale, and at most a bucket longer."""
        self.used = UsedNonces(1)
        self.used.use("alice", "nonce", NOW + life, NOW)
        self.refuse(ReplayedDocument, "nonce", NOW + 120, NOW + life)
        self.used.use("alice", "nonce", NOW + 300, NOW + life + BUCKET + 0.1)
        self.assertEqual(len(self.used), 1)

    def test_full(self) -> None:
        """A full memory refuses what is new, rather than accept what was used."""
        for number in range(3):
            self.used.use("alice", str(number), NOW + 60, NOW)
        self.refuse(TooManyDocuments, "3", NOW + 60, NOW)
        self.refuse(ReplayedDocument, "0", NOW + 60, NOW)
        self.used.use("alice", "3", NOW + 200, NOW + 60 + BUCKET + 0.1)
        self.assertEqual(len(self.used), 1)

    def test_forget(self) -> None:
        """What was taken for nothing may be taken again; forgetting twice changes nothing."""
        self.used.use("alice", "nonce", NOW + 60, NOW)
        for _ in range(2):
            self.used.forget("alice", "nonce", NOW + 60)
        self.assertEqual(len(self.used), 0)
        self.used.use("alice", "nonce", NOW + 60, NOW)
