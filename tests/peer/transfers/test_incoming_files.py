"""Tests of files that come from a peer, on a real disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.storage.kept_transfers import KeptFile
from p2pchat.peer.transfers.incoming_files import IncomingFiles, Unwritable, WrittenPieces, used
from p2pchat.session.pieces import Pieces, piece_hash
from p2pchat.session.transfer_events import BeginPieces, FinishFile, Skipped, StorePiece
from p2pchat.wire.transfers import PIECE_SIZE, FileEntry
from tests.cases import each

SIZE = 2 * PIECE_SIZE + 5
DATA = os.urandom(SIZE)
TAG = "12345678"


class IncomingCase(SynchronousTestCase):
    """Files that are written into a folder."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.make()

    def make(self, *paths: str, title: str = "", place: str = "", size: int = SIZE) -> None:
        """Begin with these files, as a program that starts."""
        self.entries = tuple(FileEntry(path, size) for path in paths or ("a.bin",))
        self.files = IncomingFiles(str(self.root), TAG, title, place)
        self.addCleanup(self.files.close)

    def prepare(self, kept: dict[int, KeptFile] | None = None) -> dict[int, int]:
        """Find out what is there; returns pieces of each file, -1 for a whole one."""
        found = self.files.prepare(self.entries, kept or {})
        return {file: -1 if one.is_done else one.pieces.count for file, one in found.items()}

    def stores(self, file: int, data: bytes, begin: int = 0) -> list[StorePiece]:
        """Return the pieces of some data from one on."""
        pieces, works = Pieces(), []
        for number, at in enumerate(range(0, len(data), PIECE_SIZE)):
            part = data[at : at + PIECE_SIZE]
            pieces.add(piece_hash(part))
            works.append(StorePiece(file, number, piece_hash(part), (part,), pieces.root()))
        return works[begin:]

    def whole(self, file: int, data: bytes = DATA) -> WrittenPieces:
        """Write a whole file."""
        works = self.stores(file, data)
        return self.files.write([BeginPieces(file, 0), *works, FinishFile(file, len(data))])

    def there(self) -> list[str]:
        """Return what is in the folder."""
        return sorted(
            str((Path(folder) / name).relative_to(self.root))
            for folder, _, names in os.walk(self.root)
            for name in names
        )


class WritingTests(IncomingCase):
    """Files that nobody disturbs."""

    def test_whole(self) -> None:
        """A file has its name when all of it is there, and then nothing else of it is."""
        self.prepare()
        part = self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)])
        self.assertEqual((part.size, part.ended, part.files[0].pieces), (SIZE, 0, 3))
        self.assertEqual(self.there(), [f"a.bin.{TAG}-0.part"])
        done = self.files.write([FinishFile(0, SIZE)])
        self.assertEqual((done.ended, done.files[0].is_done), (1, True))
        self.files.tidy()
        self.assertEqual(self.there(), ["a.bin"])
        self.assertEqual((self.root / "a.bin").read_bytes(), DATA)
        self.assertEqual(stat.S_IMODE((self.root / "a.bin").stat().st_mode), 0o600)

    @each(0, 0o777)
    def test_mode(self, umask: int) -> None:
        """Nobody else reads it, whatever the umask."""
        self.addCleanup(os.umask, os.umask(umask))
        self.make("b/c", title="f")
        self.root.mkdir(0o700)
        self.root.chmod(0o700)
        self.prepare()
        os.umask(0o077)
        self.whole(0)
        for path in (self.root / "f", self.root / "f" / "b", self.root / "f" / "b" / "c"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0)

    def test_resumed(self) -> None:
        """What was written is found again, by its hashes."""
        self.prepare()
        written = self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)[:2]])
        self.files.close()
        self.make()
        self.assertEqual(self.prepare(dict(written.files)), {0: 2})
        rest = self.stores(0, DATA, 2)
        self.files.write([BeginPieces(0, 2), *rest, FinishFile(0, SIZE)])
        self.assertEqual((self.root / "a.bin").read_bytes(), DATA)

    def test_more_than_known(self) -> None:
        """What was written after the last commit is cut off, as nobody has verified it."""
        self.prepare()
        first = self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)[:1]])
        self.files.write(self.stores(0, DATA)[1:2])
        self.files.close()
        self.make()
        self.assertEqual(self.prepare(dict(first.files)), {0: 1})
        self.files.write([BeginPieces(0, 1)])
        self.assertEqual((self.root / self.there()[0]).stat().st_size, PIECE_SIZE)

    def test_other_bytes(self) -> None:
        """Where the disk has other bytes than were written, it begins anew."""
        self.prepare()
        written = self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)[:2]])
        with open(self.root / self.there()[0], "r+b") as file:
            file.seek(5)
            file.write(b"?")
        self.assertEqual(self.prepare(dict(written.files)), {})
        (self.root / self.there()[0]).unlink()
        self.assertEqual(self.prepare(dict(written.files)), {})

    def test_named_and_killed(self) -> None:
        """One that got its name just before the program was killed isn't sent again."""
        self.prepare()
        known = self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)[:1]])
        self.files.write([*self.stores(0, DATA)[1:], FinishFile(0, SIZE)])
        self.files.close()
        self.make()
        self.assertEqual(self.prepare(dict(known.files)), {0: 3})
        self.files.write([BeginPieces(0, 3), FinishFile(0, SIZE)])
        self.files.tidy()
        self.assertEqual(self.there(), ["a.bin"])

    def test_done_and_killed(self) -> None:
        """Of one that is known to be whole the partial name goes, and it isn't asked for again."""
        self.prepare()
        done = self.whole(0)
        self.files.close()
        self.make()
        self.assertEqual(self.prepare(dict(done.files)), {0: -1})
        self.assertEqual(self.there(), ["a.bin"])
        (self.root / "a.bin").unlink()  # the person has moved it
        self.assertEqual(self.prepare(dict(done.files)), {0: -1})

    def test_one_place(self) -> None:
        """Names that become the same have places of their own."""
        self.make("a:b", "a?b", "A_B", title="f")
        self.prepare()
        for number in range(3):
            self.whole(number, bytes([number]))
        self.files.tidy()
        self.assertEqual(self.there(), ["f/A_B", "f/a_b", "f/a_b (2)"])

    def test_skipped(self) -> None:
        """What isn't sent after all leaves nothing."""
        self.prepare()
        self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)[:1]])
        gone = self.files.write([Skipped(0, "changed")])
        self.assertEqual((gone.ended, gone.files[0].pieces, self.there()), (1, 0, []))

    def test_discarded(self) -> None:
        """What is cancelled is removed, but files that are whole stay."""
        self.make("a", "b", title="f")
        self.prepare()
        self.whole(0)
        self.files.tidy()
        self.files.write([BeginPieces(1, 0), *self.stores(1, DATA)[:1]])
        self.files.discard([0, 1])
        self.assertEqual(self.there(), ["f/a"])
        self.make("c", title="g")
        self.prepare()
        self.files.discard([0])
        self.assertFalse((self.root / "g").exists())

    def test_used(self) -> None:
        """What a folder holds is counted, and nothing that a link leads to."""
        self.make("a", title="f")
        self.prepare()
        self.whole(0)
        self.files.tidy()
        (self.root / "link").symlink_to("/etc")
        self.assertEqual(used(str(self.root)), SIZE)
        self.assertEqual(used(str(self.root / "none")), 0)


class AttackTests(IncomingCase):
    """Somebody who sends what isn't so, or plays with the folder meanwhile."""

    def test_wrong_hash(self) -> None:
        """A piece that isn't what its hash says is not kept."""
        self.prepare()
        [first, *_] = self.stores(0, DATA)
        wrong = StorePiece(0, 0, first.hash, (b"?" * PIECE_SIZE,), first.root)
        works = [BeginPieces(0, 0), wrong]
        self.assertRaises(RemoteProtocolError, self.files.write, works)

    def test_link_to_folder(self) -> None:
        """No link leads out, whoever put it there after the folder was made."""
        self.make("sub/a", title="f")
        self.prepare()
        outside = Path(self.mktemp()).absolute()
        outside.mkdir()
        (self.root / "f" / "sub").symlink_to(outside)
        self.assertRaises(Unwritable, self.whole, 0)
        (self.root / "f" / "sub").unlink()
        (self.root / "f").rmdir()
        (self.root / "f").symlink_to(outside)
        error = self.assertRaises(Unwritable, self.whole, 0)
        self.assertIn("link", str(error))
        self.assertEqual(os.listdir(outside), [])

    def test_link_in_place_of_partial(self) -> None:
        """Nor does one in place of a partial file; what it leads to isn't touched."""
        self.prepare()
        victim = self.root / "victim"
        victim.write_text("mine")
        partial = self.root / f"a.bin.{TAG}-0.part"
        partial.symlink_to(victim)
        self.whole(0)
        self.assertEqual((self.root / "a.bin").read_bytes(), DATA)
        self.assertFalse((self.root / "a.bin").is_symlink())
        self.assertEqual(victim.read_text(), "mine")

    @each("symlink", "link", "pipe")
    def test_other_partial(self, kind: str) -> None:
        """Nor is anything else gone on with, another name of somebody's file least of all."""
        self.prepare()
        written = self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)[:2]])
        self.files.close()
        self.make()
        self.assertEqual(self.prepare(dict(written.files)), {0: 2})
        partial, victim = self.root / self.there()[0], self.root / "victim"
        victim.write_bytes(partial.read_bytes() + b"more")
        before = victim.read_bytes()
        partial.unlink()
        if kind == "pipe":
            os.mkfifo(partial)
        else:
            (os.symlink if kind == "symlink" else os.link)(victim, partial)
        self.assertRaises(Unwritable, self.files.write, [BeginPieces(0, 2)])
        self.assertEqual(victim.read_bytes(), before)

    def test_meanwhile_longer(self) -> None:
        """A partial file that another program has written to gets no name."""
        self.prepare()
        self.files.write([BeginPieces(0, 0), *self.stores(0, DATA)])
        with open(self.root / self.there()[0], "ab") as file:
            file.write(b"more")
        self.assertRaises(Unwritable, self.files.write, [FinishFile(0, SIZE)])

    def test_no_place(self) -> None:
        """A folder that can't be made is said, with its name."""
        self.root.write_text("a file")
        error = self.assertRaises(Unwritable, self.prepare)
        self.assertIn(str(self.root), str(error))

    def test_disk_full(self) -> None:
        """A full disk is said in a sentence, and has a word of its own."""
        self.prepare()
        self.root.rmdir()
        self.root.symlink_to("/dev")
        full = Unwritable.of(OSError(28, "No space left on device"), str(self.root))
        self.assertEqual(full.word, "disk-full")
        self.assertIn("make room", str(full))
