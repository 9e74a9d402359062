"""Tests of :mod:`p2pchat.peer.stream_lost`."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LinkLost
from p2pchat.peer.stream_lost import StreamLost


class StreamLostTests(SynchronousTestCase):
    """The reason that a protocol gets."""

    def test_both(self) -> None:
        """Programs of Twisted take it for a lost connection; ours see that the link was lost."""
        failure = Failure(StreamLost())
        self.assertIs(failure.check(ConnectionLost), ConnectionLost)
        self.assertIs(failure.check(LinkLost), LinkLost)
        self.assertIn("link to them was lost", str(failure.value))
