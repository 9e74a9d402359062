"""Tests of :mod:`p2pchat.tap.command.pipe`, as processes beside a node that the test plays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.command import statuses
from tests.cases import each
from tests.tap.command.fake_node import PATIENCE, FakeNode

SIZE = 3_000_000  # bytes: more than the buffers on the way
PROGRAM = (sys.executable, "-m", "p2pchat", "pipe")


def uppercase(stream: socket.socket) -> tuple[str, str]:
    """Answer with what came, in capitals, once no more comes."""
    data = b""
    while piece := stream.recv(65536):
        data += piece
    stream.sendall(data.upper())
    return "", ""


def echo(stream: socket.socket) -> tuple[str, str]:
    """Answer each piece at once, much of it or little."""
    while piece := stream.recv(65536):
        stream.sendall(piece)
    return "", ""


def greet(stream: socket.socket) -> tuple[str, str]:
    """Say something and go, whatever they still want to say."""
    stream.sendall(b"hello")
    return "", ""


def lose(stream: socket.socket) -> tuple[str, str]:
    """Say the half, and be gone."""
    stream.sendall(b"hal")
    return "lost", "the link was lost"


def flood(stream: socket.socket) -> tuple[str, str]:
    """Say more than anybody reads."""
    try:
        while True:
            stream.sendall(b"x" * 65536)
    except OSError:
        return "reset", "nobody takes it"


class PipeTests(SynchronousTestCase):
    """The command, between pipes of ours and services of a fake node."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.addCleanup(self.node.close)
        self.node.services = {
            "bob:uppercase": uppercase,
            "bob:echo": echo,
            "bob:greet": greet,
            "bob:lose": lose,
            "bob:flood": flood,
        }

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the command."""
        process = subprocess.Popen(
            [*PROGRAM, *words, "--state", self.node.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def run_with(self, said: bytes, *words: str) -> tuple[bytes, bytes, int]:
        """Run it with an input that ends; return both outputs and the status."""
        process = self.start(*words)
        stdout, stderr = process.communicate(said, PATIENCE)
        return stdout, stderr, process.returncode

    def test_half_close(self) -> None:
        """The end of stdin reaches the service, whose answer comes back whole."""
        found = self.run_with(b"x" * SIZE, "bob:uppercase")
        self.assertEqual(found, (b"X" * SIZE, b"", statuses.DONE))
        (request,) = self.node.requests
        self.assertEqual((request["peer"], request["service"]), ("bob", "uppercase"))
        self.assertEqual((request["path"], request["timeout"]), ("any", 30.0))

    def test_both_ways(self) -> None:
        """Much in both directions at once holds neither up."""
        found = self.run_with(os.urandom(16) * (SIZE // 16), "bob:echo", "--path", "direct")
        self.assertEqual((len(found[0]), found[1:]), (SIZE, (b"", 0)))
        self.assertEqual(self.node.requests[0]["path"], "direct")

    def test_remote_end(self) -> None:
        """It ends when nobody is at the other end, though stdin has no end yet."""
        process = self.start("bob:greet")
        self.assertEqual(process.wait(PATIENCE), statuses.DONE)
        assert process.stdout is not None
        self.assertEqual(process.stdout.read(), b"hello")

    def test_lost(self) -> None:
        """A stream that breaks is told on stderr, and by the status."""
        stdout, stderr, status = self.run_with(b"", "bob:lose")
        self.assertEqual((stdout, status), (b"hal", statuses.BROKEN))
        self.assertEqual(stderr, b"p2pchat pipe: bob:lose: the link was lost.\n")

    def test_reason_first(self) -> None:
        """It is told before stdout is closed: ssh ends its ProxyCommand as soon as that is."""
        process = self.start("bob:lose")
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read()
        os.set_blocking(process.stderr.fileno(), False)
        self.assertIn(b"the link was lost", process.stderr.read() or b"")
        process.wait(PATIENCE)

    def test_not_granted(self) -> None:
        """So is a refusal, and stdout stays empty."""
        stdout, stderr, status = self.run_with(b"", "bob:ssh")
        self.assertEqual((stdout, status), (b"", statuses.NOT_GRANTED))
        self.assertEqual(stderr, b"p2pchat pipe: bob:ssh: they offer you no such service.\n")

    def test_no_reader(self) -> None:
        """Where nobody reads any more it ends by SIGPIPE, as other programs do, silently."""
        process = self.start("bob:flood")
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stdout.read(5), b"xxxxx")
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), -signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), b"")

    @each(signal.SIGINT, signal.SIGTERM)
    def test_signal(self, number: int) -> None:
        """A signal ends it as any program, without a traceback."""
        process = self.start("bob:echo")
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"there?")
        process.stdin.flush()
        self.assertEqual(process.stdout.read(6), b"there?")
        process.send_signal(number)
        _, stderr = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, stderr), (-number, b""))

    def test_sockets(self) -> None:
        """Stdin and stdout may be one socket, as ssh may have it."""
        ours, its = socket.socketpair()
        with ours, its:
            ours.settimeout(PATIENCE)
            words = [*PROGRAM, "bob:uppercase", "--state", self.node.directory]
            process = subprocess.Popen(words, stdin=its.fileno(), stdout=its.fileno())
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            its.close()
            ours.sendall(b"question")
            ours.shutdown(socket.SHUT_WR)
            with ours.makefile("rb") as file:
                self.assertEqual(file.read(), b"QUESTION")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_blocking_stays(self) -> None:
        """Whether the pipes wait is as it was: other programs have them, too."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        words = [*PROGRAM, "bob:greet", "--state", self.node.directory]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=write, check=False)
        self.assertEqual((done.returncode, os.read(read, 10)), (0, b"hello"))
        self.assertTrue(os.get_blocking(write))

    def test_light(self) -> None:
        """Nothing of Twisted is imported, nor anything else that takes long."""
        code = (
            "import atexit, sys, p2pchat.tap.program as program\n"
            "heavy = {'twisted', 'attrs', 'attr', 'asyncio', 'cryptography', 'ssl', 'zope'}\n"
            "atexit.register(lambda: sys.stderr.write(str(sorted(heavy & set(sys.modules)))))\n"
            f"program.main(['pipe', 'bob:greet', '--state', {self.node.directory!r}])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        self.assertEqual((done.stdout, done.stderr), (b"hello", b"[]"))
