"""
Frames on a byte stream::

    +----------------+------------------- - -
    | length, 32 bit | that many bytes
    | big endian     |
    +----------------+------------------- - -

Owns the cut of a stream into frames; refuses a frame longer than MAX_FRAME, or than its reader
wants, before its bytes arrive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from struct import Struct

from p2pchat.errors import LocalProtocolError, RemoteProtocolError

MAX_FRAME = 256 * 1024  # bytes; the longest text has half as many
LENGTH = 4  # bytes before each frame
PART = 16 * 1024  # bytes; smaller parts are joined: each costs some hundred bytes beside
_LENGTH = Struct("!I")

Parts = tuple[bytes | memoryview, ...]


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


def encode_beginning(head: bytes, rest: int) -> bytes:
    """Return the beginning of a frame whose body has so many bytes more, of any length."""
    return _LENGTH.pack(len(head) + rest) + head


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


class PartReader:
    """
    A reader of long frames: each is the parts in which its bytes came, none of them empty.

    What comes in parts of PART bytes or more isn't copied.
    """

    def __init__(self) -> None:
        self._parts: deque[bytearray | memoryview] = deque()
        self._size = 0  # of all
        self._length: int | None = None  # of the frame whose length is read

    def add(self, data: bytes) -> None:
        """Take what came next."""
        self._size += len(data)
        last = self._parts[-1] if self._parts else None
        if len(data) >= PART:
            self._parts.append(memoryview(data))
        elif isinstance(last, bytearray) and len(last) < PART:
            last += data
        elif data:
            self._parts.append(bytearray(data))

    def next_frame(self, most: int) -> Parts | None:
        """
        Return, and forget, the next frame, if all of it is there.

        :raises RemoteProtocolError: it announces more than ``most`` bytes.
        """
        if self._length is None:
            if self._size < LENGTH:
                return None
            (self._length,) = _LENGTH.unpack(b"".join(self._take(LENGTH)))
        if self._length > most:
            raise RemoteProtocolError(f"a frame of {self._length} bytes; at most {most} allowed")
        if self._size < self._length:
            return None
        length, self._length = self._length, None
        return self._take(length)

    def _take(self, count: int) -> Parts:
        taken = []
        self._size -= count
        while count:
            part = self._parts.popleft()
            if isinstance(part, bytearray):
                part = memoryview(bytes(part))
            if len(part) > count:
                self._parts.appendleft(part[count:])
                part = part[:count]
            taken.append(part)
            count -= len(part)
        return tuple(taken)
