"""The proof of who is at the other end of a link, and the throw-away certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ProofFailed
from p2pchat.identity.proof import check_proof, make_certificate, make_proof
from p2pchat.wire.messages import Proof
from tests.identity.people import ALICE, BOB, CAROL

BINDING = b"\x07" * 32
NOW = 1_800_000_000.0
SEED = bytes(range(32))


class ProofTests(SynchronousTestCase):
    """A proof holds for one key, one role and one TLS session."""

    def setUp(self) -> None:
        self.proof = make_proof(ALICE, "client", BINDING, BOB.peer_id)

    def refuse(
        self,
        proof: Proof,
        peer_id: str = ALICE.peer_id,
        role: str = "client",
        binding: bytes = BINDING,
        reader: str = BOB.peer_id,
    ) -> None:
        """This proof doesn't hold."""
        self.assertRaises(ProofFailed, check_proof, proof, peer_id, role, binding, reader)

    def test_holds(self) -> None:
        """The proof of the right peer, in its role, in this session holds, and no other."""
        check_proof(self.proof, ALICE.peer_id, "client", BINDING, BOB.peer_id)
        self.refuse(attrs.evolve(self.proof, signature=bytes(64)))

    def test_other_role(self) -> None:
        """Nobody can be answered with their own proof."""
        self.refuse(self.proof, role="server")

    def test_other_session(self) -> None:
        """A proof passed on from another session doesn't hold."""
        self.refuse(self.proof, binding=bytes(32))
        self.refuse(self.proof, binding=BINDING + b"\x07")

    def test_other_peer(self) -> None:
        """A good proof of somebody else is refused; so is their signature under our key."""
        other = make_proof(BOB, "client", BINDING, BOB.peer_id)
        self.refuse(other)
        self.refuse(attrs.evolve(other, key=ALICE.public_key))
        self.refuse(attrs.evolve(self.proof, key=BOB.public_key), peer_id=BOB.peer_id)
        self.refuse(Proof(b"\xff" * 32, self.proof.signature))

    def test_other_reader(self) -> None:
        """A proof for one peer says nothing to another."""
        self.refuse(self.proof, reader=CAROL.peer_id)
        self.refuse(self.proof, reader=ALICE.peer_id)

    def test_other_statement(self) -> None:
        """A signature of something else by the same key is no proof."""
        self.refuse(Proof(ALICE.public_key, ALICE.sign(b"client" + BINDING + ALICE.public_key)))


class CertificateTests(SynchronousTestCase):
    """The certificate is good for TLS, and tells nothing."""

    def test_usable(self) -> None:
        """Certificate and key belong together, and it is valid now, clocks being what they are."""
        made = make_certificate(SEED, NOW)
        certificate = x509.load_pem_x509_certificate(made.certificate)
        key = load_pem_private_key(made.private_key, None)
        assert isinstance(key, Ed25519PrivateKey)
        self.assertEqual(certificate.public_key(), key.public_key())
        certificate.verify_directly_issued_by(certificate)
        now = datetime.fromtimestamp(NOW, UTC)
        self.assertLess(certificate.not_valid_before_utc, now - timedelta(hours=12))
        self.assertGreater(certificate.not_valid_after_utc, now + timedelta(days=365))

    def test_anonymous(self) -> None:
        """Two peers' certificates differ in their keys and in nothing that could name anybody."""
        first, second = (
            x509.load_pem_x509_certificate(make_certificate(seed, NOW).certificate)
            for seed in (SEED, bytes(32))
        )
        self.assertEqual(first.subject, second.subject)
        self.assertEqual(first.issuer, second.issuer)
        self.assertEqual(first.serial_number, second.serial_number)
        self.assertEqual(list(first.extensions), [])
        self.assertNotEqual(first.public_key(), second.public_key())

    def test_private(self) -> None:
        """The key isn't in what gets printed by accident."""
        self.assertNotIn("PRIVATE", repr(make_certificate(SEED, NOW)))
