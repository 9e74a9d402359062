"""
Messages of a transfer of files, on one stream of the service ``p2pchat.files``.

Whoever sends opens the stream.  A frame (:mod:`p2pchat.wire.framing`) is one message::

    kind 8 | body            a JSON object, but of PIECE:   hash 32 | up to PIECE_SIZE bytes

    sender                                          receiver
    OFFER    name, title, count, most, size, first ─▶
                                                 ◀─ ACCEPTED               perhaps after hours
                                                 ◀─ REFUSED  reason        ends it, for good
    LIST     files, each a path and a size ─▶       as often as it takes for ``count`` of them
                                                 ◀─ HAVE     file, pieces, root, done   of what
                                                             there is from an earlier stream
                                                 ◀─ READY
    FILE     file, start ─▶                         its pieces from ``start`` on follow, in order
    PIECE    hash, bytes ─▶
    END_FILE size, root ─▶
    SKIP     file, reason ─▶                        it changed, or can't be read: nothing of it
                                                 ◀─ STORED   bytes, files  as many of this stream
                                                             are on the disk
                                                 ◀─ STOPPED  reason        ends the stream; the
                                                             rest may be asked for later
    END ─▶
                                                 ◀─ DONE                   ends it
    CANCELLED name ─▶◀─                             ends it, for good; also instead of OFFER

A file of N bytes has N / PIECE_SIZE pieces, the last one being shorter.  A hash is BLAKE3 of a
piece; ``root`` is BLAKE3 of the hashes of all pieces up to there, in order: of the first ``pieces``
in HAVE, of all in END_FILE.  A size that is null is not known before END_FILE, and ``most`` bounds
it.

Between READY and DONE a sender has at most WINDOW bytes, and MAX_UNSTORED files, on their way that
STORED hasn't counted: so much is sent twice where either program is killed.  STORED counts the
bytes of a piece once they are on the disk for good.

Refuses names that aren't names (:mod:`p2pchat.wire.file_names`), more files than MAX_FILES, sizes
beyond what was announced.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.wire.file_names import MAX_PATH, check_part, check_path
from p2pchat.wire.framing import MAX_FRAME, Parts, encode_beginning
from p2pchat.wire.members import (
    SPARSE,
    Codec,
    Count,
    Flag,
    Members,
    each,
    integer,
    octets,
    text,
)
from p2pchat.wire.strict_json import MAX_INTEGER, checked, dumps, loads

SERVICE = "p2pchat.files"
PIECE_SIZE = 1024 * 1024  # bytes; a hash of 32 for each: 10 GiB have 320 KiB of them
WINDOW = 4 * PIECE_SIZE  # bytes under way; what a kill may cost
MAX_FILES = 10_000  # of one transfer; who sends more packs them
MAX_UNSTORED = 64  # files under way
MAX_FIRST = 8  # files that an offer names; more than a person reads before the answer
LISTED = 100  # files in one LIST: with the longest paths it is shorter than a frame
MAX_REASON = 200  # characters
NAME = 16  # random bytes that name a transfer, among those of two peers
HASH = 32  # bytes of BLAKE3
HEAD = 1 + HASH  # bytes before those of a piece
MAX_PIECE_FRAME = HEAD + PIECE_SIZE  # bytes; the longest frame


def _read_file(value: object, name: str) -> FileEntry:
    pair = checked(value, name, list, 2)
    if len(pair) != 2:
        raise RemoteProtocolError("a file has a path and a size")
    size = None if pair[1] is None else checked(pair[1], "size", int, MAX_INTEGER)
    return FileEntry(check_path(checked(pair[0], "path", str, MAX_PATH)), size)


_FILE: Codec[FileEntry] = Codec(_read_file, lambda one: [one.path, one.size])
_TITLE = Codec(lambda value, name: check_part(checked(value, name, str, MAX_PATH)))
_NUMBER = integer(MAX_FILES - 1)


@attrs.frozen
class FileEntry:
    """
    A file of a transfer.

    :ivar path: below the folder that is sent, or its name alone.
    :ivar size: bytes; ``None``: not known before its end.
    """

    path: str
    size: int | None


class TransferMessage(Members):
    """A message of a transfer; ``KIND`` is its first byte."""

    KIND: ClassVar[int]
    __slots__ = ()


@attrs.frozen
class FileOffer(TransferMessage):
    """
    The beginning of a transfer.

    :ivar name: of the transfer, always the same.
    :ivar title: what is shown: the name of a file, or of a folder.
    :ivar folder: whether the files are below a folder of that name.
    :ivar count: of files.
    :ivar size: bytes of all; ``None`` where that of one isn't known.
    :ivar most: bytes of all at most.
    :ivar first: some of the files, for a person to see.
    """

    KIND = 1
    name: Annotated[bytes, octets(NAME)]
    title: Annotated[str, _TITLE]
    folder: Flag
    count: Annotated[int, integer(MAX_FILES, 1)]
    most: Count
    first: Annotated[tuple[FileEntry, ...], each(_FILE, MAX_FIRST)] = ()
    size: Annotated[int | None, integer()] = None


@attrs.frozen
class OfferAccepted(TransferMessage):
    """The person, or a rule, said yes."""

    KIND = 2


@attrs.frozen
class OfferRefused(TransferMessage):
    """
    The end of a transfer, before it began.

    :ivar reason: a word: ``declined``, ``too-many``, ``too-large``.
    """

    KIND = 3
    reason: Annotated[str, text(MAX_REASON)]


@attrs.frozen
class FileList(TransferMessage):
    """Some of the files, those that come next."""

    KIND = 4
    files: Annotated[tuple[FileEntry, ...], each(_FILE, LISTED)]


@attrs.frozen
class Have(TransferMessage):
    """A part of a file that the receiver has, or all of it."""

    KIND = 5
    file: Annotated[int, _NUMBER]
    pieces: Count = 0
    root: Annotated[bytes, octets(HASH)] = bytes(HASH)
    done: Annotated[bool, Flag.__metadata__[0], SPARSE] = False


@attrs.frozen
class Ready(TransferMessage):
    """All that the receiver has was said; the rest may come."""

    KIND = 6


@attrs.frozen
class BeginFile(TransferMessage):
    """The beginning of a file's pieces."""

    KIND = 7
    file: Annotated[int, _NUMBER]
    start: Count = 0


@attrs.frozen
class Piece:
    """
    A piece of the file that was begun.

    :ivar hash: BLAKE3 of the data.
    :ivar parts: the data, as they are together.
    """

    KIND: ClassVar[int] = 8
    hash: bytes
    parts: Parts = attrs.field(eq=b"".join, repr=False)

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return sum(map(len, self.parts))


@attrs.frozen
class EndFile(TransferMessage):
    """The end of a file: how long it is, and the root of its hashes."""

    KIND = 9
    size: Count
    root: Annotated[bytes, octets(HASH)]


@attrs.frozen
class Skip(TransferMessage):
    """A file that isn't sent: ``changed`` or ``unreadable``."""

    KIND = 10
    file: Annotated[int, _NUMBER]
    reason: Annotated[str, text(MAX_REASON)]


@attrs.frozen
class Stored(TransferMessage):
    """Bytes and whole files of this stream that are on the disk, so far."""

    KIND = 11
    bytes: Count
    files: Count


@attrs.frozen
class Stopped(TransferMessage):
    """The end of a stream, for now: ``disk-full``, ``unwritable``, ``busy``, ``leaving``."""

    KIND = 12
    reason: Annotated[str, text(MAX_REASON)]


@attrs.frozen
class End(TransferMessage):
    """The sender has sent all."""

    KIND = 13


@attrs.frozen
class Done(TransferMessage):
    """The receiver has stored all."""

    KIND = 14


@attrs.frozen
class Cancelled(TransferMessage):
    """The end of a transfer, by the wish of one of the two."""

    KIND = 15
    name: Annotated[bytes, octets(NAME)]


_KINDS: tuple[type[TransferMessage], ...] = (
    *(FileOffer, OfferAccepted, OfferRefused, FileList, Have, Ready, BeginFile, EndFile),
    *(Skip, Stored, Stopped, End, Done, Cancelled),
)
_BY_KIND = {kind.KIND: kind for kind in _KINDS}


def encode(message: TransferMessage | Piece) -> Parts:
    """
    Write a message, as the parts of a frame.

    :raises LocalProtocolError: it is longer than a frame.
    """
    if isinstance(message, Piece):
        head = bytes((message.KIND,)) + message.hash
        return encode_beginning(head, message.size), *message.parts
    body = dumps(message.to_json())
    if len(body) >= MAX_FRAME:
        raise LocalProtocolError(f"a message of {len(body)} bytes")
    return (encode_beginning(bytes((message.KIND,)) + body, 0),)


def decode(frame: Parts) -> TransferMessage | Piece:
    """
    Read the message of a frame.

    :raises RemoteProtocolError: it is none, or of no known kind.
    """
    kind, size = frame[0][0] if frame else 0, sum(map(len, frame))
    if kind == Piece.KIND:
        if not HEAD < size <= MAX_PIECE_FRAME:
            raise RemoteProtocolError("a piece without bytes, or with too many")
        return _read_piece(frame)
    if kind not in _BY_KIND or size > MAX_FRAME:
        raise RemoteProtocolError("no message of a transfer")
    return _BY_KIND[kind].from_json(loads(b"".join(frame)[1:]))


def _read_piece(frame: Parts) -> Piece:
    if len(frame[0]) < HEAD:
        frame = (b"".join(frame),)
    first, *rest = frame
    hash, begin = bytes(first[1:HEAD]), first[HEAD:]
    return Piece(hash, (begin, *rest) if begin else tuple(rest))
