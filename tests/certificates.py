"""Certificates that sign themselves, for the servers that tests start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=1)


def make_certificate(address: str) -> tuple[bytes, bytes]:
    """Make a key, and a certificate for an IP address; returns both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - LIFE)
        .not_valid_after(now + LIFE)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, bare = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, bare)
    return private, certificate.public_bytes(pem)


def write_certificate(directory: str | Path, address: str) -> bytes:
    """Write ``key.pem`` and ``certificate.pem``; returns the certificate as PEM."""
    private, certificate = make_certificate(address)
    Path(directory, "key.pem").write_bytes(private)
    Path(directory, "certificate.pem").write_bytes(certificate)
    return certificate


class Authority:
    """
    Somebody who signs certificates.

    :ivar certificate: its own, which whoever trusts it has.
    """

    def __init__(self, name: str) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self._name, self._name, self._key.public_key(), x509.random_serial_number()
        )
        signed = (
            builder.not_valid_before(now - 1000 * LIFE)
            .not_valid_after(now + 1000 * LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = signed.public_bytes(serialization.Encoding.PEM)

    def sign(self, *hosts: str, since: int = -1, until: int = 1) -> bytes:
        """Make a certificate for hosts, valid between two days from now; PEM, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        signed = (
            x509.CertificateBuilder(
                self._name, x509.Name([]), key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(now + since * LIFE)
            .not_valid_after(now + until * LIFE)
            .add_extension(names, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        pem, bare = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, bare)
        return signed.public_bytes(pem) + private
