"""The database's file: what is made, what is refused, and in which words."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError
from p2pchat.peer.storage.database import DatabaseFile, Synchronous, is_damage, passes
from p2pchat.peer.storage.profile_rows import SETTINGS
from p2pchat.peer.storage.schema import VERSION
from tests.cases import each
from tests.peer.storage.cases import DatabaseCase


class PrepareTests(DatabaseCase):
    """A file is made, checked and brought to our version."""

    def refused(self) -> str:
        """Return why the file can't be used."""
        return str(self.assertRaises(ConfigurationError, self.file.prepare))

    def asked(self, question: str) -> object:
        """Return the one value of an answer."""
        connection = self.file.connect()
        try:
            return connection.execute(question).fetchone()[0]
        finally:
            connection.close()

    def test_new(self) -> None:
        """A new file is ours alone, says what it is, and takes readers beside a writer."""
        self.file.prepare()
        self.assertEqual(stat.S_IMODE(self.file.path.stat().st_mode), 0o600)
        self.assertEqual(self.asked("PRAGMA user_version"), VERSION)
        self.assertEqual(self.asked("PRAGMA journal_mode"), "wal")
        self.assertEqual(self.asked("PRAGMA quick_check"), "ok")

    def test_umask(self) -> None:
        """Whatever the umask is, nobody else reads it, nor what SQLite puts beside it."""
        self.addCleanup(os.umask, os.umask(0))
        self.file.prepare()
        connection = self.file.connect()
        self.addCleanup(connection.close)
        connection.execute("CREATE TABLE some (thing)")
        modes = {stat.S_IMODE(one.stat().st_mode) for one in self.file.path.parent.iterdir()}
        self.assertEqual(modes, {0o600})

    def test_again(self) -> None:
        """A file of ours is taken as it is, an empty one as a new one."""
        self.file.path.touch(0o600)
        self.file.prepare()
        self.file.prepare()
        self.assertEqual(self.asked("SELECT count(*) FROM entry"), 0)

    @each((Synchronous.FULL, 2), (Synchronous.NORMAL, 1))
    def test_synchronous(self, chosen: Synchronous, expected: int) -> None:
        """Commits wait for the disk as it is set."""
        self.file = DatabaseFile(self.file.path, chosen)
        self.file.prepare()
        self.assertEqual(self.asked("PRAGMA synchronous"), expected)

    def test_deleted_is_gone(self) -> None:
        """What is deleted is overwritten."""
        self.file.prepare()
        self.assertEqual(self.asked("PRAGMA secure_delete"), 1)

    def test_foreign(self) -> None:
        """A database of another program is left alone."""
        connection = sqlite3.connect(self.file.path)
        connection.execute("CREATE TABLE moz_places (url)")
        connection.commit()
        connection.close()
        self.file.path.chmod(0o600)
        before = self.file.path.read_bytes()
        reason = self.refused()
        self.assertIn("another program", reason)
        self.assertIn(str(self.file.path), reason)
        self.assertEqual(self.file.path.read_bytes(), before)

    def test_newer(self) -> None:
        """Tables of a newer program aren't touched."""
        self.file.prepare()
        connection = self.file.connect()
        connection.execute(f"PRAGMA user_version = {VERSION + 2}")
        connection.close()
        self.assertIn(f"newer p2pchat (version {VERSION + 2}", self.refused())

    @each(b"Dear diary, \n" * 100, b"SQLite format 3\0" + b"?" * 4080)
    def test_damaged(self, data: bytes) -> None:
        """A file that is no database, or one no more, is named, and what to do about it."""
        self.file.path.write_bytes(data)
        self.file.path.chmod(0o600)
        reason = self.refused()
        self.assertIn(str(self.file.path), reason)
        self.assertIn("damaged", reason)
        self.assertIn("backup", reason)

    def test_cut_short(self) -> None:
        """A file that lost its end is damaged at the first sign."""
        self.file.prepare()
        os.truncate(self.file.path, 4096)
        self.assertIn("damaged", self.refused())

    def test_others_read_it(self) -> None:
        """A file that others may read is refused, with the command that mends it."""
        self.file.prepare()
        self.file.path.chmod(0o644)
        self.assertIn("chmod 600", self.refused())

    def test_no_directory(self) -> None:
        """Where nothing can be made, the sentence says where."""
        self.file = DatabaseFile(Path(self.mktemp()) / "gone" / "x.sqlite3")
        self.assertIn("gone/x.sqlite3: No such file", self.refused())

    def test_size(self) -> None:
        """Its size counts what is beside it, too."""
        self.file.prepare()
        self.assertGreater(self.file.size(), 4096)


class ExplainTests(DatabaseCase):
    """Each error of SQLite has its sentence and its consequence."""

    @each(
        (sqlite3.SQLITE_FULL, "the disk is full: make room", False),
        (sqlite3.SQLITE_READONLY, "is read-only", False),
        (sqlite3.SQLITE_BUSY, "locked by another program", False),
        (sqlite3.SQLITE_IOERR_WRITE, "can't be read or written", False),
        (sqlite3.SQLITE_CORRUPT_VTAB, "is damaged", True),
        (sqlite3.SQLITE_NOTADB, "is damaged", True),
    )
    def test_words(self, code: int, words: str, damage: bool) -> None:
        """A damaged file stays so; everything else may pass."""
        error = sqlite3.OperationalError("as SQLite says it")
        error.sqlite_errorcode = code
        self.assertIn(words, str(self.file.explain(error)))
        self.assertEqual((is_damage(error), passes(error)), (damage, not damage))

    def test_full_disk(self) -> None:
        """Where the disk has no room for a file beside, that is what is said."""
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        full = DatabaseFile(Path("/proc/p2pchat.sqlite3"))  # a file system without any room
        self.assertIn("the disk is full", str(full.explain(error)))

    def test_fault(self) -> None:
        """An error of ours is neither."""
        error = sqlite3.ProgrammingError("no such column")
        self.assertEqual((is_damage(error), passes(error)), (False, False))


class ExclusiveTests(DatabaseCase):
    """A database that is opened by one connection alone."""

    def test_no_index(self) -> None:
        """It needs no file for an index, writes as ever, and lets nobody else in."""
        alone = attrs.evolve(self.file, is_exclusive=True)
        self.assertEqual(self.file.prepare(), self.file)
        self.assertEqual(alone.prepare(), alone)
        connection = alone.connect()
        connection.execute("INSERT INTO setting VALUES ('a', '1')")
        self.assertFalse(self.file.path.with_name(f"{self.file.path.name}-shm").exists())
        other = sqlite3.connect(self.file.path, timeout=0)
        self.assertRaises(sqlite3.OperationalError, other.execute, "SELECT * FROM setting")
        other.close()
        connection.close()
        self.assertEqual(self.file.look(SETTINGS.read, {"nothing": ""}), {"a": "1"})
