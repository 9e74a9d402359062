"""Addresses of services."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.peer.peer_address import PeerAddress
from tests.identity.people import BOB


class PeerAddressTests(SynchronousTestCase):
    """What a program learns of the other end."""

    def test_members(self) -> None:
        """It has what TCP's has, the proved id, and the string that reaches it."""
        address = PeerAddress(BOB.peer_id, "web")
        self.assertTrue(verifyObject(IAddress, address))
        self.assertEqual((address.host, address.port), (BOB.peer_id, 0))
        self.assertEqual(address.client_string(), f"p2p:{BOB.peer_id}:web")
        self.assertEqual(address, PeerAddress(BOB.peer_id, "web"))
