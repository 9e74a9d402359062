"""
Frames on a byte stream::

    +----------------+------------------- - -
    | length, 32 bit | that many bytes
    | big endian     |
    +----------------+------------------- - -

Owns the cut of a stream into frames; refuses a frame longer than MAX_FRAME before its bytes
arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from p2pchat.errors import LocalProtocolError, RemoteProtocolError

MAX_FRAME = 256 * 1024  # bytes; the longest text has half as many
LENGTH = 4  # bytes before each frame
_LENGTH = Struct("!I")


def encode_frame(body: bytes) -> bytes:
    """
    Put the length before a body.

    :raises LocalProtocolError: the body is longer than MAX_FRAME.
    """
    length = len(body)
    if length > MAX_FRAME:
        raise LocalProtocolError(f"{length} bytes are too many for one frame ({MAX_FRAME})")
    return _LENGTH.pack(length) + body


def encode_frames(bodies: Sequence[bytes]) -> bytes:
    """
    Put the length before each body.

    :raises LocalProtocolError: a body is longer than MAX_FRAME.
    """
    return b"".join([encode_frame(body) for body in bodies])


def encode_long_frame(head: bytes, rest: bytes) -> bytes:
    """Put the length before a body in two parts, where its reader takes longer ones, too."""
    return b"".join((_LENGTH.pack(len(head) + len(rest)), head, rest))


class FrameReader:
    """A reader of whole frames from the bytes of a stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Return how many bytes wait."""
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """Take what came next."""
        self._buffer += data

    def next_frame(self, most: int = MAX_FRAME) -> bytes | None:
        """
        Return, and forget, the next frame, if all of it is there.

        :raises RemoteProtocolError: it announces more than ``most`` bytes.
        """
        buffer = self._buffer
        if len(buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length > most:
            raise RemoteProtocolError(f"a frame of {length} bytes; at most {most} allowed")
        end = _LENGTH.size + length
        if len(buffer) < end:
            return None
        body = bytes(buffer[_LENGTH.size : end])
        del buffer[:end]  # moves nothing: the buffer's beginning is moved
        return body

    def take_rest(self) -> bytes:
        """Return, and forget, what follows the frames that were returned."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
