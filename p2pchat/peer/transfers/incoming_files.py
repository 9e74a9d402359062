"""
Files that come from a peer, in the folder for downloads; used in threads.

::

    DOWNLOADS/photo.jpg.1f0c62a9-0.part     while it comes; mode 0600
    DOWNLOADS/photo.jpg                     when all of it was verified; never in place of another
    DOWNLOADS/holiday/...                   a folder has one of its own, mode 0700

A name leads nowhere but into that folder: each part of a path is opened below the one before, and
no link is followed (``O_NOFOLLOW``, ``dir_fd``), whoever puts one there meanwhile.  A partial file
is ours: regular, of our user, with one name.  A whole one gets its name by ``link``, which
fails where anything has it, a link to nothing included; then it is ``photo (2).jpg``.

Order: bytes of pieces, ``fdatasync``; the name and ``fsync`` of its folder; and only then the
database says that they are there.  So what it says is true after a crash of the machine.  What the
database says is hashed again before it is gone on with.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.peer.files import sync_directory
from p2pchat.peer.storage.kept_transfers import NOTHING, KeptFile
from p2pchat.session.file_receiver import KeptPieces
from p2pchat.session.pieces import Pieces, begin_of, piece_hash, pieces_of
from p2pchat.session.transfer_events import BeginPieces, FinishFile, Skipped, StorePiece
from p2pchat.wire.file_names import local_name, numbered
from p2pchat.wire.framing import Parts
from p2pchat.wire.transfers import PIECE_SIZE, FileEntry

MAX_NUMBERED = 1000  # names that are tried for one file
ENDING = ".part"  # of partial files
CACHED = 64 * 1024 * 1024  # bytes of a file that may stay in memory for whoever opens it next
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Writing = BeginPieces | StorePiece | FinishFile | Skipped


class Unwritable(LocalProtocolError):
    """
    Something can't be written.

    :ivar word: ``disk-full`` or ``unwritable``.
    """

    def __init__(self, reason: str, word: str = "unwritable") -> None:
        super().__init__(reason)
        self.word = word

    @classmethod
    def of(cls, error: OSError, where: str) -> Unwritable:
        """Say in a sentence what an error of the system means."""
        if error.errno in _FULL:
            return cls(f"the disk is full: make room where {where} is", "disk-full")
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            return cls(f"{where}: a link or a file is where a folder was")
        return cls(f"{where}: {error.strerror or error}")


@attrs.frozen
class WrittenPieces:
    """
    The result of some writing.

    :ivar files: as they are now.
    :ivar size: bytes of pieces that are on the disk.
    :ivar ended: how many files are whole, or need not be.
    """

    files: Mapping[int, KeptFile]
    size: int
    ended: int


@attrs.define
class _OpenFile:
    number: int
    handle: int
    kept: KeptFile


@attrs.define(eq=False)
class IncomingFiles:
    """
    The files of one transfer.

    :ivar root: the folder for downloads; it is made where it isn't there.
    :ivar tag: what partial files of this transfer have in their names.
    :ivar title: the name of its own folder, or "": files go right into the root.
    :ivar place: what that folder is called here, once there is one.
    """

    root: str
    tag: str
    title: str
    place: str = ""
    entries: Sequence[FileEntry] = ()
    _buffer: bytearray = attrs.field(factory=lambda: bytearray(PIECE_SIZE), repr=False)
    _open: _OpenFile | None = None
    _whole: list[int] = attrs.Factory(list)  # their partial names are still there
    _changed: dict[tuple[str, ...], int] = attrs.Factory(dict)  # folders, by a file of each

    # -- what there is

    def prepare(
        self, entries: Sequence[FileEntry], kept: Mapping[int, KeptFile]
    ) -> dict[int, KeptPieces]:
        """
        Make the folder, and find out which pieces are there.

        :raises Unwritable: there is no place.
        """
        self.entries = entries
        with self._explained():
            os.makedirs(self.root, 0o700, exist_ok=True)
            self._make_place()
            found = {number: self._look(number, one) for number, one in kept.items()}
        return {number: one for number, one in found.items() if one.is_done or one.pieces.count}

    def _make_place(self) -> None:
        if not self.title or self.place:
            return
        wanted = local_name(self.title, is_outermost=True)
        for number in range(1, MAX_NUMBERED):
            name = wanted if number == 1 else numbered(wanted, number)
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(self.root, name), 0o700)
                sync_directory(Path(self.root))
                self.place = name
                return
        raise Unwritable(f"{self.root}/{wanted} is there {MAX_NUMBERED} times: tidy up")

    def _look(self, number: int, kept: KeptFile) -> KeptPieces:
        """Return what is there of a file, by the disk's word."""
        with contextlib.suppress(OSError, Unwritable), self._folder(number, make=False) as folder:
            if kept.is_done:
                self._unlink(number, folder)
                return KeptPieces(is_done=True)
            handle = os.open(self._partial(number), _file_flags(os.O_RDONLY), dir_fd=folder)
            try:
                return self._verify(number, kept, handle)
            finally:
                os.close(handle)
        return KeptPieces(is_done=kept.is_done)

    def _verify(self, number: int, kept: KeptFile, handle: int) -> KeptPieces:
        found, size = os.fstat(handle), self.entries[number].size
        # One that has its name already, which the database doesn't know: the sender compares it.
        is_named = found.st_nlink > 1 and found.st_size == size
        pieces = Pieces()
        for piece in range(pieces_of(found.st_size) if is_named else kept.pieces):
            data = os.pread(handle, PIECE_SIZE, piece * PIECE_SIZE)
            if not data:
                return KeptPieces()
            pieces.add(piece_hash(data))
        return KeptPieces(pieces if is_named or pieces.root() == kept.root else Pieces())

    # -- writing

    def write(self, works: Iterable[Writing]) -> WrittenPieces:
        """
        Do some writing; when it returns, the disk has it.

        :raises RemoteProtocolError: a piece isn't what its hash says.
        :raises Unwritable: it can't be done; what is kept is as it was.
        """
        changed: dict[int, KeptFile] = {}
        size, ended = 0, 0
        with self._explained():
            self.tidy()
            for work in works:
                match work:
                    case BeginPieces(file, start):
                        self._begin(file, start)
                    case StorePiece():
                        size += self._store(work)
                        changed[work.file] = self._begun(work.file).kept
                    case FinishFile(file, length):
                        ended += 1
                        changed[file] = self._finish(file, length)
                    case Skipped(file):
                        ended += 1
                        self._discard(file)
                        changed[file] = NOTHING
            self._sync()
        return WrittenPieces(changed, size, ended)

    def _sync(self) -> None:
        """Wait until the disk has the pieces, and the names in folders that changed."""
        one = self._open
        if one is not None:
            os.fdatasync(one.handle)
            if one.kept.pieces * PIECE_SIZE > CACHED and hasattr(os, "posix_fadvise"):
                # Pages that the disk has are used again: it costs less time than new ones.
                os.posix_fadvise(one.handle, 0, 0, os.POSIX_FADV_DONTNEED)
        for file in self._changed.values():
            with self._folder(file, make=False) as folder:
                os.fsync(folder)
        self._changed.clear()

    def tidy(self) -> None:
        """Remove the partial names of files that are known to be whole by now."""
        files, self._whole = self._whole, []
        for file in files:
            self._discard(file)

    def _begin(self, file: int, start: int) -> None:
        self.close()
        length = begin_of(start, self.entries[file].size or 2**63)
        with self._folder(file, make=True) as folder:
            name = self._partial(file)
            if not start:
                self._unlink(file, folder)  # whatever it is, it is none of ours any more
            flags = os.O_RDWR | (0 if start else os.O_CREAT | os.O_EXCL)
            handle = os.open(name, _file_flags(flags), 0o600, dir_fd=folder)
            self._open = _OpenFile(file, handle, KeptFile(start, b""))
            _check_ours(handle, name, is_whole=length == self.entries[file].size)
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, length)
            self._touch(file)

    def _touch(self, file: int) -> None:
        """Note that names in a file's folder change."""
        self._changed[tuple(self._parts(file)[:-1])] = file

    def _store(self, work: StorePiece) -> int:
        one, data = self._begun(work.file), self._joined(work.parts)
        if piece_hash(data) != work.hash:
            raise RemoteProtocolError("a piece isn't what its hash says")
        at, rest = work.piece * PIECE_SIZE, data
        while rest:
            count = os.pwrite(one.handle, rest, at)
            at, rest = at + count, rest[count:]
        one.kept = KeptFile(work.piece + 1, work.root)
        return len(data)

    def _joined(self, parts: Parts) -> memoryview:
        """Join the parts of a piece in memory that is there: new memory takes longer."""
        data, end = memoryview(self._buffer), 0
        for part in parts:
            begin, end = end, end + len(part)
            data[begin:end] = part
        return data[:end]

    def _begun(self, file: int) -> _OpenFile:
        if self._open is None or self._open.number != file:
            raise Unwritable("nothing was begun")  # a fault of ours
        return self._open

    def _finish(self, file: int, size: int) -> KeptFile:
        one = self._begun(file)
        if os.fstat(one.handle).st_size != size:
            raise Unwritable(f"{self._partial(file)} was changed by another program")
        os.fsync(one.handle)
        with self._folder(file, make=False) as folder:
            self._link(file, folder, os.fstat(one.handle))
        self._touch(file)
        self._whole.append(file)  # a crash before the database knows: both names are there
        self.close()
        return KeptFile(one.kept.pieces, one.kept.root, True)

    def _link(self, file: int, folder: int, found: os.stat_result) -> None:
        partial = self._partial(file)
        for name in self._names(file):
            try:
                os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                if not _is_same(name, folder, found):
                    continue
            except OSError as error:
                if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}:
                    raise
                if not self._rename(partial, name, folder):  # a file system without links
                    continue
            return
        raise Unwritable(f"{self._wanted(file)} is there {MAX_NUMBERED} times: tidy up")

    def _rename(self, partial: str, name: str, folder: int) -> bool:
        try:
            os.close(os.open(name, _file_flags(os.O_CREAT | os.O_EXCL), 0o600, dir_fd=folder))
        except FileExistsError:
            return False
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        return True

    def _names(self, file: int) -> Iterable[str]:
        wanted = self._wanted(file)
        return (
            wanted if number == 1 else numbered(wanted, number) for number in range(1, MAX_NUMBERED)
        )

    def _discard(self, file: int) -> None:
        if self._open is not None and self._open.number == file:
            self.close()
        with contextlib.suppress(OSError), self._folder(file, make=False) as folder:
            self._unlink(file, folder)

    def discard(self, files: Iterable[int]) -> None:
        """Remove partial files, of a transfer that ends for good."""
        self.close()
        for file in files:
            self._discard(file)
        if self.place:  # a folder in which something is stays
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(self.root, self.place))

    def close(self) -> None:
        """Close what is open; what was written is on the disk, or was never said to be."""
        one, self._open = self._open, None
        if one is not None:
            os.close(one.handle)

    # -- names

    def _parts(self, file: int) -> list[str]:
        parts = self.entries[file].path.split("/")
        return [local_name(part, not self.title and not at) for at, part in enumerate(parts)]

    def _wanted(self, file: int) -> str:
        return self._parts(file)[-1]

    def _partial(self, file: int) -> str:
        return f"{self._wanted(file)}.{self.tag}-{file}{ENDING}"

    def _unlink(self, file: int, folder: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial(file), dir_fd=folder)

    @contextlib.contextmanager
    def _folder(self, file: int, make: bool) -> Iterator[int]:
        """Open the folder of a file, below the one for downloads."""
        above = [self.place] if self.title else []
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in (*above, *self._parts(file)[:-1]):
                if make:
                    _make_below(handle, part)
                below = os.open(part, _DIRECTORY, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unwritable.of(error, os.path.join(self.root, self.place)) from error


def _make_below(handle: int, name: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=handle)
        os.fsync(handle)


def _file_flags(flags: int) -> int:
    return flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _is_same(name: str, folder: int, found: os.stat_result) -> bool:
    other = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return os.path.samestat(other, found)


def _check_ours(handle: int, name: str, is_whole: bool) -> None:
    """
    Refuse what isn't a partial file of ours.

    :param is_whole: nothing more is written to it, and it may have its other name.

    :raises Unwritable: it is something else.
    """
    found = os.fstat(handle)
    is_ours = found.st_uid == os.geteuid() and found.st_nlink <= 1 + is_whole
    if not stat.S_ISREG(found.st_mode) or not is_ours:
        raise Unwritable(f"{name} isn't what this program wrote: move it away")


def used(path: str) -> int:
    """Return how many bytes files take in a folder and those below; links aren't followed."""
    total = 0
    for folder, _folders, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
