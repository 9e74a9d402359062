"""
Work that a registry under pressure asks of a stranger: hashcash over SHA-256.

::

    challenge   algorithm   "sha256-zero-bits"
                seed        16 bytes, base64url: the registry's MAC over the other members and the
                            peer id, so that it keeps nothing of what it asked
                difficulty  bits
                expires     seconds since 1970
    work        the challenge again, and
                nonce       such that SHA-256(seed | peer id, 16 bytes | nonce, 8 bytes, big
                            endian) begins with so many zero bits

What is hashed fits one block of SHA-256.  Each further bit doubles the work; finding out whether
it was done takes one hash.  The peer id in it makes the work good for one key only.

A program in C, or a graphics card, is many times faster at this than a peer: the work makes a
flood of new keys dear, it doesn't make it impossible.  Functions that need memory would narrow
that gap; but then a registry under pressure would have to compute them too.
"""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.strict_json import JsonObject, field

ALGORITHM = "sha256-zero-bits"
SEED = 16  # bytes
MIN_DIFFICULTY = 14  # bits; 16 thousand hashes: 10 to 50 milliseconds
MAX_DIFFICULTY = 20  # bits; a million hashes: half a second, or two on a slow machine
_MOST_BITS = 256  # of SHA-256


@attrs.frozen
class Challenge:
    """
    What is asked.

    :ivar difficulty: leading zero bits.
    :ivar expires: the last moment at which the work is taken, seconds since 1970.
    """

    seed: bytes
    difficulty: int
    expires: int
    algorithm: str = ALGORITHM

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {
            "algorithm": self.algorithm,
            "seed": encode_bytes(self.seed),
            "difficulty": self.difficulty,
            "expires": self.expires,
        }

    @classmethod
    def from_json(cls, members: JsonObject) -> Challenge:
        """Read the JSON form, or raise :class:`RemoteProtocolError`."""
        return cls(
            decode_bytes(field(members, "seed", str, 64), SEED),
            field(members, "difficulty", int, _MOST_BITS),
            field(members, "expires", int),
            field(members, "algorithm", str, 64),
        )


@attrs.frozen
class Work:
    """A challenge, and the nonce that meets it."""

    challenge: Challenge
    nonce: int

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {**self.challenge.to_json(), "nonce": self.nonce}

    @classmethod
    def from_json(cls, members: JsonObject) -> Work:
        """
        Read the JSON form.

        :raises RemoteProtocolError: it is malformed, or of an algorithm that isn't ours.
        """
        challenge = Challenge.from_json(members)
        if challenge.algorithm != ALGORITHM:
            raise RemoteProtocolError(f"work by another algorithm than {ALGORITHM}")
        return cls(challenge, field(members, "nonce", int))

    def is_done(self, peer_id: str) -> bool:
        """Tell whether the nonce meets the challenge, for this peer."""
        return search(self.challenge, peer_id, self.nonce, 1) is not None


def search(challenge: Challenge, peer_id: str, start: int, count: int) -> Work | None:
    """Try so many nonces from ``start`` on, and return the work if one of them does it."""
    prefix = challenge.seed + UUID(peer_id).bytes
    greatest = ((1 << _MOST_BITS - challenge.difficulty) - 1).to_bytes(_MOST_BITS // 8, "big")
    for nonce in range(start, start + count):
        if sha256(prefix + nonce.to_bytes(8, "big")).digest() <= greatest:
            return Work(challenge, nonce)
    return None
