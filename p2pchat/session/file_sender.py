"""
The sending side of a transfer, on one stream; pure.

::

    OFFERED ── ACCEPTED ──▶ LISTED ── READY ──▶ SENDING ── all is sent ──▶ SENT ── DONE ──▶ ended
       │                       │                   │                        │
       └── REFUSED             └───────────────────┴──── STOPPED ───────────┴──▶ ended, for now
       └── CANCELLED, at any stage, of either side ──▶ ended, for good

It says what is to be read (``CheckFile``, ``ReadPiece``), one thing at a time, and has a little
read ahead.  At most WINDOW bytes and MAX_UNSTORED files are under way; the receiver's STORED makes
room.

A file of which the receiver has the beginning is hashed as far as that: only where the roots are
the same it goes on there.  Which file that is, and whether it is still the one that was offered, is
the matter of whoever reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.pieces import Pieces, begin_of, pieces_of
from p2pchat.session.transfer_events import (
    CheckFile,
    Completed,
    Progressed,
    ReadPiece,
    Skipped,
    WasAccepted,
    WasRefused,
)
from p2pchat.session.transfer_stream import TransferStream
from p2pchat.wire.transfers import (
    LISTED,
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

READ_AHEAD = 2 * PIECE_SIZE  # bytes that wait for room; then one piece is read while one is sent
MAX_AHEAD = 16  # messages that do, of files that have no bytes


class SenderStage(Enum):
    """The stages of a sender."""

    OFFERED = "offered"
    LISTED = "listed"
    SENDING = "sending"
    SENT = "sent"


@attrs.define(eq=False)
class FileSender(TransferStream):
    """
    The sender of files on one stream.

    :ivar files: those of the offer, in the order in which they are numbered.
    :ivar had: bytes that the receiver had before this stream.
    :ivar stored: bytes of this stream that it has stored.
    :ivar sent: bytes of pieces that were handed to this stream.
    """

    offer: FileOffer
    files: Sequence[FileEntry]
    stage: SenderStage = SenderStage.OFFERED
    had: int = 0
    stored: int = 0
    sent: int = 0
    _have: dict[int, Have] = attrs.field(factory=dict, init=False)
    _next: int = attrs.field(default=0, init=False)  # file
    _file: int | None = attrs.field(default=None, init=False)  # that was begun
    _pieces: Pieces = attrs.field(factory=Pieces, init=False)  # of it, that were sent
    _is_reading: bool = attrs.field(default=False, init=False)
    _ahead: deque[TransferMessage | Piece] = attrs.field(factory=deque, init=False, repr=False)
    _ahead_size: int = attrs.field(default=0, init=False)  # of their pieces
    _files_sent: int = attrs.field(default=0, init=False)
    _files_stored: int = attrs.field(default=0, init=False)
    _has_said_end: bool = attrs.field(default=False, init=False)

    def start(self) -> None:
        """FileOffer."""
        self._say(self.offer)

    def next_bytes(self) -> bytes | memoryview | None:
        """Return, and forget, what is to be written next."""
        if not (self._out or self.has_ended):
            self._hand_on()
        return super().next_bytes()

    def _receive(self, message: TransferMessage | Piece) -> None:
        match self.stage, message:
            case SenderStage.OFFERED, OfferAccepted():
                self._accepted()
            case SenderStage.OFFERED, OfferRefused(reason):
                self._end(WasRefused(reason))
            case SenderStage.LISTED, Have():
                self._take_have(message)
            case SenderStage.LISTED, Ready():
                self.stage = SenderStage.SENDING
                self._tell(Progressed())
                self._go_on()
            case ((SenderStage.SENDING | SenderStage.SENT), Stored(bytes=size, files=count)):
                self._take_stored(size, count)
            case SenderStage.SENT, Done():
                self._end(Completed())
            case _:
                super()._receive(message)

    def _accepted(self) -> None:
        self.stage = SenderStage.LISTED
        self._tell(WasAccepted())
        for at in range(0, len(self.files), LISTED):
            self._say(FileList(tuple(self.files[at : at + LISTED])))

    def _take_have(self, have: Have) -> None:
        if have.file >= len(self.files) or have.file in self._have:
            raise RemoteProtocolError("HAVE of a file that there isn't, or again")
        size = self.files[have.file].size
        if size is not None and have.pieces > pieces_of(size):
            raise RemoteProtocolError("HAVE of more pieces than there are")
        self._have[have.file] = have
        whole = have.pieces * PIECE_SIZE if size is None else size
        self.had += whole if have.done else begin_of(have.pieces, whole)

    def _take_stored(self, size: int, count: int) -> None:
        if not self.stored <= size <= self.sent or not (
            self._files_stored <= count <= self._files_sent
        ):
            raise RemoteProtocolError("STORED of what wasn't sent")
        self.stored, self._files_stored = size, count
        self._tell(Progressed())
        self._go_on()

    # -- one piece after the other

    def _hand_on(self) -> None:
        """Say what waits, up to a piece, while there is room; then ask for more."""
        while self._ahead and not self._out and self._has_room(self._ahead[0]):
            message = self._ahead.popleft()
            match message:
                case Piece():
                    self.sent += message.size
                    self._ahead_size -= message.size
                case EndFile() | Skip():
                    self._files_sent += 1
                case End():
                    self.stage = SenderStage.SENT
            self._say(message)
        self._go_on()

    def _has_room(self, message: TransferMessage | Piece) -> bool:
        match message:
            case Piece():
                return self.sent + message.size <= self.stored + WINDOW
            case EndFile() | Skip():
                return self._files_sent < self._files_stored + MAX_UNSTORED
        return True

    def _go_on(self) -> None:
        """Ask for what is to be read next, if there is room for it."""
        is_idle = self.stage is SenderStage.SENDING and not (self._is_reading or self.has_ended)
        if not is_idle or self._ahead_size >= READ_AHEAD or len(self._ahead) >= MAX_AHEAD:
            return
        if self._file is None and self._next_file():
            have = self._have.get(self._next)
            if have is not None and have.pieces:
                self._ask(CheckFile(self._next, have.pieces))
            else:
                self._begin(Pieces())
        if self._file is not None:
            self._ask(ReadPiece(self._file, self._pieces.count))

    def _ask(self, request: ReadPiece | CheckFile) -> None:
        self._is_reading = True
        self._tell(request)

    def _next_file(self) -> bool:
        """Go to the next file that the receiver lacks; tells whether there is one."""
        while self._next < len(self.files) and self._is_done(self._next):
            self._next += 1
        has_more = self._next < len(self.files)
        if not (has_more or self._has_said_end):
            self._has_said_end = True
            self._ahead.append(End())
        return has_more

    def _is_done(self, file: int) -> bool:
        return file in self._have and self._have[file].done

    def _begin(self, pieces: Pieces) -> None:
        self._file, self._pieces = self._next, pieces
        self._next += 1
        self._ahead.append(BeginFile(self._file, pieces.count))

    # -- what came of the requests

    def checked(self, pieces: Pieces) -> None:
        """Take the first pieces of the file of a ``CheckFile``."""
        self._is_reading = False
        have = self._have[self._next]
        is_same = pieces.count == have.pieces and pieces.root() == have.root
        if not is_same:
            self.had -= begin_of(have.pieces, self.files[self._next].size or 2**63)
        self._begin(pieces if is_same else Pieces())
        self._go_on()

    def piece_read(self, hash: bytes, data: bytes, end: int | None) -> None:
        """
        Take the piece of a ``ReadPiece``.

        :param data: none, where the file ended before it.
        :param end: the size of the file, where this is the end of it.
        """
        self._is_reading = False
        if data:
            self._pieces.add(hash)
            self._ahead_size += len(data)
            self._ahead.append(Piece(hash, (data,)))
        if end is not None:
            self._ahead.append(EndFile(end, self._pieces.root()))
            self._file = None
        self._go_on()

    def failed(self, reason: str) -> None:
        """Take it that the file of the last request can't be sent: a word says why."""
        self._is_reading = False
        if self.has_ended:
            return
        if self._file is None:  # it wasn't begun
            file = self._next
            self._next += 1
        else:
            file, self._file = self._file, None
        self._ahead.append(Skip(file, reason))
        self._tell(Skipped(file, reason))
        self._go_on()
