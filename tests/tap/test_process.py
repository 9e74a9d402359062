"""The end of a process, and what lives as long as it does."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from typing import Any, cast

from twisted.internet import reactor
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.tap.process import leave_threads_behind, spare_long_lived, why_unwritable

PATIENCE = 30.0  # seconds that a machine with much to do may take
BUSY = """
from threading import Event
from twisted.internet import reactor
from p2pchat.tap.process import leave_threads_behind
def work():
    reactor.callFromThread(reactor.stop)
    Event().wait()
leave_threads_behind(reactor)
reactor.callInThread(work)
reactor.addSystemEventTrigger("after", "shutdown", print, "left", flush=True)
reactor.run()
"""


TWICE = """
import os, signal, sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python import log
from p2pchat.tap.process import leave_once
log.startLogging(sys.stderr, setStdout=False)
leave_once(reactor)
def leaving():
    left = Deferred()
    reactor.callLater(0.1, left.callback, None)
    os.kill(os.getpid(), signal.SIGTERM)
    return left
reactor.addSystemEventTrigger("before", "shutdown", leaving)
reactor.callWhenRunning(os.kill, os.getpid(), signal.SIGTERM)
reactor.run()
print("left")
"""


class LeaveTests(SynchronousTestCase):
    """Signals in the middle of goodbyes."""

    def test_again(self) -> None:
        """The second one is no error, and cuts nothing short."""
        command = [sys.executable, "-c", TWICE]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual((done.stdout, done.returncode), (b"left\n", 0))
        self.assertNotIn(b"ReactorNotRunning", done.stderr)


class SpareTests(SynchronousTestCase):
    """Collections after the start are short."""

    def test_spared(self) -> None:
        """What there is at the start isn't looked through again; what comes later is."""
        self.addCleanup(gc.unfreeze)
        spare_long_lived()
        self.assertLess(len(gc.get_objects()), gc.get_freeze_count() / 10)
        garbage: list[object] = []
        garbage.append(garbage)
        del garbage
        self.assertGreaterEqual(gc.collect(), 1)


class UnwritableTests(SynchronousTestCase):
    """Why an output was lost."""

    def test_full(self) -> None:
        """A disk without room is told."""
        if not os.path.exists("/dev/full"):
            raise SkipTest("needs /dev/full")
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        self.assertEqual(why_unwritable(full), "No space left on device")

    def test_gone(self) -> None:
        """A reader that has gone is no failure."""
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        self.assertEqual(why_unwritable(writer), "")


class ThreadTests(SynchronousTestCase):
    """Threads that come to no end."""

    def test_left_behind(self) -> None:
        """The program ends all the same, in the usual order and with status 0."""
        command = [sys.executable, "-c", BUSY]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (b"left\n", b"", 0))

    def test_again(self) -> None:
        """It may be called again, as by two programs in one process."""
        leave_threads_behind(reactor)
        leave_threads_behind(reactor)
        self.assertTrue(cast(Any, reactor).getThreadPool().threadFactory().daemon)
