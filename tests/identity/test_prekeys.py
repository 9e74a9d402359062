"""Prekeys: what is sealed to them opens with them, and with nothing else."""

from __future__ import annotations

from hashlib import shake_256

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError, SealBroken
from p2pchat.identity.prekeys import (
    ID,
    NONE,
    PREKEY,
    PREKEY_SEED,
    Prekey,
    Unsealed,
    key_id,
    public_one_time,
    seal,
    unseal,
)
from p2pchat.wire.envelopes import COARSE, COARSE_STEP, MAX_CONTENTS, STEP

SEED, OTHER = shake_256(b"one").digest(PREKEY_SEED), shake_256(b"other").digest(PREKEY_SEED)
OURS, THEIRS = Prekey(SEED), Prekey(OTHER)
ONE_TIME = bytes(range(32))
PUBLIC = public_one_time(ONE_TIME)
OVERHEAD = 1 + ID + 1120 + 16 + ID  # format, id, encapsulated key, tag, id
INNER = 32 + 16  # encapsulated key, tag


def opened(envelope: bytes, one_time: bytes | None = ONE_TIME) -> Unsealed:
    """Open an envelope with our prekey, and a one-time key."""
    known = {key_id(PUBLIC): one_time}
    return unseal(envelope, {OURS.id: OURS}.get, known.get)


class PrekeyTests(SynchronousTestCase):
    """The two layers of an envelope."""

    def test_same_key(self) -> None:
        """A seed makes the same key again, of the length that the wire has."""
        self.assertEqual(Prekey(SEED).public, OURS.public)
        self.assertEqual(len(OURS.public), PREKEY)
        self.assertNotEqual(OURS.id, THEIRS.id)
        self.assertNotIn(SEED.hex(), repr(OURS))

    @given(st.binary(max_size=3000))
    @settings(max_examples=30)
    def test_both(self, contents: bytes) -> None:
        """What is sealed to both keys opens with both, and names the one-time key."""
        self.assertEqual(
            opened(seal(contents, OURS.public, PUBLIC)), Unsealed(contents, key_id(PUBLIC))
        )

    def test_outer_alone(self) -> None:
        """Where no one-time key is left, the outer layer does."""
        self.assertEqual(opened(seal(b"hello", OURS.public)), Unsealed(b"hello", b""))

    def test_used(self) -> None:
        """Without the one-time key nothing opens, though the prekey is here."""
        with self.assertRaises(SealBroken):
            opened(seal(b"hello", OURS.public, PUBLIC), None)

    def test_another_prekey(self) -> None:
        """Nor without the prekey, whatever an envelope says whose it is."""
        sealed = seal(b"hello", THEIRS.public, PUBLIC)
        with self.assertRaises(SealBroken):
            opened(sealed)
        with self.assertRaises(SealBroken):
            opened(sealed[:1] + OURS.id + sealed[1 + ID :])

    @given(st.data())
    @settings(max_examples=60)
    def test_any_bit(self, data: st.DataObject) -> None:
        """An envelope that was changed anywhere, or cut, doesn't open."""
        sealed = bytearray(seal(b"hello", OURS.public, PUBLIC))
        bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
        sealed[bit // 8] ^= 1 << bit % 8
        with self.assertRaises(RemoteProtocolError):
            opened(bytes(sealed))
        with self.assertRaises(RemoteProtocolError):
            opened(bytes(sealed)[: bit // 8])

    def test_sizes(self) -> None:
        """Only the step of the padding shows, and the greatest contents have less than 64 KiB."""
        sizes = {len(seal(bytes(n), OURS.public, PUBLIC)) for n in (0, 1, 500, STEP - 4)}
        self.assertEqual(sizes, {OVERHEAD + INNER + STEP})
        sizes = {len(seal(bytes(n), OURS.public)) for n in (COARSE, MAX_CONTENTS - COARSE_STEP)}
        self.assertTrue(all((one - OVERHEAD) % COARSE_STEP == 0 for one in sizes))
        self.assertLessEqual(len(seal(bytes(MAX_CONTENTS), OURS.public, PUBLIC)), 64 * 1024)

    def test_no_keys(self) -> None:
        """Bytes that are no keys are refused."""
        for prekey, one_time in ((b"x", PUBLIC), (OURS.public, bytes(32)), (OURS.public, b"x")):
            with self.assertRaises(RemoteProtocolError):
                seal(b"hello", prekey, one_time)

    def test_none(self) -> None:
        """The id that stands for no one-time key is none's."""
        self.assertNotEqual(key_id(PUBLIC), NONE)
