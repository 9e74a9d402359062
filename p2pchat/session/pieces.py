"""
Pieces of a file, and the root of their hashes; pure.

The root of the first N pieces is BLAKE3 of their N hashes, in order: 32 bytes say of any number of
pieces whether two files begin alike.
"""

from __future__ import annotations

from blake3 import blake3

from p2pchat.wire.transfers import PIECE_SIZE


def piece_hash(data: bytes | memoryview) -> bytes:
    """Return the hash of one piece."""
    return blake3(data).digest()


class Pieces:
    """The pieces of a file up to one; ``count`` is how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._hashes = blake3()

    def add(self, hash: bytes) -> None:
        """Take the hash of the next piece."""
        self.count += 1
        self._hashes.update(hash)

    def root(self) -> bytes:
        """Return the root of those that there are."""
        return self._hashes.digest()


def pieces_of(size: int) -> int:
    """Return how many pieces a file of this size has."""
    return -(-size // PIECE_SIZE)


def begin_of(piece: int, size: int) -> int:
    """Return how many bytes of a file stand before a piece."""
    return min(piece * PIECE_SIZE, size)
