"""ChannelData, and the cutting of streams."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire import stun
from p2pchat.wire.channel_data import (
    MAX_FRAME,
    StreamFrames,
    decode_channel_data,
    encode_channel_data,
)

STUN = stun.encode(stun.request(bytes(12), USERNAME="abc"))


class ChannelDataTests(SynchronousTestCase):
    """RFC 8656 section 12.4."""

    def test_layout(self) -> None:
        """Number, length, data; padded over streams."""
        self.assertEqual(encode_channel_data(0x4001, b"abc", False).hex(), "40010003616263")
        self.assertEqual(encode_channel_data(0x4001, b"abc", True).hex(), "4001000361626300")

    @given(st.integers(0x4000, 0x4FFF), st.binary(max_size=99), st.booleans())
    def test_round_trip(self, number: int, data: bytes, padded: bool) -> None:
        """What is written is read."""
        frame = encode_channel_data(number, data, padded)
        self.assertEqual(decode_channel_data(frame), (number, data))

    def test_refused(self) -> None:
        """Lies about length or channel are refused."""
        for text in ("", "4000", "40000001", "50000000", "00000000", "7fff0000"):
            self.assertRaises(RemoteProtocolError, decode_channel_data, bytes.fromhex(text))


class StreamFramesTests(SynchronousTestCase):
    """The cutting of a stream."""

    @given(
        st.lists(st.one_of(st.just(STUN), st.binary(max_size=50)), max_size=8), st.integers(1, 30)
    )
    def test_cuts(self, contents: list[bytes], step: int) -> None:
        """However the stream is chopped, the same frames come out."""
        frames = [
            one if one is STUN else encode_channel_data(0x4000, one, True) for one in contents
        ]
        stream, cutter, found = b"".join(frames), StreamFrames(), []
        for start in range(0, len(stream), step):
            found += cutter.receive(stream[start : start + step])
        self.assertEqual((found, cutter.broken), (frames, ""))

    @given(st.lists(st.binary(max_size=300), max_size=20))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """Nothing is raised, and no more is kept than a frame."""
        cutter = StreamFrames()
        for piece in pieces:
            for frame in cutter.receive(piece):
                self.assertLessEqual(len(frame), MAX_FRAME)
            self.assertLessEqual(len(pickle.dumps(cutter)), MAX_FRAME + 1000)

    def test_too_long(self) -> None:
        """A frame that is too long is passed over, and the next one is read."""
        cutter = StreamFrames()
        stream = encode_channel_data(0x4000, bytes(60_001), True) + STUN
        found = [f for n in range(0, len(stream), 999) for f in cutter.receive(stream[n : n + 999])]
        self.assertEqual(found, [STUN])

    def test_broken(self) -> None:
        """What is neither STUN nor ChannelData breaks the stream, for good."""
        for garbage in (b"\x80" * 4, b"\x50\x00\x00\x00", b"\x00\x01\x00\x01", bytes(8)):
            cutter = StreamFrames()
            self.assertEqual(cutter.receive(STUN + garbage), [STUN])
            self.assertTrue(cutter.broken)
            self.assertEqual(cutter.receive(STUN), [])
