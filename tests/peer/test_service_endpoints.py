"""Endpoints of services, by themselves; with streams they are in test_services."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import PeerOffline
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.service_endpoints import (
    ServiceCall,
    ServiceConnector,
    ServiceListener,
    ServicePort,
)
from tests.identity.people import BOB


def absent(*_arguments: object) -> Any:
    """Fail at once."""
    raise PeerOffline


class ServiceEndpointTests(SynchronousTestCase):
    """What happens around ``listen`` and ``connect``."""

    def test_interfaces(self) -> None:
        """They are Twisted's."""
        address = PeerAddress(BOB.peer_id, "web")
        connector = ServiceConnector(ServiceCall("bob", "web"), absent)
        self.assertTrue(verifyObject(IStreamClientEndpoint, connector))
        self.assertTrue(verifyObject(IStreamServerEndpoint, ServiceListener("web", (), absent)))
        port = ServicePort(address, Factory(), lambda: None)
        self.assertTrue(verifyObject(IListeningPort, port))

    def test_failures(self) -> None:
        """What fails at once fails the Deferred, and raises nothing."""
        connector = ServiceConnector(ServiceCall("bob", "web"), absent)
        self.failureResultOf(connector.connect(Factory()), PeerOffline)
        self.failureResultOf(ServiceListener("web", (), absent).listen(Factory()), PeerOffline)

    def test_stopped_once(self) -> None:
        """A port that is stopped twice is withdrawn once."""
        withdrawn: list[bool] = []
        factory = Factory()
        factory.noisy = False
        factory.doStart()
        address = PeerAddress(BOB.peer_id, "web")
        port = ServicePort(address, factory, lambda: withdrawn.append(True))
        port.startListening()
        for _ in range(2):
            stopped: Deferred[None] = port.stopListening()
            self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual((withdrawn, factory.numPorts), ([True], 0))
        self.assertEqual(port.getHost(), address)
