"""
Proof of identity on an encrypted link.

TLS with throw-away certificates gives secrecy; who is at the other end is proved inside it.
Each side signs, with its Ed25519 key, ::

    LABEL | role ("client" or "server") | 0x00 | channel binding | raw public key

where the channel binding is a hash of a secret of this very TLS session
(:mod:`p2pchat.session.quic`).  A man in the middle has two sessions with two bindings, so a
proof passed on doesn't hold; the role keeps a side from being answered with its own proof.
"""

from __future__ import annotations

from p2pchat.errors import BadSignature, ProofFailed
from p2pchat.identity.keys import Identity, peer_id_of, verify
from p2pchat.wire.messages import Proof

LABEL = b"p2pchat 1 link proof\x00"


def _statement(role: str, binding: bytes, public_key: bytes) -> bytes:
    return LABEL + role.encode("ascii") + b"\x00" + binding + public_key


def make_proof(identity: Identity, role: str, binding: bytes) -> Proof:
    """
    Prove this side's key.

    :param role: this side's part in TLS, ``client`` or ``server``.
    """
    statement = _statement(role, binding, identity.public_key)
    return Proof(identity.public_key, identity.sign(statement))


def check_proof(proof: Proof, peer_id: str, role: str, binding: bytes) -> None:
    """
    Check the other side's proof.

    :param peer_id: who the other side must be.
    :param role: the other side's part in TLS.
    :raises ProofFailed: another peer, another session, or another role.
    """
    if peer_id_of(proof.key) != peer_id:
        raise ProofFailed(f"the other end of the link is not {peer_id}")
    try:
        verify(proof.key, proof.signature, _statement(role, binding, proof.key))
    except BadSignature:
        raise ProofFailed() from None
