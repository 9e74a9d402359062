"""
ChannelData of TURN (RFC 8656 section 12.4), and its framing with STUN messages on streams.

::

     0                   1                   2                   3
    +---------------+---------------+---------------+---------------+
    |        channel number         |        length of the data     |
    +---------------+---------------+---------------+---------------+
    |     the data; over a stream padded to a multiple of 4 bytes   |

Over TCP and TLS, STUN messages and ChannelData follow each other without any other framing; the
first two bits tell them apart: 00 is STUN, 01 is ChannelData.  :class:`StreamFrames` cuts them.
"""

from __future__ import annotations

import struct

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.demultiplexing import MAGIC_COOKIE, STUN_HEADER

FIRST_CHANNEL, LAST_CHANNEL = 0x4000, 0x4FFF  # RFC 8656 section 12
CHANNEL_HEADER = 4  # bytes
MAX_DATA = 65_507  # bytes; what one UDP datagram over IPv4 carries
MAX_FRAME = 4096  # bytes; a datagram of Ethernet size and its attributes; longer ones are skipped

_CHOICE = 8  # bytes that tell what a STUN frame is: type, length, magic cookie


def is_channel_data(frame: bytes) -> bool:
    """Tell ChannelData from STUN by the first two bits (RFC 8656 section 12)."""
    return len(frame) >= CHANNEL_HEADER and frame[0] >> 6 == 1


def encode_channel_data(number: int, data: bytes, padded: bool) -> bytes:
    """
    Write ChannelData.

    :param padded: to a multiple of four bytes, as streams need it.
    """
    padding = bytes(-len(data) % 4) if padded else b""
    return struct.pack("!HH", number, len(data)) + data + padding


def decode_channel_data(frame: bytes) -> tuple[int, bytes]:
    """
    Read ChannelData: its channel number, and the data without padding.

    :raises RemoteProtocolError: it is none, or its length lies.
    """
    if not is_channel_data(frame):
        raise RemoteProtocolError("no ChannelData")
    number, length = struct.unpack_from("!HH", frame)
    if number > LAST_CHANNEL or length > len(frame) - CHANNEL_HEADER:
        raise RemoteProtocolError("the ChannelData header lies about its channel or length")
    return number, frame[CHANNEL_HEADER : CHANNEL_HEADER + length]


@attrs.define
class StreamFrames:
    """
    A reader of the frames that a relay sends; holds no more than MAX_FRAME bytes and one read.

    A frame that is too long for us is passed over, because whoever has a permission at the relay
    could send one; bytes that are no frame at all end the stream, since nothing after them can
    be told apart.

    :ivar broken: why the stream can't be read any more, to go on after the relay's name; empty
        while it can.
    """

    broken: str = ""
    _buffer: bytearray = attrs.Factory(bytearray)
    _passing: int = 0  # bytes of a frame that is passed over

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes as they came; return the frames that they complete.  Never raises."""
        if self.broken:
            return []
        self._buffer += data
        frames: list[bytes] = []
        while not self.broken and (length := self._next_length()):
            if length > MAX_FRAME:
                self._passing = length
            elif len(self._buffer) < length:
                break
            else:
                frames.append(bytes(self._buffer[:length]))
                del self._buffer[:length]
        return frames

    def _next_length(self) -> int:
        """Return the whole length of the next frame, or 0 while it can't be known."""
        passed = min(self._passing, len(self._buffer))
        del self._buffer[:passed]
        self._passing -= passed
        if self._passing or len(self._buffer) < CHANNEL_HEADER:
            return 0
        header: tuple[int, int] = struct.unpack_from("!HH", self._buffer)
        kind, length = header
        if FIRST_CHANNEL <= kind <= LAST_CHANNEL:
            return CHANNEL_HEADER + length + -length % 4
        return self._stun_length(kind, length)

    def _stun_length(self, kind: int, length: int) -> int:
        if kind & 0xC000 or length % 4:
            self.broken = "sends what is neither STUN nor ChannelData"
        elif len(self._buffer) >= _CHOICE:
            if self._buffer[4:8] == MAGIC_COOKIE:
                return STUN_HEADER + length
            self.broken = "sends messages without the magic cookie"
        return 0
