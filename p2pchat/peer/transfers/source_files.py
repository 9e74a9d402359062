"""
Files of ours that are sent: found, read and hashed; used in threads.

A file is regular: links, pipes and devices aren't, and are left out of a folder.  It is read only
if it is the very file that was offered, of the same size and time, when it is opened and again when
its last piece was read: one that is written meanwhile isn't sent as something in between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from p2pchat.errors import LocalProtocolError, TransferRefused
from p2pchat.peer.storage.kept_transfers import SourceFile
from p2pchat.session.pieces import Pieces, piece_hash
from p2pchat.wire.file_names import MAX_DEPTH, MAX_PATH, wire_name
from p2pchat.wire.transfers import MAX_FILES, PIECE_SIZE

MAX_SIZE = 2**53  # bytes of all; what JSON has exactly


class SourceChanged(LocalProtocolError):
    """A file isn't the one any more that was offered."""


@attrs.frozen
class Selection:
    """
    A file, or the files of a folder, as they were found.

    :ivar root: absolute, without links.
    :ivar left_out: how many links, pipes and the like there were.
    """

    root: str
    title: str
    is_folder: bool
    files: tuple[SourceFile, ...]
    left_out: int = 0

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(one.size for one in self.files)


def select(path: str, most: int = MAX_FILES) -> Selection:
    """
    Find what is to be sent.

    :param most: files of a folder.
    :raises TransferRefused: there is nothing that can be; says why.
    """
    root = os.path.realpath(os.path.expanduser(path))
    try:
        found = os.stat(root)
        if stat.S_ISREG(found.st_mode):
            title = wire_name(os.path.basename(root))
            os.close(_open(root))
            return Selection(root, title, False, (_source(title, "", found),))
        if stat.S_ISDIR(found.st_mode):
            return _select_folder(root, most)
    except OSError as error:
        raise TransferRefused(f"{path}: {error.strerror}") from None
    raise TransferRefused(f"{path} is neither a file nor a folder")


def _select_folder(root: str, most: int) -> Selection:
    title = wire_name(os.path.basename(root))
    if not title:
        raise TransferRefused(f"{root} has no name: send what is in it")
    files, left_out = [], 0
    for place, found in _walk(root):
        if not stat.S_ISREG(found.st_mode):
            left_out += 1
            continue
        path = "/".join(map(wire_name, Path(place).parts))
        if len(path.encode()) > MAX_PATH or path.count("/") >= MAX_DEPTH:
            raise TransferRefused(f"{root}/{place}: folders in folders, too deep to be sent")
        files.append(_source(path, place, found))
        if len(files) > most:
            raise TransferRefused(f"{root} has more than {most:,} files: pack it first")
    if not files:
        raise TransferRefused(f"{root} has no files")
    selection = Selection(root, title, True, _distinct(files), left_out)
    if selection.size > MAX_SIZE:
        raise TransferRefused(f"{root} is too large")
    return selection


def _walk(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Return what is in a folder, in order; links are not followed."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [one for one in folders if os.path.islink(os.path.join(folder, one))]
        for name in sorted((*names, *links)):
            whole = os.path.join(folder, name)
            yield os.path.relpath(whole, root), os.lstat(whole)


def _distinct(files: list[SourceFile]) -> tuple[SourceFile, ...]:
    """Return the files, each of another path: what is no text may have become the same."""
    seen: dict[str, SourceFile] = {}
    for number, one in enumerate(files):
        path = one.path if one.path not in seen else f"{one.path}.{number}"
        seen[path] = attrs.evolve(one, path=path)
    return tuple(seen.values())


def _source(path: str, place: str, found: os.stat_result) -> SourceFile:
    return SourceFile(path, place, found.st_size, max(found.st_mtime_ns, 0), found.st_ino)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


@attrs.define(eq=False)
class SourceReader:
    """
    A reader of offered files, one open at a time.

    :ivar root: as in :class:`Selection`.
    """

    root: str
    files: tuple[SourceFile, ...]
    _number: int | None = None
    _handle: int = -1

    def check(self, file: int, count: int) -> Pieces:
        """
        Hash the first pieces of a file.

        :raises SourceChanged: it is another one, or shorter.
        :raises OSError: it can't be read.
        """
        self._use(file)
        pieces = Pieces()
        for number in range(count):
            pieces.add(piece_hash(self._read(file, number)))
        return pieces

    def read(self, file: int, piece: int) -> tuple[bytes, bytes, int | None]:
        """
        Return hash and bytes of a piece, and the file's size where it is the last one.

        :raises SourceChanged: it is another file than was offered.
        :raises OSError: it can't be read.
        """
        self._use(file)
        size = self.files[file].size
        data = self._read(file, piece) if piece * PIECE_SIZE < size else b""
        if (piece + 1) * PIECE_SIZE < size:
            return piece_hash(data), data, None
        self._check_same(file)
        self.close()
        return piece_hash(data), data, size

    def close(self) -> None:
        """Close what is open."""
        if self._number is not None:
            os.close(self._handle)
            self._number = None

    def _use(self, file: int) -> None:
        if self._number == file:
            return
        self.close()
        self._handle = _open(os.path.join(self.root, self.files[file].place).rstrip("/"))
        self._number = file
        self._check_same(file)

    def _check_same(self, file: int) -> None:
        found, offered = os.fstat(self._handle), self.files[file]
        if not stat.S_ISREG(found.st_mode) or offered != _source(
            offered.path, offered.place, found
        ):
            raise SourceChanged

    def _read(self, file: int, piece: int) -> bytes:
        at, size = piece * PIECE_SIZE, self.files[file].size
        wanted = min(PIECE_SIZE, size - at)
        data = os.pread(self._handle, wanted, at)
        while len(data) < wanted:
            more = os.pread(self._handle, wanted - len(data), at + len(data))
            if not more:
                raise SourceChanged
            data += more
        return data
