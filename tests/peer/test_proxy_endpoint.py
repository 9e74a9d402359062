"""Connections through a proxy."""

from __future__ import annotations

from random import Random

import attrs
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import ProxyError
from p2pchat.peer.connector import Connector
from p2pchat.peer.proxy import choose_proxies
from tests.simulation.internet import Internet
from tests.simulation.world import runtime_on


class EndpointTests(SynchronousTestCase):
    """The endpoint behind a proxy."""

    def test_silent(self) -> None:
        """A proxy that says nothing is given up, and its connection ended."""
        internet = Internet(1)
        silent, host = internet.host("203.0.113.1"), internet.host()
        silent.reactor.listenTCP(3128, Factory.forProtocol(Protocol))
        proxies = choose_proxies({}, "http://203.0.113.1:3128")
        runtime = attrs.evolve(runtime_on(host, Random(1)), proxy_for=proxies)
        endpoint = Connector(runtime, 5.0).endpoint("https", "a.example", 1)
        verifyObject(IStreamClientEndpoint, endpoint)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        internet.run(6.0)
        error = self.failureResultOf(connecting, ProxyError)
        self.assertIn("no answer in time", str(error.value))
        self.assertFalse(host.connections)
