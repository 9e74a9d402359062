"""
Events of the two machines of a transfer: what their stream or its other end brought about, and what
is to be done with files.

What is to be done, ``CheckFile`` to ``FinishFile``, is done in the order in which it is asked for,
and answered by a call of the machine that asked; the others are answered by nothing.
"""

from __future__ import annotations

import attrs

from p2pchat.wire.framing import Parts
from p2pchat.wire.transfers import FileEntry, FileOffer


@attrs.frozen
class CheckFile:
    """The first pieces of a file of ours are to be hashed: ``FileSender.checked``."""

    file: int
    pieces: int


@attrs.frozen
class ReadPiece:
    """A piece of a file of ours is to be read: ``FileSender.piece_read``."""

    file: int
    piece: int


@attrs.frozen
class Prepare:
    """
    All files are known: what is there of them is to be found out: ``FileReceiver.prepared``.

    :ivar files: in the order in which they are numbered.
    """

    files: tuple[FileEntry, ...]


@attrs.frozen
class BeginPieces:
    """Pieces of a file come from this one on; if from 0, nothing of it is of use."""

    file: int
    start: int


@attrs.frozen
class StorePiece:
    """
    A piece is to be compared with its hash and written: ``FileReceiver.stored``.

    :ivar parts: its bytes, as they are together.
    :ivar root: of all pieces of the file up to this one.
    """

    file: int
    piece: int
    hash: bytes = attrs.field(repr=False)
    parts: Parts = attrs.field(repr=False)
    root: bytes = attrs.field(repr=False)


@attrs.frozen
class FinishFile:
    """All of a file was written: it gets its name: ``FileReceiver.stored``."""

    file: int
    size: int


@attrs.frozen
class OfferArrived:
    """The other side offers files."""

    offer: FileOffer


@attrs.frozen
class WasAccepted:
    """The other side takes what we offered."""


@attrs.frozen
class Progressed:
    """More is stored at the receiver."""


@attrs.frozen
class Skipped:
    """A file isn't sent: ``changed`` or ``unreadable``."""

    file: int
    reason: str


@attrs.frozen
class Completed:
    """All is stored; the stream is to be closed."""


@attrs.frozen
class WasRefused:
    """The other side wants nothing of it; the stream is to be closed."""

    reason: str


@attrs.frozen
class WasCancelled:
    """The other side ended the transfer for good; the stream is to be closed."""

    name: bytes


@attrs.frozen
class WasStopped:
    """The stream is to be closed, and another one may go on: why it stopped, in a word."""

    reason: str
    is_ours: bool


Work = CheckFile | ReadPiece | Prepare | BeginPieces | StorePiece | FinishFile
TransferEvent = (
    Work
    | OfferArrived
    | WasAccepted
    | Progressed
    | Skipped
    | Completed
    | WasRefused
    | WasCancelled
    | WasStopped
)
