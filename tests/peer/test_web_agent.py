"""HTTP to services of peers: stock agents and sites, in memory."""

from __future__ import annotations

from typing import Any

import treq
from treq.client import HTTPClient
from twisted.web.client import URI
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface.verify import verifyObject

from p2pchat.errors import NoSuchContact
from p2pchat.peer.service_endpoints import ServiceConnector
from p2pchat.peer.web_agent import PeerEndpoints
from tests.cases import each
from tests.identity.people import BOB
from tests.peer.test_services import ServicesCase


class Greeting(Resource):
    """A page that says who asks."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """Greet the proved peer."""
        transport: Any = request.transport
        return b"hello " + str(transport.getPeer().host).encode()


class WebAgentTests(ServicesCase):
    """Alice reads pages of Bob's."""

    def endpoint(self, url: bytes) -> ServiceConnector:
        """Return the endpoint of a URL."""
        services = self.alice.services
        endpoints = PeerEndpoints(services, services.access.is_peer)
        self.assertTrue(verifyObject(IAgentEndpointFactory, endpoints))
        found = endpoints.endpointForURI(URI.fromBytes(url))
        assert isinstance(found, ServiceConnector)
        return found

    @each(
        (b"p2p://bob/", "bob", "web"),
        (b"http://bob/x", "bob", "web"),
        (b"p2p://git.bob/", "bob", "git"),
        (f"p2p://{BOB.peer_id}/".encode(), BOB.peer_id, "web"),
        (f"p2p://git.{BOB.peer_id}/".encode(), BOB.peer_id, "git"),
        (b"p2p://example.com/", "example.com", "web"),
    )
    def test_urls(self, url: bytes, peer: str, service: str) -> None:
        """A URL names a contact or an id, and perhaps a service."""
        call = self.endpoint(url).call
        self.assertEqual((call.peer, call.service), (peer, service))

    def test_dots(self) -> None:
        """A contact may have dots in its name."""
        self.alice.contacts.rename(BOB.peer_id, "bob.smith")
        for url, service in ((b"p2p://bob.smith/", "web"), (b"p2p://git.bob.smith/", "git")):
            call = self.endpoint(url).call
            self.assertEqual((call.peer, call.service), ("bob.smith", service))

    def test_treq(self) -> None:
        """treq gets a page of a stock site, which knows who asks."""
        self.bob.services.listener_for("web", ["contacts"]).listen(
            Site(Greeting(), reactor=self.clock)
        )
        agent = self.alice.services.web_agent()
        self.assertTrue(verifyObject(IAgent, agent))
        answer = HTTPClient(agent).get("p2p://bob/")
        self.settle()
        body = treq.content(self.successResultOf(answer))
        self.settle()
        self.assertEqual(self.successResultOf(body), f"hello {self.alice.peer_id}".encode())
        self.clock.advance(120)

    def test_nobody(self) -> None:
        """A host that is no contact is none, and nobody is asked for it."""
        answer = HTTPClient(self.alice.services.web_agent()).get("p2p://example.com/")
        self.failureResultOf(answer, NoSuchContact)
        self.assertEqual(self.alice.links.asked, [])
