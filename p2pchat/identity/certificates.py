"""
The throw-away certificate that TLS wants of the side that accepts a link.

It proves nothing and names nobody: :mod:`p2pchat.identity.proof` does that inside the session,
so whoever probes the socket learns no identity.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VALIDITY = timedelta(days=3650)  # nobody checks it


@attrs.frozen
class Certificate:
    """A self-signed P-256 certificate and its key, both PEM."""

    certificate: bytes
    private_key: bytes = attrs.field(repr=False)


def make_certificate(now: float) -> Certificate:
    """
    Make a certificate; ``now`` is in seconds since 1970.

    Its key comes from the operating system's generator, the one randomness here that isn't an
    argument: ``cryptography`` offers no other, and no byte of it is ever compared in a test.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "p2pchat")])
    start = datetime.fromtimestamp(now, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + VALIDITY)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(certificate.public_bytes(Encoding.PEM), private)
