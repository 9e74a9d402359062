"""Tests of the threads in which files are read and written."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.trial.unittest import TestCase

from p2pchat.peer.transfers.file_threads import MAX_THREADS, FileThreads


class ThreadTests(TestCase):
    """Work that may take long."""

    @inlineCallbacks
    def test_elsewhere(self) -> Any:
        """It is done in other threads, of which there are a few; what fails is told."""
        threads = FileThreads(reactor)
        names = yield gatherResults([threads.run(threading.get_ident) for _ in range(50)])
        self.assertNotIn(threading.get_ident(), names)
        self.assertLessEqual(len(set(names)), MAX_THREADS)
        yield self.assertFailure(threads.run(lambda: int("x")), ValueError)
