"""
Proof of identity on an encrypted link.

TLS with throw-away certificates gives secrecy; who is at the other end is proved inside it.
Each side signs, with its Ed25519 key, ::

    LABEL | role ("client" or "server") | 0x00 | channel binding
          | client's peer id | server's peer id | raw public key

where the channel binding is a hash of a secret of this very TLS session
(:mod:`p2pchat.session.quic`), and the peer ids are 16 bytes each.  A man in the middle has two
sessions with two bindings, so a proof passed on doesn't hold; the role keeps a side from being
answered with its own proof; and a proof for one peer says nothing to another.

The certificate that TLS wants of the side that accepts a link proves nothing and names nobody, so
that whoever probes the socket learns no identity.  An Ed25519 key and a constant serial number make
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

from p2pchat.errors import BadSignature, ProofFailed
from p2pchat.identity.keys import Identity, peer_id_octets, peer_id_of, verify
from p2pchat.wire.messages import Proof

LABEL = b"p2pchat 2 link proof\x00"
VALIDITY = timedelta(days=3650)  # nobody checks it


def _statement(role: str, binding: bytes, signer: str, reader: str, public_key: bytes) -> bytes:
    is_client = role == "client"
    client, server = (signer, reader) if is_client else (reader, signer)
    peer_ids = peer_id_octets(client) + peer_id_octets(server)
    return LABEL + role.encode("ascii") + b"\x00" + binding + peer_ids + public_key


def make_proof(identity: Identity, role: str, binding: bytes, reader: str) -> Proof:
    """
    Prove this side's key.

    :param role: this side's part in TLS, ``client`` or ``server``.
    :param reader: the other side's peer id.
    """
    key = identity.public_key
    statement = _statement(role, binding, identity.peer_id, reader, key)
    return Proof(key, identity.sign(statement))


def check_proof(proof: Proof, signer: str, role: str, binding: bytes, reader: str) -> None:
    """
    Check the other side's proof.

    :param signer: who the other side must be.
    :param role: the other side's part in TLS.
    :param reader: our own peer id.
    :raises ProofFailed: another peer, another session, or another role.
    """
    if peer_id_of(proof.key) != signer:
        raise ProofFailed(f"the other end of the link is not {signer}")
    statement = _statement(role, binding, signer, reader, proof.key)
    try:
        verify(proof.key, proof.signature, statement)
    except BadSignature:
        raise ProofFailed() from None


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
