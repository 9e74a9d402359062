"""Tests of the service that transfers of files come by."""

from __future__ import annotations

from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.transfers.new_transfers import FilesFactory
from p2pchat.wire.transfers import SERVICE


class FactoryTests(SynchronousTestCase):
    """Streams that peers open."""

    def test_peer(self) -> None:
        """Each is of the peer that the link has proved; who may open none gets none."""
        made = Protocol()
        factory = FilesFactory({"bob": made}.get)
        self.assertIs(factory.buildProtocol(PeerAddress("bob", SERVICE)), made)
        self.assertIsNone(factory.buildProtocol(PeerAddress("carol", SERVICE)))
