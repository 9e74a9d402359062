"""
Proof of work, which a registry under load asks of unknown peers: hashcash over SHA-256.

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
from typing import Annotated, Self
from uuid import UUID

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.members import Count, Members, inline, integer, octets, text
from p2pchat.wire.strict_json import JsonObject

ALGORITHM = "sha256-zero-bits"
SEED = 16  # bytes
MIN_DIFFICULTY = 14  # bits; 16 thousand hashes: 10 to 50 milliseconds
MAX_DIFFICULTY = 20  # bits; a million hashes: half a second, or two on a slow machine
_MOST_BITS = 256  # of SHA-256


@attrs.frozen
class Challenge(Members):
    """
    A question of the registry: for a nonce whose hash begins with zeros.

    :ivar difficulty: leading zero bits.
    :ivar expires: the last moment at which the work is taken, seconds since 1970.
    """

    algorithm: Annotated[str, text(64)]
    seed: Annotated[bytes, octets(SEED)]
    difficulty: Annotated[int, integer(_MOST_BITS)]
    expires: Count


@attrs.frozen
class Work(Members):
    """A challenge, and the nonce that meets it."""

    challenge: Annotated[Challenge, inline(Challenge.from_json)]
    nonce: Count

    @classmethod
    def from_json(cls, members: JsonObject) -> Self:
        """
        Read the members.

        :raises RemoteProtocolError: one is malformed, or the algorithm isn't ours.
        """
        work = super().from_json(members)
        if work.challenge.algorithm != ALGORITHM:
            raise RemoteProtocolError(f"work by another algorithm than {ALGORITHM}")
        return work

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
