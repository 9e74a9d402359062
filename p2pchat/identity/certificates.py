"""
The throw-away certificate that TLS wants of the side that accepts a link.

It proves nothing and names nobody: :mod:`p2pchat.identity.proof` does that inside the session,
so whoever probes the socket learns no identity.  An Ed25519 key and a constant serial number make
every certificate, and every signature with it, equally long: a simulation sees the same datagrams
each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VALIDITY = timedelta(days=3650)  # nobody checks it


@attrs.frozen
class Certificate:
    """A self-signed Ed25519 certificate and its key, both PEM."""

    certificate: bytes
    private_key: bytes = attrs.field(repr=False)


def make_certificate(seed: bytes, now: float) -> Certificate:
    """Make a certificate from 32 random bytes; ``now`` is in seconds since 1970."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
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
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(certificate.public_bytes(Encoding.PEM), private)
