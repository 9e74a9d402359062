"""
Frames on a byte stream::

    +----------------+------------------- - -
    | length, 32 bit | that many bytes
    | big endian     |
    +----------------+------------------- - -

Owns the cut of a stream into frames; refuses a frame longer than MAX_FRAME before its bytes
arrive, so that a sender can't make us hold more than one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from p2pchat.errors import LocalProtocolError, RemoteProtocolError

MAX_FRAME = 256 * 1024  # bytes; a message of 64 KiB text escaped at its worst stays below
_LENGTH = Struct("!I")


def encode_frame(body: bytes) -> bytes:
    """
    Put the length before a body.

    :raises LocalProtocolError: the body is longer than MAX_FRAME.
    """
    return encode_frames([body])


def encode_frames(bodies: Sequence[bytes]) -> bytes:
    """
    Put the length before each body.

    :raises LocalProtocolError: a body is longer than MAX_FRAME.
    """
    parts: list[bytes] = []
    for body in bodies:
        if len(body) > MAX_FRAME:
            raise LocalProtocolError(f"{len(body)} bytes are too many for one frame ({MAX_FRAME})")
        parts += (_LENGTH.pack(len(body)), body)
    return b"".join(parts)


def split_frame(data: bytes, most: int) -> tuple[bytes, bytes] | None:
    """
    Return the frame that data begins with, and what follows it; ``None`` until all of it is there.

    :raises RemoteProtocolError: it announces more than ``most`` bytes.
    """
    if len(data) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(data)
    if length > most:
        raise RemoteProtocolError(f"a frame of {length} bytes; at most {most} allowed")
    end = _LENGTH.size + length
    return None if len(data) < end else (data[_LENGTH.size : end], data[end:])


class FrameReader:
    """A reader of whole frames from the bytes of a stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """
        Add bytes and return the frames that are complete.

        :raises RemoteProtocolError: a frame announces more than MAX_FRAME bytes.
        """
        self._buffer += data
        frames: list[bytes] = []
        start, available = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            while available - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(view, start)
                if length > MAX_FRAME:
                    raise RemoteProtocolError(
                        f"a frame of {length} bytes; at most {MAX_FRAME} allowed"
                    )
                end = start + _LENGTH.size + length
                if available < end:
                    break
                frames.append(bytes(view[start + _LENGTH.size : end]))
                start = end
        del self._buffer[:start]
        return frames
