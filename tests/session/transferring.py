"""Two machines of a transfer joined by a wire in memory, with files that are byte strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from p2pchat.session.file_receiver import FileReceiver, KeptPieces
from p2pchat.session.file_sender import FileSender
from p2pchat.session.pieces import Pieces, piece_hash
from p2pchat.session.transfer_events import (
    BeginPieces,
    CheckFile,
    FinishFile,
    OfferArrived,
    Prepare,
    ReadPiece,
    Skipped,
    StorePiece,
)
from p2pchat.wire.transfers import (
    PIECE_SIZE,
    FileEntry,
    FileOffer,
    Piece,
    TransferMessage,
    encode,
)

NAME = b"transfer".ljust(16)


def first_pieces(data: bytes, count: int) -> Pieces:
    """Return so many pieces of a file."""
    pieces = Pieces()
    for at in range(0, count * PIECE_SIZE, PIECE_SIZE):
        pieces.add(piece_hash(data[at : at + PIECE_SIZE]))
    return pieces


def offer_of(files: Mapping[str, bytes], title: str = "") -> FileOffer:
    """Return the offer of some files: a folder, if it has a title."""
    size = sum(map(len, files.values()))
    return FileOffer(NAME, title or next(iter(files)), bool(title), len(files), size, size=size)


def encoded(message: TransferMessage | Piece) -> bytes:
    """Return what a message is on the wire."""
    return b"".join(encode(message))


@attrs.define
class Disk:
    """
    The receiver's disk.

    :ivar written: bytes of each file that has come so far.
    :ivar whole: files that have their names.
    """

    written: dict[int, bytearray] = attrs.Factory(dict)
    whole: dict[int, bytes] = attrs.Factory(dict)

    def kept(self) -> dict[int, KeptPieces]:
        """Return what is there: whole pieces."""
        found = {
            file: KeptPieces(first_pieces(bytes(data), len(data) // PIECE_SIZE))
            for file, data in self.written.items()
            if file not in self.whole
        }
        return found | {file: KeptPieces(is_done=True) for file in self.whole}


@attrs.define
class Transfer:
    """
    One stream from a sender to a receiver.

    :ivar files: of the sender.
    :ivar seen: events of both sides, oldest first.
    :ivar unreadable: files that can't be read.
    :ivar limit: how many pieces may be stored before the wire is cut.
    """

    files: dict[str, bytes]
    disk: Disk = attrs.Factory(Disk)
    title: str = ""
    unreadable: set[int] = attrs.Factory(set)
    limit: int | None = None
    seen: list[Any] = attrs.Factory(list)
    sender: FileSender = attrs.field(init=False)
    receiver: FileReceiver = attrs.Factory(FileReceiver)
    answer: Callable[[FileReceiver], None] = FileReceiver.accept

    def __attrs_post_init__(self) -> None:
        entries = [FileEntry(path, len(data)) for path, data in self.files.items()]
        self.sender = FileSender(offer_of(self.files, self.title), entries)

    def run(self) -> None:
        """Start, and carry bytes until nothing moves, or the wire is cut."""
        self.sender.start()
        while self._step():
            pass

    def _step(self) -> bool:
        moved = False
        for machine, act, other in (
            (self.sender, self._read, self.receiver),
            (self.receiver, self._write, self.sender),
        ):
            while (event := machine.next_event()) is not None:
                moved = True
                self.seen.append(event)
                act(event)
            data = machine.next_bytes()
            if self.limit is not None and self.limit < 0:
                return False
            if data is not None:
                moved = True
                other.receive(bytes(data))
        return moved

    def _read(self, event: Any) -> None:
        match event:
            case CheckFile(file, pieces):
                self.sender.checked(first_pieces(self._data(file), pieces))
            case ReadPiece(file, _piece) if file in self.unreadable:
                self.sender.failed("unreadable")
            case ReadPiece(file, piece):
                data = self._data(file)
                part = data[piece * PIECE_SIZE : (piece + 1) * PIECE_SIZE]
                is_last = (piece + 1) * PIECE_SIZE >= len(data)
                self.sender.piece_read(piece_hash(part), part, len(data) if is_last else None)

    def _data(self, file: int) -> bytes:
        return list(self.files.values())[file]

    def _write(self, event: Any) -> None:
        disk = self.disk
        match event:
            case OfferArrived():
                self.answer(self.receiver)
            case Prepare():
                self.receiver.prepared(disk.kept())
            case BeginPieces(file, start):
                del disk.written.setdefault(file, bytearray())[start * PIECE_SIZE :]
            case StorePiece(file=file, parts=parts):
                if self.limit is not None:
                    self.limit -= 1
                if self.limit is None or self.limit >= 0:
                    disk.written[file] += b"".join(parts)
                    self.receiver.stored(sum(map(len, parts)), 0)
            case FinishFile(file, _size):
                disk.whole[file] = bytes(disk.written[file])
                self.receiver.stored(0, 1)
            case Skipped(file):
                self.receiver.stored(0, 1)
