"""Tests of :mod:`p2pchat.resident.passing`."""

from __future__ import annotations

import gc
import socket

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.resident.passing import PassedSocket
from tests.resident.attached_case import is_open


class PassedSocketTests(SynchronousTestCase):
    """A descriptor that waits to be sent."""

    def test_closed_once_sent(self) -> None:
        """It is open for as long as somebody has its number to send, and no longer."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        number = theirs.fileno()
        queue = [PassedSocket(theirs)]
        del theirs
        self.assertEqual((queue[0], is_open(number)), (number, True))
        queue.clear()
        gc.collect()
        self.assertFalse(is_open(number))
