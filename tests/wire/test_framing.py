"""Frames: the cut of a stream into them, and what one sender can make us hold."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.wire.framing import (
    MAX_FRAME,
    PART,
    FrameReader,
    PartReader,
    encode_beginning,
    encode_frame,
    encode_frames,
)
from tests.wire.frames import frames_of, whole_frames


class FrameTests(SynchronousTestCase):
    """What is framed comes out, however the network cuts it."""

    @given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 400), max_size=9))
    def test_any_cut(self, bodies: list[bytes], cuts: list[int]) -> None:
        """Any cut of the stream gives the same frames, none before its last byte is here."""
        stream = b"".join(map(encode_frame, bodies))
        ends = [sum(len(body) + 4 for body in bodies[: n + 1]) for n in range(len(bodies))]
        edges = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
        reader, found = FrameReader(), []
        for start, end in zip(edges, edges[1:] or [len(stream)], strict=False):
            reader.add(stream[start:end])
            found += whole_frames(reader)
            self.assertEqual(len(found), sum(last <= end for last in ends))
        self.assertEqual(found, bodies)

    @given(st.lists(st.binary(max_size=40), max_size=8))
    def test_many(self, bodies: list[bytes]) -> None:
        """Frames that are written together are the same on the wire."""
        self.assertEqual(encode_frames(bodies), b"".join(map(encode_frame, bodies)))

    def test_longest(self) -> None:
        """A frame of MAX_FRAME bytes is written and read; a longer one isn't written."""
        body = bytes(MAX_FRAME)
        self.assertEqual(frames_of(encode_frame(body)), [body])
        self.assertRaises(LocalProtocolError, encode_frame, bytes(MAX_FRAME + 1))

    def test_too_long(self) -> None:
        """A frame that is too long is refused as soon as its length is known."""
        reader = FrameReader()
        reader.add(encode_frame(b"good"))
        length = (MAX_FRAME + 1).to_bytes(4, "big")
        reader.add(length[:3])
        self.assertEqual((reader.next_frame(), reader.next_frame()), (b"good", None))
        reader.add(length[3:])
        self.assertRaises(RemoteProtocolError, reader.next_frame)

    def test_shorter_limit(self) -> None:
        """A reader may want less than MAX_FRAME."""
        reader = FrameReader()
        reader.add(encode_frame(b"four"))
        self.assertRaises(RemoteProtocolError, reader.next_frame, 3)
        self.assertEqual((len(reader), reader.next_frame(4), len(reader)), (8, b"four", 0))

    @given(st.binary(max_size=9), st.binary(max_size=9))
    def test_rest(self, body: bytes, rest: bytes) -> None:
        """What follows a frame can be had as it is, for another reader."""
        reader = FrameReader()
        reader.add(encode_frame(body) + rest)
        self.assertEqual((reader.next_frame(9), reader.take_rest()), (body, rest))
        self.assertEqual((len(reader), reader.take_rest()), (0, b""))

    @given(st.lists(st.binary(max_size=20), max_size=5))
    def test_any_bytes(self, chunks: list[bytes]) -> None:
        """Any bytes raise only our error."""
        reader = FrameReader()
        try:
            for chunk in chunks:
                reader.add(chunk)
                whole_frames(reader)
        except RemoteProtocolError:
            pass


class PartTests(SynchronousTestCase):
    """Frames that are the parts in which they came."""

    @given(
        st.lists(st.integers(0, 3 * PART), max_size=6),
        st.lists(st.integers(0, 9 * PART), max_size=9),
    )
    def test_any_cut(self, lengths: list[int], cuts: list[int]) -> None:
        """Any cut of the stream gives the same frames."""
        bodies = [bytes([number]) * length for number, length in enumerate(lengths)]
        stream = b"".join(encode_beginning(b"", len(body)) + body for body in bodies)
        edges = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
        reader, found = PartReader(), []
        for start, end in pairwise(edges):
            reader.add(stream[start:end])
            while (frame := reader.next_frame(3 * PART)) is not None:
                found.append(b"".join(frame))
        self.assertEqual(found, bodies)

    def test_too_long(self) -> None:
        """A frame that is too long is refused as soon as its length is known, and again."""
        reader = PartReader()
        reader.add(encode_beginning(b"", 4))
        for _ in range(2):
            self.assertRaises(RemoteProtocolError, reader.next_frame, 3)

    def test_drops(self) -> None:
        """What comes byte by byte makes few parts: none costs much more than it has."""
        reader = PartReader()
        reader.add(encode_beginning(b"", 4 * PART))
        for _ in range(4 * PART):
            reader.add(b"x")
        frame = reader.next_frame(4 * PART)
        assert frame is not None
        self.assertLessEqual(len(frame), 5)
