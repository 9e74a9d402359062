"""Tests of the messages of a transfer."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.wire.framing import MAX_FRAME, PartReader, Parts
from p2pchat.wire.strict_json import dumps
from p2pchat.wire.transfers import (
    HASH,
    LISTED,
    MAX_FILES,
    MAX_FIRST,
    MAX_PIECE_FRAME,
    PIECE_SIZE,
    BeginFile,
    Cancelled,
    Done,
    End,
    EndFile,
    FileEntry,
    FileList,
    FileOffer,
    Have,
    OfferAccepted,
    OfferRefused,
    Piece,
    Ready,
    Skip,
    Stopped,
    Stored,
    TransferMessage,
    decode,
    encode,
)
from tests.cases import each

NAME, ROOT = bytes(range(16)), bytes(range(32))
OFFER = FileOffer(NAME, "film.mkv", False, 1, 10, (FileEntry("film.mkv", 10),), 10)
LIST = {"files": [["a", 1]]}


def frame(message: TransferMessage | Piece) -> Parts:
    """Return what a reader of frames takes out of a message."""
    reader = PartReader()
    for part in encode(message):
        reader.add(bytes(part))
    found = reader.next_frame(MAX_PIECE_FRAME)
    assert found is not None
    return found


class MessageTests(SynchronousTestCase):
    """Messages there and back."""

    @each(
        *(
            OFFER,
            FileOffer(NAME, "ä b", True, 10_000, 2**53),
            OfferAccepted(),
            OfferRefused("declined"),
        ),
        *(FileList((FileEntry("a/b", None), FileEntry("c", 2**53))), Have(9_999, 3, ROOT)),
        *(Have(0, done=True), Ready(), BeginFile(1, 2), Piece(ROOT, (b"x" * PIECE_SIZE,))),
        *(EndFile(0, ROOT), Skip(3, "changed"), Stored(5, 6), Stopped("disk-full"), End(), Done()),
        Cancelled(NAME),
    )
    def test_there_and_back(self, message: TransferMessage | Piece) -> None:
        """What is written is read."""
        self.assertEqual(decode(frame(message)), message)

    @given(st.integers(1, 100))
    def test_cut(self, at: int) -> None:
        """A piece may come in parts of any length."""
        piece = Piece(ROOT, (b"abc" * 30,))
        (whole,) = frame(piece)
        self.assertEqual(decode((whole[:at], whole[at:])), piece)

    def test_longest_list(self) -> None:
        """A list with the longest paths, however they are written, is a frame."""
        path = "/".join(['"' * 255] * 4)
        files = (FileEntry(path, 2**53),) * LISTED
        self.assertLess(sum(map(len, frame(FileList(files)))), MAX_FRAME)
        self.assertRaises(LocalProtocolError, encode, FileList(files * 3))

    @each(
        *(b"", b"\x00", b"\x10{}", b"\xff", b"\x01", b"\x01{}", b"\x01[]", b"\x08", b"\x08" + ROOT),
        *(b"\x08" + bytes(HASH + PIECE_SIZE + 1), b"\x02" + b" " * MAX_FRAME + b"{}"),
        *(b"\x04" + dumps({"files": [["../a", 1]]}), b"\x04" + dumps({"files": [["a", -1]]})),
        *(b"\x04" + dumps({"files": [["a"]]}), b"\x04" + dumps({"files": [["a", 2**54]]})),
        *(b"\x04" + dumps({"files": [["a", 1]] * (LISTED + 1)}), b"\x04" + dumps({"files": [1]})),
        *(b"\x07" + dumps({"file": MAX_FILES, "start": 0}), b"\x07" + dumps({"file": True})),
        b"\x01" + dumps({**OFFER.to_json(), "title": "a/b"}),
        b"\x01" + dumps({**OFFER.to_json(), "count": 0}),
        b"\x01" + dumps({**OFFER.to_json(), "first": [["a", 1]] * (MAX_FIRST + 1)}),
        b"\x01" + dumps({**OFFER.to_json(), "name": "AAAA"}),
    )
    def test_malformed(self, data: bytes) -> None:
        """Anything else is refused, in one way."""
        self.assertRaises(RemoteProtocolError, decode, (data,) if data else ())

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 17), st.binary(max_size=200) | st.just(dumps(LIST)))
    def test_any(self, kind: int, body: bytes) -> None:
        """Whatever comes is a message or breaks the rules."""
        with contextlib.suppress(RemoteProtocolError):
            decode((bytes((kind,)), body))
