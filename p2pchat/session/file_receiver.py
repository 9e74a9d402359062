"""
The receiving side of a transfer, on one stream; pure.

::

    WAITING ── OFFER ──▶ ASKED ── accept ──▶ LISTING ── all are listed ──▶ PREPARING
       │                   │                                                  │ prepared
       │                   └── refuse ──▶ ended, for good                     ▼
       └── CANCELLED ──▶ ended, for good                  ended ◀── END ── RECEIVING

It says what is to be written (``StorePiece``, ``FinishFile``), in order, and is given ``stored``
when that is on the disk for good.  Bytes that wait for that are bounded: a sender with more than
WINDOW of them under way breaks the rules.

Sizes are those that were announced, piece by piece; what exceeds them isn't even asked to be
written.  A file whose root isn't that of its pieces gets no name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.pieces import Pieces, begin_of
from p2pchat.session.transfer_events import (
    BeginPieces,
    Completed,
    FinishFile,
    OfferArrived,
    Prepare,
    Progressed,
    Skipped,
    StorePiece,
)
from p2pchat.session.transfer_stream import TransferStream
from p2pchat.wire.transfers import (
    MAX_UNSTORED,
    PIECE_SIZE,
    WINDOW,
    BeginFile,
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
    Stored,
    TransferMessage,
)


class ReceiverStage(Enum):
    """The stages of a receiver."""

    WAITING = "waiting"
    ASKED = "asked"
    LISTING = "listing"
    PREPARING = "preparing"
    RECEIVING = "receiving"


@attrs.frozen
class KeptPieces:
    """
    The part of a file that is there already.

    :ivar pieces: those that were verified.
    :ivar is_done: whether it is whole, and has its name.
    """

    pieces: Pieces = attrs.Factory(Pieces)
    is_done: bool = False


@attrs.define
class _IncomingFile:
    """The file that comes."""

    number: int
    size: int | None
    pieces: Pieces
    received: int
    is_short: bool = False  # a piece was shorter than others: it is the last one


@attrs.define(eq=False)
class FileReceiver(TransferStream):
    """
    The receiver of files on one stream.

    :ivar offer: what is offered, once it is.
    :ivar had: bytes that were there before this stream.
    :ivar received: bytes of pieces that came.
    :ivar stored_bytes: those that are on the disk.
    """

    stage: ReceiverStage = ReceiverStage.WAITING
    offer: FileOffer | None = None
    had: int = 0
    received: int = 0
    stored_bytes: int = 0
    _files: list[FileEntry] = attrs.field(factory=list, init=False)
    _kept: Mapping[int, KeptPieces] = attrs.field(factory=dict, init=False)
    _lacking: set[int] = attrs.field(factory=set, init=False)  # files that are still to come
    _incoming: _IncomingFile | None = attrs.field(default=None, init=False)
    _ended_files: int = attrs.field(default=0, init=False)
    _stored_files: int = attrs.field(default=0, init=False)
    _has_all: bool = attrs.field(default=False, init=False)  # END came

    def accept(self) -> None:
        """Take what is offered."""
        if self.stage is ReceiverStage.ASKED and not self.has_ended:
            self.stage = ReceiverStage.LISTING
            self._say(OfferAccepted())

    def refuse(self, reason: str) -> None:
        """Want nothing of it."""
        if not self.has_ended:
            self._say(OfferRefused(reason))
            self.has_ended = True

    def _receive(self, message: TransferMessage | Piece) -> None:
        match self.stage, message:
            case ReceiverStage.WAITING, FileOffer():
                self.stage, self.offer = ReceiverStage.ASKED, message
                self._tell(OfferArrived(message))
            case ReceiverStage.LISTING, FileList(files):
                self._take_list(files)
            case ReceiverStage.RECEIVING, BeginFile(file, start):
                self._begin(file, start)
            case ReceiverStage.RECEIVING, Piece():
                self._take_piece(message)
            case ReceiverStage.RECEIVING, EndFile():
                self._take_end(message)
            case ReceiverStage.RECEIVING, Skip(file, reason):
                self._skip(file, reason)
            case ReceiverStage.RECEIVING, End():
                self._take_all()
            case _:
                super()._receive(message)

    # -- the list

    def _take_list(self, files: tuple[FileEntry, ...]) -> None:
        offer = self._offered()
        self._files += files
        if not files or len(self._files) > offer.count:
            raise RemoteProtocolError("more files than were announced, or none")
        if len(self._files) == offer.count:
            self._check_list(offer)
            self.stage = ReceiverStage.PREPARING
            self._tell(Prepare(tuple(self._files)))

    def _check_list(self, offer: FileOffer) -> None:
        sizes = [one.size for one in self._files]
        if sum(size or 0 for size in sizes) > offer.most or (None in sizes and len(sizes) > 1):
            raise RemoteProtocolError("more bytes than were announced")
        if not offer.folder and (offer.count != 1 or self._files[0].path != offer.title):
            raise RemoteProtocolError("other files than were announced")
        paths = {one.path for one in self._files}
        folders = {path[:at] for path in paths for at in _slashes(path)}
        if len(paths) < len(self._files) or paths & folders:
            raise RemoteProtocolError("two files of one name, or a file that is a folder")

    def prepared(self, kept: Mapping[int, KeptPieces]) -> None:
        """Say what is there of each file of which there is anything."""
        if self.has_ended:
            return
        self._kept = kept
        for file, one in sorted(kept.items()):
            self._say(Have(file, one.pieces.count, one.pieces.root(), one.is_done))
            size = self._files[file].size
            whole = one.pieces.count * PIECE_SIZE if size is None else size
            self.had += whole if one.is_done else begin_of(one.pieces.count, whole)
        self._lacking = {
            file for file in range(len(self._files)) if file not in kept or not kept[file].is_done
        }
        self.stage = ReceiverStage.RECEIVING
        self._say(Ready())

    def _offered(self) -> FileOffer:
        if self.offer is None:
            raise RemoteProtocolError("nothing is offered yet")
        return self.offer

    # -- pieces

    def _begin(self, file: int, start: int) -> None:
        if self._incoming is not None or file not in self._lacking:
            raise RemoteProtocolError("FILE out of turn")
        pieces = Pieces()
        if start:
            pieces = self._kept[file].pieces if file in self._kept else pieces
            if start != pieces.count:
                raise RemoteProtocolError("FILE from a piece that isn't the next one")
        size = self._files[file].size
        before = begin_of(start, 2**63 if size is None else size)
        self._incoming = _IncomingFile(file, size, pieces, before)
        self._tell(BeginPieces(file, start))

    def _take_piece(self, piece: Piece) -> None:
        one, length = self._begun(), piece.size
        most = self._offered().most if one.size is None else one.size
        rest = most - one.received
        if one.is_short or length > rest:
            raise RemoteProtocolError("more bytes than were announced")
        one.is_short = length < PIECE_SIZE
        if one.is_short and one.size is not None and length < rest:
            raise RemoteProtocolError("a piece that is too short")
        self.received += length
        if self.received - self.stored_bytes > WINDOW:
            raise RemoteProtocolError("more bytes under way than there may be")
        number = one.pieces.count
        one.pieces.add(piece.hash)
        one.received += length
        self._tell(StorePiece(one.number, number, piece.hash, piece.parts, one.pieces.root()))

    def _begun(self) -> _IncomingFile:
        if self._incoming is None:
            raise RemoteProtocolError("a piece of no file")
        return self._incoming

    def _take_end(self, end: EndFile) -> None:
        one = self._begun()
        if one.received != end.size or one.size not in {None, end.size}:
            raise RemoteProtocolError("a file of another size than was announced")
        if one.pieces.root() != end.root:
            raise RemoteProtocolError("a file whose root isn't that of its pieces")
        self._leave(one.number)
        self._tell(FinishFile(one.number, end.size))

    def _leave(self, file: int) -> None:
        self._lacking.discard(file)
        self._incoming = None
        self._ended_files += 1
        if self._ended_files - self._stored_files > MAX_UNSTORED:
            raise RemoteProtocolError("more files under way than there may be")

    def _skip(self, file: int, reason: str) -> None:
        is_other = self._incoming is not None and self._incoming.number != file
        if file not in self._lacking or is_other:
            raise RemoteProtocolError("SKIP out of turn")
        self._leave(file)
        self._tell(Skipped(file, reason))

    def _take_all(self) -> None:
        if self._lacking or self._incoming is not None:
            raise RemoteProtocolError("END before all files were sent")
        self._has_all = True
        self._finish_if_all()

    def stored(self, size: int, files: int) -> None:
        """Take it that so many bytes and files more are on the disk, or need not be."""
        self.stored_bytes += size
        self._stored_files += files
        self._tell(Progressed())
        if not self.has_ended:
            self._say(Stored(self.stored_bytes, self._stored_files))
            self._finish_if_all()

    def _finish_if_all(self) -> None:
        if self._has_all and self._stored_files == self._ended_files:
            self._say(Done())
            self._end(Completed())


def _slashes(path: str) -> list[int]:
    return [at for at, character in enumerate(path) if character == "/"]
