"""Tests of :mod:`p2pchat.demo`, with real processes on real sockets of the loopback."""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from p2pchat.demo import LOG_TAIL, STEP_DEADLINE, Demonstration, Program, StepFailed


class ProgramTests(SynchronousTestCase):
    """What a process says is read along, and its end is noticed."""

    def setUp(self) -> None:
        self.program = Program("Alice", 0.0)
        self.program.makeConnection(StringTransport())

    def test_events(self) -> None:
        """The event with the members that are waited for is found, in pieces or early."""
        self.program.outReceived(b'{"event":"nat"}\n{"event":"current","na')
        found = self.program.event(event="current", name="bob")
        self.assertNoResult(found)
        self.program.outReceived(b'me":"bob"}\n')
        self.assertEqual(self.successResultOf(found), {"event": "current", "name": "bob"})

    def test_log(self) -> None:
        """Of the log the end is kept, wherever it is written."""
        self.program.outReceived(b"one\n")
        self.program.errReceived(b"line\n" * LOG_TAIL)
        self.assertEqual(list(self.program.log), ["line"] * LOG_TAIL)

    def test_end(self) -> None:
        """A process that ends is waited for no longer."""
        end = self.program.end()
        found = self.program.event(event="connected")
        self.program.processEnded(Failure(ProcessTerminated(1)))
        self.successResultOf(end)
        self.successResultOf(self.program.end())
        self.failureResultOf(found)
        self.assertEqual(self.program.exit_code, 1)

    def test_good_end(self) -> None:
        """Status 0 is known, too."""
        self.program.processEnded(Failure(ProcessDone(0)))
        self.assertEqual(self.program.exit_code, 0)


class FakeReactor(Clock):
    """Starts no process."""

    def spawnProcess(self, program: Any, *_arguments: Any, **_options: Any) -> None:
        program.makeConnection(StringTransport())


class StepTests(SynchronousTestCase):
    """A step that doesn't happen is a failure with a name."""

    def test_silence(self) -> None:
        """A peer that never registers is named."""
        reactor = FakeReactor()
        demonstration = Demonstration(reactor, self.mktemp())
        playing = Deferred.fromCoroutine(demonstration.play())
        reactor.advance(STEP_DEADLINE)
        failure = self.failureResultOf(playing, StepFailed)
        self.assertIn("registering: Bob never said", str(failure.value))


class DemoTests(TestCase):
    """The README's first command."""

    timeout = 90

    async def test_demo(self) -> None:
        """Every step happens, and the conversation is shown."""
        output, errors, status = await getProcessOutputAndValue(
            sys.executable, ["-m", "p2pchat.demo"], env=os.environ
        )
        self.assertEqual(status, 0, errors.decode())
        for part in (b"connected to bob", b"Alice     reads:  Loud and clear", b"p2pchat registry"):
            self.assertIn(part, output)
