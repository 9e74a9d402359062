"""Tests of :mod:`p2pchat.tap.child_process`, with real processes."""

from __future__ import annotations

import os
import signal
import stat
import sys
from select import select
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from p2pchat.interfaces import IChildProcess, IProcessStarter
from p2pchat.tap.child_process import ProcessStarter

# Writes down what it has, and whether it can write to a terminal.
LOOK = """
import os, signal, sys
there = []
for one in range(64):
    try:
        os.fstat(one)
        there.append(one)
    except OSError:
        pass
try:
    os.open("/dev/tty", os.O_WRONLY)
    terminal = "terminal"
except OSError:
    terminal = "none"
mine = os.getpid() == os.getpgrp() == os.getsid(0)
said = sys.stdin.read(), os.environ["NAME"], there, terminal, mine, sys.argv[2:]
print("noise"); print("noise", file=sys.stderr)
open(sys.argv[1], "w").write(ascii(said))
"""
# Begins what ignores a request to end, and ends.
LEAVE = """
import os, signal, sys
fifo = os.open(sys.argv[1], os.O_WRONLY)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(fifo, b"x")
if not os.fork():
    signal.pause()
"""


class ChildProcessTests(TestCase):
    """A child gets its text and nothing else of ours."""

    def setUp(self) -> None:
        from twisted.internet import reactor  # noqa: PLC0415

        self.starter = ProcessStarter(reactor)
        self.path = os.path.abspath(self.mktemp())

    def start(self, *arguments: str, text: bytes = b"") -> tuple[Any, Deferred[str]]:
        """Start a program; return it, and a Deferred of how it ends."""
        ended: Deferred[str] = Deferred()
        return self.starter.start(arguments, {"NAME": "zo\xeb"}, text, ended.callback), ended

    @inlineCallbacks
    def test_surroundings(self) -> Any:
        """It has its text, its variables, three descriptors, a session of its own, no terminal."""
        self.assertTrue(verifyObject(IProcessStarter, self.starter))
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_inheritable(writer, True)
        child, ended = self.start(sys.executable, "-c", LOOK, self.path, "$x *", text=b"hi\n" * 9)
        self.assertTrue(verifyObject(IChildProcess, child))
        how = yield ended
        self.assertEqual(how, "")
        with open(self.path) as file:
            found = file.read()
        expected = ("hi\n" * 9, "zo\xeb", [0, 1, 2], "none", True, ["$x *"])
        self.assertEqual(found, ascii(expected))

    @inlineCallbacks
    def test_left_behind(self) -> Any:
        """What a child began ends with it, even if it doesn't want to, and nobody read the text."""
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        how = yield self.start(sys.executable, "-c", LEAVE, self.path, text=b"x" * 1_000_000)[1]
        self.assertEqual((how, os.read(reader, 2)), ("", b"x"))
        select([reader], [], [], 30)  # until nobody has the other end
        self.assertEqual(os.read(reader, 1), b"")

    @inlineCallbacks
    def test_ended(self) -> Any:
        """It is ended whenever we like, and how is said."""
        for way, number in (("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)):
            child, ended = self.start("sleep", "1000")
            getattr(child, way)()
            how = yield ended
            self.assertEqual(how, f"was ended by signal {number:d}")
            getattr(child, way)()  # nobody is meant any more

    @inlineCallbacks
    def test_not_started(self) -> Any:
        """What isn't there is refused; what can't be run says so as shells do."""
        self.assertRaises(FileNotFoundError, self.start, f"{self.path}/nowhere")
        with open(self.path, "w") as file:
            file.write("#!/nowhere/at/all\n")
        os.chmod(self.path, stat.S_IRWXU)
        how = yield self.start(self.path)[1]
        self.assertIn("ended with status 127", how)
