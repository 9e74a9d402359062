"""The throw-away certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.certificates import make_certificate

NOW = 1_800_000_000.0
SEED = bytes(range(32))


class CertificateTests(SynchronousTestCase):
    """It is good for TLS, and tells nothing."""

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
