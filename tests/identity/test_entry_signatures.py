"""Signatures of entries."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.entry_signatures import LABEL, check_entry, sign_entry
from p2pchat.wire.entries import NOTHING, TEXT, UNSIGNED, LogEntry
from tests.identity.people import ALICE, BOB
from tests.wire.frames import changed

ID = bytes(16)
ENTRY = LogEntry(ID, ID, ID, ID, 1, NOTHING, 1, 0, TEXT, (), b"hi")


class EntrySignatureTests(SynchronousTestCase):
    """What is signed, and what holds."""

    def setUp(self) -> None:
        unsigned = ENTRY.encode()[:-UNSIGNED]
        self.signed = changed(ENTRY, signature=sign_entry(ALICE, unsigned))
        self.statement = LABEL + sha256(unsigned).digest()

    def refuse(self, key: bytes, raw: bytes) -> None:
        """These bytes aren't signed by this key."""
        with self.assertRaises(RemoteProtocolError) as caught:
            check_entry(key, LogEntry.decode(raw), raw)
        self.assertIn("message 1 isn't signed by its author", str(caught.exception))

    def test_holds(self) -> None:
        """A signature holds for its entry, with whatever a newer program writes after it."""
        self.assertEqual(self.signed.signature, ALICE.sign(self.statement))
        raw = self.signed.encode() + b"newer"
        check_entry(ALICE.public_key, LogEntry.decode(raw), raw)

    def test_another_author(self) -> None:
        """It is its author's alone; an empty one, or one that is cut, is none."""
        self.refuse(BOB.public_key, self.signed.encode())
        for signature in (b"", self.signed.signature[:63], self.signed.signature + b"x"):
            self.refuse(ALICE.public_key, changed(ENTRY, signature=signature).encode())

    @given(st.integers(0, 8 * len(ENTRY.encode()) - 8 * UNSIGNED - 1))
    def test_any_bit(self, bit: int) -> None:
        """Every bit before the signature is signed, where the entry can still be read."""
        raw = bytearray(self.signed.encode())
        raw[bit // 8] ^= 1 << bit % 8
        with self.assertRaises(RemoteProtocolError):
            check_entry(ALICE.public_key, LogEntry.decode(bytes(raw)), bytes(raw))
