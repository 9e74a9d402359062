"""Permits: good for one mailbox, one token and a time, at whoever has the key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.mailbox.permits import Permits
from p2pchat.wire.mailbox import MAX_PERMIT, PERMIT_LASTS
from tests.registry.store.store_contract import ALICE, BOB

TOKEN = b"h" * 16
NOW = 1_800_000_000.0


class PermitTests(SynchronousTestCase):
    """One key, and another."""

    def setUp(self) -> None:
        self.permits = Permits(b"k" * 32)
        self.permit = self.permits.issue(ALICE, TOKEN, NOW)

    def test_good(self) -> None:
        """It is good until its time is over, at each process that has the key."""
        self.assertLessEqual(len(self.permit), MAX_PERMIT)
        for now in (NOW, NOW + PERMIT_LASTS - 1):
            self.assertEqual(Permits(b"k" * 32).check(ALICE, self.permit, now), TOKEN)
        self.assertIsNone(self.permits.check(ALICE, self.permit, NOW + PERMIT_LASTS))

    def test_not_good(self) -> None:
        """For another mailbox, or by another key, it isn't."""
        self.assertIsNone(self.permits.check(BOB, self.permit, NOW))
        self.assertIsNone(Permits(b"x" * 32).check(ALICE, self.permit, NOW))

    @given(st.binary(max_size=60))
    def test_forged(self, data: bytes) -> None:
        """Nothing else is one."""
        self.assertIsNone(Permits(b"k" * 32).check(ALICE, data, NOW))
