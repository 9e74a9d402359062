"""
Contents of an envelope, which waits in a mailbox: the frames that a link would carry.

::

    contents   frames, each  length 4 | body  (p2pchat.wire.framing)
    body       0x01 HAVE, 0x02 ENTRY, ...  as on a link (p2pchat.wire.entries)
               0x10 ASK_AGAIN | log 16: what its author left there before isn't whole
               0x04 FOLLOWING | an entry from its Lamport time on: the next of the log before
    padded     length 4 | contents | zeros

An entry repeats conversation, author, person and log of the one before it, counts one further and
has its hash: FOLLOWING leaves these 104 bytes out, and they are put back.  So 100 lines of 80
characters are about 12 KB.

Padding hides how much there is, but for the step: multiples of STEP up to COARSE, then of
COARSE_STEP.  A receipt and a short line look alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from struct import Struct
from struct import error as StructError

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.entries import ENTRY
from p2pchat.wire.framing import FrameReader, encode_frames

FOLLOWING, ASK_AGAIN = b"\x04", b"\x10"
STEP, COARSE, COARSE_STEP = 1024, 16 * 1024, 4096  # bytes
_NUMBER, _LENGTH = Struct("!Q"), Struct("!I")
MAX_CONTENTS = 15 * COARSE_STEP - _LENGTH.size  # bytes; sealed they have 62,641, of 64 KiB
MAX_FRAMES = 2048  # of an envelope; so many bytes of the shortest lines have fewer

_SHARED = Struct("!64s")  # conversation, author, person, log
_SHORTENED = _SHARED.size + _NUMBER.size + 32  # bytes that FOLLOWING leaves out


def encode_contents(bodies: Iterable[bytes]) -> bytes:
    """Write frames, each as its link would have it; entries that follow another are shortened."""
    written, before = [], b""
    for body in bodies:
        raw = body[1:] if body[:1] == ENTRY else b""
        follows = bool(raw and before) and raw[:_SHORTENED] == _beginning_after(before)
        written.append(FOLLOWING + raw[_SHORTENED:] if follows else body)
        before = raw or before
    return encode_frames(written)


def decode_contents(data: bytes) -> list[bytes]:
    """
    Read the frames, each as a link would have it.

    :raises RemoteProtocolError: cut short, too many, or nothing that one could follow.
    """
    reader, bodies, before = FrameReader(), [], b""
    reader.add(data)
    while (body := reader.next_frame(MAX_CONTENTS)) is not None:
        if body[:1] == FOLLOWING:
            body = ENTRY + _beginning_after(before) + body[1:]
        if body[:1] == ENTRY:
            before = body[1:]
        bodies.append(body)
        if len(bodies) > MAX_FRAMES:
            raise RemoteProtocolError(f"an envelope of more than {MAX_FRAMES} frames")
    if len(reader):
        raise RemoteProtocolError("an envelope that is cut short")
    return bodies


def _beginning_after(raw: bytes) -> bytes:
    """Return the beginning of the entry after one: it has the same log, and its hash."""
    try:
        (shared,), (number,) = _SHARED.unpack_from(raw), _NUMBER.unpack_from(raw, _SHARED.size)
        return _SHARED.pack(shared) + _NUMBER.pack(number + 1) + sha256(raw).digest()
    except StructError:
        raise RemoteProtocolError("an entry in an envelope that follows none") from None


def pad(contents: bytes) -> bytes:
    """Bring contents to one of the sizes that envelopes have."""
    size = _LENGTH.size + len(contents)
    step = STEP if size <= COARSE else COARSE_STEP
    return (_LENGTH.pack(len(contents)) + contents).ljust(-(-size // step) * step, b"\x00")


def unpad(padded: bytes) -> bytes:
    """
    Return the contents.

    :raises RemoteProtocolError: cut short.
    """
    try:
        (length,) = _LENGTH.unpack_from(padded)
    except StructError:
        raise RemoteProtocolError("an envelope that is cut short") from None
    contents = padded[_LENGTH.size : _LENGTH.size + length]
    if len(contents) < length:
        raise RemoteProtocolError("an envelope that is cut short")
    return contents
