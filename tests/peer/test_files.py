"""Tests of :mod:`p2pchat.peer.files`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.files import read_file, replace_file


class FilesTests(SynchronousTestCase):
    """A file in a directory of ours."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "kept file"

    def refused(self, secret: bool = False) -> str:
        """Return the sentence with which the file is refused."""
        return str(self.assertRaises(ConfigurationError, read_file, self.path, secret=secret))

    def test_replaced(self) -> None:
        """The new content is there, whole, and nothing else is left of it."""
        for content in (b"first", b"", b"x" * 100_000):
            replace_file(self.path, content)
            self.assertEqual(read_file(self.path, secret=True), content)
            self.assertEqual(os.listdir(self.directory), [self.path.name])

    def test_mode(self) -> None:
        """Only we can read and write it, whatever the umask and the file before it."""
        for umask in (0, 0o777):
            self.addCleanup(os.umask, os.umask(umask))
            replace_file(self.path, b"x")
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
            self.path.chmod(0o666)

    def test_half_written(self) -> None:
        """What a crash left of an earlier replacement is in nobody's way, a link neither."""
        left = self.path.with_name(f"{self.path.name}.new")
        left.write_bytes(b"half of")
        replace_file(self.path, b"whole")
        elsewhere = self.directory / "elsewhere"
        left.symlink_to(elsewhere)
        replace_file(self.path, b"whole again")
        self.assertEqual(read_file(self.path), b"whole again")
        self.assertFalse(elsewhere.exists())

    def test_failure(self) -> None:
        """If the new file can't be put there, the error says so and nothing is left."""
        self.path.mkdir()
        self.assertRaises(OSError, replace_file, self.path, b"x")
        self.assertEqual(os.listdir(self.directory), [self.path.name])

    def test_missing(self) -> None:
        """A file that isn't there is none; a link to nothing is a mistake."""
        self.assertIsNone(read_file(self.path))
        self.path.symlink_to("nowhere")
        self.assertIn("link to nothing", self.refused())

    def test_link(self) -> None:
        """A link to a file of ours is followed."""
        replace_file(self.directory / "real", b"x")
        self.path.symlink_to("real")
        self.assertEqual(read_file(self.path, secret=True), b"x")

    def test_others_may_write(self) -> None:
        """What others can change is refused, with the command that mends it."""
        replace_file(self.path, b"x")
        for mode in (0o620, 0o602, 0o666):
            self.path.chmod(mode)
            self.assertIn(f"mode {mode:o}", self.refused())
            self.assertIn(f"chmod 600 '{self.path}'", self.refused())

    def test_others_may_read(self) -> None:
        """What others can read is refused if it is secret."""
        replace_file(self.path, b"x")
        for mode in (0o640, 0o604, 0o601):
            self.path.chmod(mode)
            self.assertEqual(read_file(self.path), b"x")
            self.assertIn(f"chmod 600 '{self.path}'", self.refused(secret=True))

    def test_owner(self) -> None:
        """What belongs to somebody else is refused, by root too."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give a file away")
        replace_file(self.path, b"x")
        os.chown(self.path, 12345, -1)
        self.assertIn(f"{self.path} belongs to 12345", self.refused())

    def test_no_file(self) -> None:
        """A directory or a pipe in its place is refused, and nothing waits for a writer."""
        self.path.mkdir()
        self.assertIn("no regular file", self.refused())
        self.path.rmdir()
        os.mkfifo(self.path)
        self.assertIn("no regular file", self.refused())
