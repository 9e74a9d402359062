"""Sealing: the reader opens what its author meant for it, in this document; nobody else does."""

from __future__ import annotations

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, RemoteProtocolError, SealBroken
from p2pchat.identity.keys import to_pem
from p2pchat.identity.sealing import (
    OVERHEAD,
    SHORTER,
    STEP,
    Envelope,
    SealingKey,
    is_of_call,
    seal,
    usable,
)
from p2pchat.identity.signed_documents import MAX_DOCUMENT, open_document, sign_document
from p2pchat.wire import strict_json
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.cbor import dumps
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    MAX_CIPHERTEXT,
    MAX_FLIGHT,
    Answer,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    NatWords,
    Offer,
    PeerDocument,
    RecordKey,
    Refusal,
    Ringing,
    Sealed,
    write_peer_body,
)
from p2pchat.wire.usernames import MAX_USERNAME
from tests.identity.people import ALICE, BOB, CAROL

BOBS = SealingKey.from_seed(b"\x0b" * 32)
ENVELOPE = Envelope(ALICE.peer_id, BOB.peer_id, "nonce")
DESCRIPTION = Description("alice", bytes(32), "ufrag", (), keys=(BOBS.record_key,))
OFFER = Offer("s", DESCRIPTION)
BODIES: tuple[PeerDocument, ...] = (
    OFFER,
    Answer("s", DESCRIPTION, b"flight"),
    Candidates("s", ()),
    Ringing("s"),
    Refusal("s", "declined", "\U0001f600" * 100),
)
LOW_ORDER = bytes(32)  # an X25519 public key with which everybody has the same secret


def sealed(body: PeerDocument = OFFER) -> Sealed:
    """Return a body that Alice sealed to Bob."""
    return seal(body, BOBS.record_key, ENVELOPE)


class SealingTests(SynchronousTestCase):
    """One author, one reader."""

    def refuse(self, ciphertext: bytes, envelope: Envelope = ENVELOPE) -> None:
        """Bob can't open this."""
        self.assertRaises(SealBroken, BOBS.open, Sealed(ciphertext), envelope)

    def test_round_trip(self) -> None:
        """Every body comes out as it went in, and never looks the same twice."""
        for body in BODIES:
            self.assertEqual(BOBS.open(sealed(body), ENVELOPE), body)
            self.assertNotEqual(sealed(body), sealed(body))

    def test_other_key(self) -> None:
        """Another's key opens nothing."""
        other = SealingKey.from_seed(bytes(32))
        self.assertRaises(SealBroken, other.open, sealed(), ENVELOPE)

    def test_bound(self) -> None:
        """A ciphertext holds for its author, its reader and the name of its document alone."""
        good = sealed().ciphertext
        for change in (
            {"issuer": CAROL.peer_id},
            {"audience": CAROL.peer_id},
            {"nonce": "another"},
            {"issuer": BOB.peer_id, "audience": ALICE.peer_id},
            {"nonce": "nonce\x00"},
        ):
            self.refuse(good, attrs.evolve(ENVELOPE, **change))
        self.assertEqual(BOBS.open(Sealed(good), ENVELOPE), OFFER)

    def test_signed_by_another(self) -> None:
        """Whoever signs a copy of another's ciphertext makes a document that can't be opened."""
        token = sign_document(CAROL, BOB.peer_id, sealed(), 1.0, "nonce")
        document = open_document(token)
        assert isinstance(document.body, Sealed)
        self.refuse(document.body.ciphertext, Envelope(document.issuer, BOB.peer_id, "nonce"))

    def test_truncated(self) -> None:
        """No part of a ciphertext is one, nor is more than one."""
        good = sealed().ciphertext
        for length in (*range(OVERHEAD + 2), len(good) - 16, len(good) - 1):
            self.refuse(good[:length])
        self.refuse(good + b"\x00")
        self.refuse(bytes(MAX_CIPHERTEXT))
        self.refuse(LOW_ORDER + good[32:])

    @settings(max_examples=100)
    @given(st.integers(0, STEP + OVERHEAD - 1), st.integers(1, 255))
    def test_any_change(self, at: int, change: int) -> None:
        """A changed byte is noticed, but for the bit of the key that X25519 ignores."""
        changed = bytearray(sealed().ciphertext)
        changed[at] ^= change
        if (at, change) != (31, 0x80):
            self.refuse(bytes(changed))

    def test_what_is_inside(self) -> None:
        """A good seal doesn't excuse what is malformed inside, and it has types for peers alone."""
        suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
        good = write_peer_body(OFFER)
        for text in (
            *(b"", b"\x00" * STEP, b"[]", b"\xff", b"\x81" * 1000, strict_json.dumps(good)),
            *(dumps({**good, "type": one}) for one in ("registration", "sealed", "bribe", 5)),
            dumps({**good, "session": ""}),
            *(dumps(good) + b"{}", dumps(good) + dumps(good)),
        ):
            written = suite.encrypt(text, BOBS.private_key.public_key(), ENVELOPE.info())
            self.assertRaises(RemoteProtocolError, BOBS.open, Sealed(written), ENVELOPE)


class LengthTests(SynchronousTestCase):
    """Lengths tell what they are meant to tell."""

    def length(self, body: PeerDocument) -> int:
        """Return the length of a plaintext."""
        return len(sealed(body).ciphertext) - OVERHEAD

    def test_steps(self) -> None:
        """Lengths of offers and answers are multiples of STEP, others SHORTER than that."""
        for size in range(0, 512, 37):
            long = Refusal("s", "declined", "x" * size)
            self.assertEqual(self.length(long) % STEP, STEP - SHORTER)
            self.assertFalse(is_of_call(sealed(long).ciphertext))
            answer = Answer("s", DESCRIPTION, bytes(size))
            self.assertEqual(self.length(answer) % STEP, 0)
            self.assertTrue(is_of_call(sealed(answer).ciphertext))

    def test_hidden(self) -> None:
        """It shows neither how long names are, nor how many candidates there are."""
        near = Candidate(CandidateType.HOST, ("192.0.2.1", 40000))
        far = Candidate(CandidateType.RELAYED, ("2001:db8:1:2:3:4:5:6", 40000))
        for count in range(6):
            some = (near, far)[count % 2 :] * count
            nat = NatWords("endpoint-independent-or-address-dependent" * (count % 2))
            described = attrs.evolve(
                DESCRIPTION, username="a" + "b" * count, candidates=some[:8], nat=nat
            )
            self.assertEqual(self.length(Offer("f" * 32, described)), STEP)
            for body in (
                *(Ringing("s" * 64), Candidates("f" * 32, some), Candidates("f" * 32, (), True)),
                Refusal("f" * 32, "clock", "x" * 30 * count),
            ):
                self.assertEqual(self.length(body), STEP - SHORTER)

    def longest(self) -> Description:
        """Return the longest description that this program can make."""
        place = ("1111:2222:3333:4444:5555:6666:7777:8888", 65535)
        candidates = (Candidate(CandidateType.SERVER_REFLEXIVE, place),) * MAX_CANDIDATES
        wide, word = "\U0001f600" * MAX_USERNAME, "x" * 64
        nat = NatWords("endpoint-independent-or-address-dependent", word, word)
        keys = (BOBS.record_key,)
        return Description(wide, b"\xff" * 32, "f" * 32, candidates, word, nat, keys)

    def signed(self, body: PeerDocument) -> str:
        """Return a document about a body, with the longest envelope that this program makes."""
        jti = "f" * 32
        written = seal(body, BOBS.record_key, Envelope(ALICE.peer_id, BOB.peer_id, jti))
        return sign_document(ALICE, BOB.peer_id, written, 1234567890.123456, jti)

    def test_offer(self) -> None:
        """The longest offer has less than 3 KiB."""
        offer = Offer("x" * 64, self.longest())
        self.assertLess(len(self.signed(offer)), 3 * 1024)
        self.assertEqual(BOBS.open(sealed(offer), ENVELOPE), offer)

    def test_answer(self) -> None:
        """The longest answer is a document still."""
        answer = Answer("x" * 64, self.longest(), b"\xff" * MAX_FLIGHT)
        token = self.signed(answer)
        self.assertLessEqual(len(token), MAX_DOCUMENT)
        open_document(token)
        self.assertEqual(BOBS.open(sealed(answer), ENVELOPE), answer)


class KeyTests(SynchronousTestCase):
    """Sealing keys, ours and others'."""

    def test_pem(self) -> None:
        """A key comes back from its file; what is no such key isn't taken."""
        again = SealingKey.from_pem(to_pem(BOBS.private_key))
        self.assertEqual(again.record_key, BOBS.record_key)
        self.assertEqual(again.open(sealed(), ENVELOPE), OFFER)
        other = to_pem(Ed25519PrivateKey.from_private_bytes(bytes(32)))
        for bad in (b"", b"-----BEGIN PRIVATE KEY-----", other):
            self.assertRaises(ConfigurationError, SealingKey.from_pem, bad)

    def test_private(self) -> None:
        """Nothing that prints a key prints its private part."""
        self.assertNotIn("0b", repr(BOBS))
        self.assertEqual(len(decode_bytes(BOBS.record_key.key)), 32)

    def test_usable(self) -> None:
        """The first key of a kind that is known is taken; others are ignored, whatever they are."""
        good = BOBS.record_key
        second = SealingKey.from_seed(bytes(32)).record_key
        others = (
            attrs.evolve(good, use="sig"),
            attrs.evolve(good, algorithm="HPKE-10"),
            attrs.evolve(good, key=""),
            attrs.evolve(good, key="!" * 43),
            attrs.evolve(good, key=encode_bytes(bytes(31))),
            RecordKey("", "", "x" * 2048),
        )
        self.assertEqual(usable((*others, good, second)), good)
        self.assertIsNone(usable(others))
        self.assertIsNone(usable(()))

    def test_no_secret(self) -> None:
        """Nothing is sealed to a key with which anybody has the secret."""
        weak = attrs.evolve(BOBS.record_key, key=encode_bytes(LOW_ORDER))
        self.assertRaises(RemoteProtocolError, seal, OFFER, weak, ENVELOPE)
