"""Tests of pieces and the root of their hashes."""

from __future__ import annotations

from blake3 import blake3
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.pieces import Pieces, begin_of, piece_hash, pieces_of
from p2pchat.wire.transfers import PIECE_SIZE


class PiecesTests(SynchronousTestCase):
    """The hashes of a file."""

    def test_root(self) -> None:
        """The root is BLAKE3 of all hashes, whenever it is asked for."""
        pieces = Pieces()
        hashes = [piece_hash(bytes([number])) for number in range(3)]
        for count, one in enumerate(hashes):
            self.assertEqual(pieces.root(), blake3(b"".join(hashes[:count])).digest())
            pieces.add(one)
        self.assertEqual((pieces.count, pieces.root()), (3, blake3(b"".join(hashes)).digest()))

    def test_counts(self) -> None:
        """A file has as many pieces as it takes, and none where it is empty."""
        for size, count in ((0, 0), (1, 1), (PIECE_SIZE, 1), (PIECE_SIZE + 1, 2)):
            self.assertEqual(pieces_of(size), count)
        self.assertEqual(begin_of(2, PIECE_SIZE + 5), PIECE_SIZE + 5)
        self.assertEqual(begin_of(1, PIECE_SIZE + 5), PIECE_SIZE)
