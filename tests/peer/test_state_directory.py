"""Tests of :mod:`p2pchat.peer.state_directory`."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.state_directory import IDENTITY_FILE, LOCK_FILE, StateDirectory

HOLD = """
import sys
from p2pchat.peer.state_directory import StateDirectory
directory = StateDirectory.open(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


class StateDirectoryTests(SynchronousTestCase):
    """A state directory that doesn't exist yet."""

    def setUp(self) -> None:
        self.path = Path(os.path.abspath(self.mktemp())) / "deep" / "state"

    def open(self) -> StateDirectory:
        """Use the directory until the test ends."""
        directory = StateDirectory.open(str(self.path))
        self.addCleanup(directory.close)
        return directory

    def refused(self) -> str:
        """Return the sentence with which the directory is refused."""
        return str(self.assertRaises(ConfigurationError, StateDirectory.open, str(self.path)))

    def hold(self) -> subprocess.Popen[bytes]:
        """Let another process use the directory."""
        command = [sys.executable, "-c", HOLD, str(self.path)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), b"locked\n")
        return process

    def test_made(self) -> None:
        """It is made with what is missing above it, nobody else's, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.open()
        for path in (self.path, self.path.parent):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700)

    def test_locked(self) -> None:
        """A second program is told who has it, until that one has ended."""
        first = self.open()
        self.assertIn(f"in use by process {os.getpid()}, since 2", self.refused())
        first.close()
        first.close()
        self.open()

    def test_locked_by_another(self) -> None:
        """Another process has it until it ends, killed or not; the file that is left is no lock."""
        process = self.hold()
        self.assertIn(f"in use by process {process.pid}", self.refused())
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue((self.path / LOCK_FILE).exists())
        self.open()

    def test_not_inherited(self) -> None:
        """A child process that outlives the program doesn't keep the directory."""
        directory = self.open()
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        directory.close()
        self.open()

    def test_no_locks(self) -> None:
        """A file system without locks is no place for it, and the sentence says so."""

        def flock(_handle: int, _operation: int) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        self.patch(fcntl, "flock", flock)
        self.assertIn("can't be locked (No locks available)", self.refused())

    def test_unreadable_owner(self) -> None:
        """Whatever stands in the lock file, the sentence is one."""
        self.open()
        for content in (b"", b"\xff\x00\x1b[31m", b"1" * 1000):
            (self.path / LOCK_FILE).write_bytes(content)
            sentence = self.refused()
            self.assertIn("in use by ", sentence)
            self.assertTrue(sentence.isprintable())

    def test_working_directory(self) -> None:
        """It stays the same when the working directory changes."""
        self.assertTrue(StateDirectory.open(os.path.relpath(self.path)).path.is_absolute())

    def test_no_working_directory(self) -> None:
        """A path in a directory that was removed is a sentence, too."""
        self.addCleanup(os.chdir, os.getcwd())
        self.path.mkdir(parents=True)
        os.chdir(self.path)
        self.path.rmdir()
        self.path = Path("x")
        self.assertIn("state directory x: No such file or directory", self.refused())

    def test_link(self) -> None:
        """A link to a directory of ours is followed once, when the directory is opened."""
        self.path.mkdir(parents=True)
        link = self.path.parent / "link"
        link.symlink_to("state")
        directory = StateDirectory.open(str(link))
        self.addCleanup(directory.close)
        self.assertEqual(directory.path, Path(os.path.realpath(self.path)))
        link.unlink()
        self.assertTrue((directory.path / LOCK_FILE).exists())

    def test_others_may_write(self) -> None:
        """A directory that others can write is refused, with the command that mends it."""
        self.path.mkdir(parents=True)
        for mode in (0o770, 0o707, 0o777, 0o1777):
            self.path.chmod(mode)
            self.assertIn(f"chmod 700 {self.path}", self.refused())
        self.path.chmod(0o755)
        self.open()

    def test_another_purpose(self) -> None:
        """Nobody is told to change the mode of a directory that others use, such as /tmp."""
        self.path.mkdir(parents=True)
        self.path.chmod(0o1777)
        (self.path / "of others").write_bytes(b"")
        self.assertIn("name a directory of its own", self.refused())
        (self.path / IDENTITY_FILE).write_bytes(b"")
        self.assertIn("chmod 700", self.refused())

    def test_owner(self) -> None:
        """A directory of somebody else is refused, by root too."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give a directory away")
        self.path.mkdir(parents=True)
        os.chown(self.path, 12345, -1)
        self.assertIn(f"{self.path} belongs to 12345", self.refused())

    def test_in_the_way(self) -> None:
        """A file in the place of the directory, or above it, is named."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"")
        self.assertIn(f"{self.path} is no directory", self.refused())
        self.path = self.path / "below"
        self.assertIn(f"{self.path.parent} is no directory", self.refused())

    def test_lock_in_the_way(self) -> None:
        """What can't be a lock file is named: a directory, a link."""
        lock = self.path / LOCK_FILE
        lock.mkdir(parents=True)
        self.path.chmod(0o700)
        self.assertIn(str(lock), self.refused())
        lock.rmdir()
        lock.symlink_to("/elsewhere")
        self.assertIn(str(lock), self.refused())
