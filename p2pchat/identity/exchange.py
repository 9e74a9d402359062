"""
Key agreement of one attempt to find a path: secrets that only the two peers know.

Each signed offer and answer carries an ephemeral X25519 public key (RFC 7748).  The two sides
derive from it ::

    HKDF-SHA-256(X25519(a, B),
                 salt = session,
                 info = LABEL | offer's key | answer's key | offering side's peer id | answering's,
                 L    = 64)
      = key of MESSAGE-INTEGRITY of their checks | secret of the QUIC handshake

so the registry, which carried both documents, can neither forge a check nor begin a link, and the
secrets of an attempt hold for these two peers alone.
"""

from __future__ import annotations

import attrs
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import peer_id_octets

LABEL = b"p2pchat 2 attempt"
KEY_LENGTH = 32  # bytes of each secret


@attrs.frozen
class PeerIds:
    """Peer ids of the two sides of an attempt."""

    local: str
    remote: str


@attrs.frozen
class AttemptSecrets:
    """
    Secrets of one attempt.

    :ivar checks: the key of MESSAGE-INTEGRITY.
    :ivar handshake: what the QUIC handshake is protected by (:mod:`p2pchat.session.quic`).
    """

    checks: bytes = attrs.field(repr=False)
    handshake: bytes = attrs.field(repr=False)


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

    def secrets(
        self, remote: bytes, session: str, peer_ids: PeerIds, offering: bool
    ) -> AttemptSecrets:
        """
        Derive the secrets of the attempt.

        :param remote: the other side's public key.
        :param offering: whether this side made the offer.
        :raises RemoteProtocolError: the other key is one of the few that make no secret.
        """
        try:
            shared = self.private_key.exchange(X25519PublicKey.from_public_bytes(remote))
        except ValueError:
            raise RemoteProtocolError("an X25519 key that makes no secret") from None
        ours = (self.public_key, peer_id_octets(peer_ids.local))
        theirs = (remote, peer_id_octets(peer_ids.remote))
        (offer, offerer), (answer, answerer) = (ours, theirs) if offering else (theirs, ours)
        info = LABEL + offer + answer + offerer + answerer
        derived = HKDF(SHA256(), 2 * KEY_LENGTH, session.encode(), info).derive(shared)
        return AttemptSecrets(derived[:KEY_LENGTH], derived[KEY_LENGTH:])
