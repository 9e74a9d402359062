"""A node whose links carry no streams."""

from __future__ import annotations

from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import LinkLost
from p2pchat.interfaces import IPeerStreams
from p2pchat.peer.no_streams import NoStreams


class NoStreamsTests(SynchronousTestCase):
    """Nothing."""

    def test_nothing(self) -> None:
        """Nothing can be opened, and nothing is."""
        streams = NoStreams()
        self.assertTrue(verifyObject(IPeerStreams, streams))
        self.failureResultOf(streams.open("peer", "web", Protocol()), LinkLost)
        streams.close("peer")
        self.assertEqual(streams.open_streams(), [])
