"""Tests of :mod:`p2pchat.tap.p2ppipe_service`, as processes with real sockets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

PATIENCE = 60.0  # seconds for what a busy machine does
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "p2ppipe")


class PipeTests(SynchronousTestCase):
    """``twistd -n p2ppipe`` between endpoints of this machine."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(PATIENCE)
        self.addCleanup(self.server.close)
        self.service = f"tcp:127.0.0.1:{self.server.getsockname()[1]}"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the program."""
        process = subprocess.Popen(
            [*TWISTD, *words],
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def event(self, process: subprocess.Popen[bytes]) -> Any:
        """Return the next event of a program that speaks JSON."""
        assert process.stdout is not None
        return json.loads(process.stdout.readline() or b"{}")

    def test_json(self) -> None:
        """Events say where it listens, who came, and how much went each way."""
        process = self.start("--listen", "tcp:0", "--connect", self.service, "--json")
        listening = self.event(process)
        self.assertEqual((listening["event"], listening["exposed"]), ("listening", False))
        host, _, port = listening["address"].rpartition(":")
        self.assertEqual(host, "127.0.0.1")
        with socket.create_connection((host, int(port)), PATIENCE) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            served, _ = self.server.accept()
            with served, served.makefile("rb") as file:
                self.assertEqual(file.read(), b"question")
                served.sendall(b"late answer")
            with client.makefile("rb") as file:
                self.assertEqual(file.read(), b"late answer")
        opened, closed = self.event(process), self.event(process)
        self.assertEqual((opened["event"], opened["number"]), ("opened", 1))
        self.assertEqual((closed["event"], closed["sent"], closed["received"]), ("closed", 8, 11))
        self.assertEqual(closed["reason"], "")

    def test_unix(self) -> None:
        """A socket of mode 600 keeps other users of the machine out."""
        listen = "unix:a.sock:mode=600"
        process = self.start("--listen", listen, "--connect", self.service, "--json")
        self.assertEqual(self.event(process)["address"], "a.sock")
        path = self.directory / "a.sock"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.relpath(path))
            client.sendall(b"x")
            served, _ = self.server.accept()
            with served:
                self.assertEqual(served.recv(1), b"x")

    def test_stdio(self) -> None:
        """From stdin to a service and back; the end of stdin is passed on; nothing else comes."""
        process = self.start("--listen", "stdio:", "--connect", self.service)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"question")
        process.stdin.close()
        process.stdin = None
        served, _ = self.server.accept()
        with served, served.makefile("rb") as file:
            self.assertEqual(file.read(), b"question")
            served.sendall(b"a" * 1_000_000)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        self.assertEqual(stdout, b"a" * 1_000_000)
        self.assertIn(b"1,000,000 received", stderr)
        self.assertEqual(process.returncode, 0)

    def test_stdio_refused(self) -> None:
        """Where nobody listens, that is told, and the status says so."""
        process = self.start("--listen", "stdio:", "--connect", "tcp:127.0.0.1:1")
        process.wait(PATIENCE)  # its input is open still
        stdout, stderr = process.communicate()
        self.assertEqual((process.returncode, stdout), (1, b""))
        self.assertIn(b"tcp:127.0.0.1:1 can't be reached for this machine: nothing listens", stderr)

    def test_taken(self) -> None:
        """A port that another program has ends the program with a sentence."""
        taken = f"tcp:{self.server.getsockname()[1]}"
        process = self.start("--listen", taken, "--connect", self.service)
        _, stderr = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"p2ppipe: can't listen at tcp:", stderr)
        self.assertNotIn(b"Traceback", stderr)

    def test_mistake(self) -> None:
        """So does a string that is no endpoint."""
        process = self.start("--listen", "tcp:x", "--connect", self.service)
        _, stderr = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertTrue(stderr.startswith(b"p2ppipe: --listen: 'tcp:x' is no endpoint"), stderr)
        self.assertNotIn(b"Traceback", stderr)

    def test_exposed(self) -> None:
        """A port that other machines reach is told as such."""
        words = ("--listen", "tcp:0:interface=0.0.0.0", "--connect", self.service)
        process = self.start(*words, "--json")
        self.assertTrue(self.event(process)["exposed"])
