"""Tests of files of ours that are sent."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import TransferRefused
from p2pchat.peer.transfers.source_files import SourceChanged, SourceReader, select
from p2pchat.session.pieces import Pieces, piece_hash
from p2pchat.wire.transfers import PIECE_SIZE
from tests.cases import each

DATA = os.urandom(2 * PIECE_SIZE + 7)


class SourceCase(SynchronousTestCase):
    """A folder with files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def file(self, name: str, data: bytes = b"x") -> Path:
        """Make a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


class SelectTests(SourceCase):
    """What is offered."""

    def test_file(self) -> None:
        """A file has its own name, and its size."""
        path = self.file("a b.txt", b"123")
        found = select(str(path))
        self.assertEqual((found.title, found.is_folder, found.size), ("a b.txt", False, 3))
        self.assertEqual([one.path for one in found.files], ["a b.txt"])

    def test_link(self) -> None:
        """A link that a person names is what it leads to."""
        path = self.file("a", b"123")
        link = self.folder / "link"
        link.symlink_to(path)
        self.assertEqual((select(str(link)).root, select(str(link)).title), (str(path), "a"))

    def test_folder(self) -> None:
        """A folder has all files in it, in order, and counts what can't be sent."""
        for name in ("b", "a/c", "a/.d"):
            self.file(name)
        (self.folder / "a" / "link").symlink_to("c")
        (self.folder / "up").symlink_to("..")
        os.mkfifo(self.folder / "pipe")
        found = select(str(self.folder))
        self.assertEqual(sorted(one.path for one in found.files), ["a/.d", "a/c", "b"])
        self.assertEqual((found.is_folder, found.left_out), (True, 3))

    def test_no_text(self) -> None:
        """Names that are no text are made some, each another."""
        for name in (b"\xff", b"\xfe", b"new\nline"):
            (self.folder / os.fsdecode(name)).write_bytes(b"x")
        found = select(str(self.folder))
        self.assertEqual(len({one.path for one in found.files}), 3)
        self.assertIn("new_line", {one.path for one in found.files})
        reader = SourceReader(found.root, found.files)
        self.assertEqual([reader.read(one, 0)[1] for one in range(3)], [b"x"] * 3)

    @each("none", "pipe", "empty", "/")
    def test_refused(self, name: str) -> None:
        """What can't be sent is refused, and is named."""
        os.mkfifo(self.folder / "pipe")
        (self.folder / "empty").mkdir()
        path = "/dev/null" if name == "/" else str(self.folder / name)
        self.assertIn(path, str(self.assertRaises(TransferRefused, select, path)))

    def test_too_many(self) -> None:
        """Somebody with more files than may be sent at once packs them."""
        for number in range(8):
            self.file(f"{number}", b"")
        self.assertEqual(len(select(str(self.folder), 8).files), 8)
        refused = self.assertRaises(TransferRefused, select, str(self.folder), 7)
        self.assertRegex(str(refused), "more than 7 files: pack it")


class ReaderTests(SourceCase):
    """What is read."""

    def reader(self, path: Path) -> SourceReader:
        """Return the reader of a selection."""
        found = select(str(path))
        made = SourceReader(found.root, found.files)
        self.addCleanup(made.close)
        return made

    @each(0, 1, PIECE_SIZE, len(DATA))
    def test_pieces(self, size: int) -> None:
        """Pieces and their hashes are those of the file, the last one with its size."""
        reader = self.reader(self.file("a", DATA[:size]))
        found, number = b"", 0
        while True:
            hash, data, end = reader.read(0, number)
            self.assertEqual(hash, piece_hash(data))
            found, number = found + data, number + 1
            if end is not None:
                break
        self.assertEqual((found, end), (DATA[:size], size))

    def test_check(self) -> None:
        """The first pieces are hashed anew."""
        reader, pieces = self.reader(self.file("a", DATA)), Pieces()
        for at in (0, PIECE_SIZE):
            pieces.add(piece_hash(DATA[at : at + PIECE_SIZE]))
        self.assertEqual(reader.check(0, 2).root(), pieces.root())

    @each("longer", "shorter", "other", "touched", "link")
    def test_changed(self, how: str) -> None:
        """A file that isn't the one that was offered isn't read."""
        path = self.file("a", DATA)
        reader = self.reader(path)
        if how in {"other", "link"}:
            path.rename(self.folder / "b")
        if how == "link":
            path.symlink_to(self.folder / "b")
            self.assertRaises(OSError, reader.read, 0, 0)
            return
        path.write_bytes({"longer": DATA + b"x", "shorter": DATA[:5]}.get(how, DATA))
        os.utime(path, ns=(1, 1))
        self.assertRaises(SourceChanged, reader.read, 0, 0)

    def test_changed_meanwhile(self) -> None:
        """Nor is one whole that changed while it was read."""
        path = self.file("a", DATA)
        reader = self.reader(path)
        reader.read(0, 0)
        os.utime(path, ns=(1, 1))
        reader.read(0, 1)
        self.assertRaises(SourceChanged, reader.read, 0, 2)

    def test_cut_meanwhile(self) -> None:
        """Nor one that is cut."""
        path = self.file("a", DATA)
        reader = self.reader(path)
        reader.read(0, 0)
        os.truncate(path, 5)
        self.assertRaises(SourceChanged, reader.read, 0, 1)
