"""Tests of :mod:`p2pchat.tap.attached_peer`: programs of their own on one state directory."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import tempfile
from typing import Any, cast

from twisted.logger import ILogObserver, LogEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.tap.attached_peer import LaterObserver
from tests.sources import ROOT

NOWHERE = "http://127.0.0.1:9"  # a registry that isn't there
PATIENCE = 60.0  # seconds for a program on a busy machine


class LaterObserverTests(SynchronousTestCase):
    """The log of a program that may be the node later."""

    def test_replaced(self) -> None:
        """Lines go to the log that it has now."""
        first: list[LogEvent] = []
        second: list[LogEvent] = []
        observer = LaterObserver(cast(Any, first.append))
        verifyObject(ILogObserver, observer)
        observer({"n": 1})
        observer.observer = cast(Any, second.append)
        observer({"n": 2})
        self.assertEqual((first, second), ([{"n": 1}], [{"n": 2}]))


class AttachedTests(SynchronousTestCase):
    """The second program on a directory attaches to the first, and follows it."""

    def setUp(self) -> None:
        self.path = os.path.join(os.path.realpath(tempfile.mkdtemp()), "state")

    def start(self, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start a program."""
        options = ["--state", self.path, "--server", NOWHERE, *words]
        command = [sys.executable, "-m", "p2pchat", *options]
        program = subprocess.Popen(command, cwd=ROOT, **streams)
        self.addCleanup(program.wait, 30)
        self.addCleanup(program.kill)
        return program

    def start_json(self) -> subprocess.Popen[bytes]:
        """Start a program that speaks JSON."""
        pipe = subprocess.PIPE
        program = self.start("--json", stdin=pipe, stdout=pipe, stderr=pipe)
        for one in (program.stdin, program.stdout, program.stderr):
            assert one is not None
            self.addCleanup(one.close)
        return program

    def event(self, program: subprocess.Popen[bytes], name: str) -> dict[str, Any]:
        """Read on to an event."""
        assert program.stdout is not None
        for line in program.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] == name:
                return found
        self.fail(f"no {name} came")

    def test_json(self) -> None:
        """It shares the node, becomes it when it is killed, and a third one attaches then."""
        first = self.start_json()
        self.assertIsNone(self.event(first, "starting").get("attached_to"))
        second = self.start_json()
        self.assertEqual(self.event(second, "starting")["attached_to"], first.pid)
        first.kill()
        self.assertIsNone(self.event(second, "starting").get("attached_to"))
        third = self.start_json()
        self.assertEqual(self.event(third, "starting")["attached_to"], second.pid)
        assert third.stdin is not None
        third.stdin.write(b'{"command":"/quit"}\n')
        third.stdin.flush()
        self.assertEqual(third.wait(30), 0)

    def test_console(self) -> None:
        """A second console on a terminal shows the node's, and goes on when it is killed."""
        first = self.start_json()
        self.event(first, "starting")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        second = self.start(stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.read_until(ours, b"Attached to your node")
        first.kill()
        self.read_until(ours, b"is the node now")
        os.write(ours, b"/quit\r")
        self.assertEqual(second.wait(30), 0)

    def read_until(self, number: int, wanted: bytes) -> None:
        """Read what a program shows, to some words."""
        found = b""
        while wanted not in found:
            if not select.select([number], [], [], PATIENCE)[0]:
                self.fail(f"{wanted!r} isn't shown: {found!r}")
            found += os.read(number, 65536)
