"""The registry as a daemon: real processes, each in a directory of its own, on loopback ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PROGRAM = "from twisted.scripts.twistd import run; run()"
PATIENCE = 60.0  # seconds for a start, on a busy machine


class DaemonTests(SynchronousTestCase):
    """A start that fails says so and ends, and leaves nothing behind."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.taken.close)
        self.listen = f"tcp:{self.taken.getsockname()[1]}:interface=127.0.0.1"

    def start(self, *words: str, twistd: tuple[str, ...] = ()) -> tuple[int, str]:
        """Start a registry; return the status, and what the shell is told."""
        options = ("p2psignal", "--stun=0", *words)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *twistd, *options],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout + done.stderr

    def log(self) -> str:
        """Return what a daemon logged."""
        return (self.directory / "twistd.log").read_text()

    def test_failures(self) -> None:
        """Whatever keeps it from starting, the shell is told; the log has the whole sentence."""
        for listen, said in (
            (
                self.listen,
                "is in use: stop the program that has it, or choose another with --listen",
            ),
            ("tcp:70000", "--listen can't be used: "),
            ("tlsfiles:0:privateKey=nowhere:certKey=nowhere", "no TLS: "),
        ):
            status, told = self.start("--listen", listen)
            self.assertEqual(status, 1, told)
            self.assertIn("CannotStart: ", told)
            self.assertIn(said, self.log())
            self.assertNotIn("Traceback", self.log() + told)
            self.await_end()

    def test_foreground(self) -> None:
        """In the foreground it is one sentence, and no file is left either."""
        for listen in (self.listen, "tcp:70000"):
            status, told = self.start("--listen", listen, twistd=("-n",))
            self.assertEqual(status, 1, told)
            self.assertEqual(told.count("p2psignal can't start: "), 1)
            self.assertNotIn("Traceback", told)
            self.assertEqual(list(self.directory.glob("*.pid")), [])

    def test_starts(self) -> None:
        """A daemon that starts lets the shell go on; a second one in its directory says why not."""
        status, told = self.start("--listen", "tcp:0:interface=127.0.0.1")
        self.assertEqual(status, 0, told)
        number = int((self.directory / "twistd.pid").read_text())
        self.addCleanup(self.end, number)
        self.assertIn("Peers use --server http://127.0.0.1:", self.log())
        status, told = self.start("--listen", "tcp:0:interface=127.0.0.1")
        self.assertEqual(status, 1)
        self.assertIn(f"Another twistd server is running, PID {number}", told)
        self.assertIn("--pidfile", told)

    def end(self, number: int) -> None:
        """End a daemon."""
        os.kill(number, signal.SIGTERM)
        self.await_end()

    def await_end(self) -> None:
        """Wait until the PID file has gone; a daemon tells the shell before it removes that."""
        until = time.monotonic() + PATIENCE
        while list(self.directory.glob("*.pid")):
            self.assertLess(time.monotonic(), until, "the PID file stays")
            time.sleep(0.05)
