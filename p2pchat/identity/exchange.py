"""
Key agreement of one attempt to find a path: a secret that only the two peers know.

Each signed offer and answer carries an ephemeral X25519 public key (RFC 7748).  The two sides
derive from it the key of MESSAGE-INTEGRITY of their checks::

    HKDF-SHA-256(X25519(a, B), salt = session, info = LABEL | offer's key | answer's key)

so the registry, which carried both documents, can't forge a check.
"""

from __future__ import annotations

import attrs
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pchat.errors import RemoteProtocolError

LABEL = b"p2pchat 1 connectivity checks"
KEY_LENGTH = 32  # bytes


@attrs.frozen(eq=False)
class Exchange:
    """One side's ephemeral key."""

    private_key: X25519PrivateKey = attrs.field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Exchange:
        """Make an ephemeral key from 32 random bytes."""
        return cls(X25519PrivateKey.from_private_bytes(seed))

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes that the offer or answer carries."""
        return self.private_key.public_key().public_bytes_raw()

    def integrity_key(self, remote: bytes, session: str, offering: bool) -> bytes:
        """
        Derive the key of the checks.

        :param remote: the other side's public key.
        :param offering: whether this side made the offer.
        :raises RemoteProtocolError: the other key is one of the few that make no secret.
        """
        try:
            shared = self.private_key.exchange(X25519PublicKey.from_public_bytes(remote))
        except ValueError:
            raise RemoteProtocolError("an X25519 key that makes no secret") from None
        keys = (self.public_key, remote) if offering else (remote, self.public_key)
        info = LABEL + keys[0] + keys[1]
        return HKDF(SHA256(), KEY_LENGTH, session.encode(), info).derive(shared)
