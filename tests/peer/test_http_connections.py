"""Where connections to a registry lead, and which of them are given up."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from p2pchat.errors import RegistryError
from p2pchat.host_addresses import HostAddress
from p2pchat.peer.foreign_answers import ForeignAnswer
from p2pchat.peer.http_connections import LOOK_AGAIN
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.registry_connection import PORTAL_WAIT
from p2pchat.wire.documents import Registration
from tests.cases import each
from tests.identity.people import ALICE
from tests.peer.registry_case import RegistryCase
from tests.simulation.resolver import HostnameResolver
from tests.simulation.world import HTTP_PORT, REGISTRY

NAME = "registry.test"
URL = f"http://{NAME}:{HTTP_PORT}"
RENEWAL = 20.0  # seconds between a peer's requests; a registry keeps a connection for longer
OTHER = "203.0.113.80"


class Portal(Resource):
    """
    Answers everything alike, on connections that it keeps open.

    :ivar asked: how often.
    :ivar connections: over how many connections.
    """

    isLeaf = True

    def __init__(self, status: int, body: bytes, kind: bytes, place: bytes = b"") -> None:
        super().__init__()
        self._answer = status, body, kind, place
        self.asked = 0
        self._ports: set[int] = set()

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self._ports)

    def render(self, request: Request) -> bytes:
        """See `IResource`."""
        self.asked += 1
        self._ports.add(request.getClientAddress().port)
        status, body, kind, place = self._answer
        request.setResponseCode(status)
        request.setHeader(b"content-type", kind)
        if place:
            request.setHeader(b"location", place)
        return body


PORTALS: dict[str, Any] = {
    "page": (200, b"<html>Please log in</html>", b"text/html"),
    "redirect": (302, b"", b"text/html", b"http://login.hotel.test:8888/?mac=1"),
    "empty": (200, b"", b"text/html"),
    "json": (200, b"{}", b"application/json"),
    "other json": (200, b'{"status": "ok", "peers_online": 0}', b"application/json"),
    "filter": (403, b"<html>Blocked</html>", b"text/html"),
    "log-in": (511, b"<html>Log in</html>", b"text/html"),
}


class ConnectionsCase(RegistryCase):
    """A registry behind a name, and somebody else to whom the name may lead."""

    def setUp(self) -> None:
        super().setUp()
        self.dns: dict[str, Any] = self.world.internet.dns
        self.dns[NAME] = REGISTRY[0]
        self.world.names = (URL,)
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.other = self.world.internet.host(OTHER)
        self.client = self.make_client(ALICE, self.host, URL)

    def serve(self, kind: str) -> Portal:
        """Start a portal of this kind at the other address."""
        portal = Portal(*PORTALS[kind])
        self.other.reactor.listenTCP(HTTP_PORT, Site(portal, reactor=self.other.reactor))
        return portal


class PortalTests(ConnectionsCase):
    """Somebody else answers, who keeps connections open."""

    @each(*PORTALS)
    def test_from_the_start(self, kind: str) -> None:
        """After the log-in we are registered within one wait; meanwhile the cause is said."""
        portal = self.serve(kind)
        self.dns[NAME] = OTHER
        connection, told = self.make_connection(self.client)
        connection.start()
        self.run_for(25)
        self.assertGreater(len(told.lost), 5)
        self.assertEqual(portal.connections, portal.asked)
        for reason, _wait in told.lost:
            self.assertRegex(reason, "log in first|filter")
        self.dns[NAME] = REGISTRY[0]
        spent = self.world.wait(lambda: told.registered, 60, "the registration")
        self.assertLess(spent, 1.5 * PORTAL_WAIT + 0.5)

    @each(*PORTALS)
    def test_meanwhile(self, kind: str) -> None:
        """One that comes while we are registered is left as soon as it lets us through."""
        connection, told = self.make_connection(self.client)
        connection.start()
        self.run_for(2)
        self.serve(kind)
        self.dns[NAME] = OTHER
        self.world.host.kill()
        self.run_for(60)
        self.assertTrue(told.lost)
        self.world.host.boot()
        self.world.boot_registry()
        self.dns[NAME] = REGISTRY[0]
        spent = self.world.wait(lambda: len(told.registered) > 1, 60, "the registration")
        self.assertLess(spent, 1.5 * PORTAL_WAIT + 0.5)

    @each(*PORTALS)
    def test_every_request(self, kind: str) -> None:
        """Whatever is asked, somebody else's answer is known for one, and leaves no connection."""
        self.serve(kind)
        self.dns[NAME] = OTHER
        requests = (
            lambda: self.client.register(Registration("alice")),
            lambda: self.client.renew("token"),
            self.client.peers,
            lambda: self.client.peer(ALICE.peer_id),
            self.client.remove,
            lambda: self.client.subscribe(lambda _event: None, lambda _reason: None),
        )
        for request in requests:
            self.refused(request(), ForeignAnswer)
            self.run_for(1)
            self.assertEqual(len(self.host.connections), 0)

    def test_clock(self) -> None:
        """Somebody else's clock is none to go by."""
        self.serve("page")
        self.dns[NAME] = OTHER
        self.other.reactor.seconds = lambda: 0.0  # type: ignore[method-assign]
        before = self.client.now() - self.host.reactor.seconds()
        self.refused(self.client.peers(), ForeignAnswer)
        self.assertAlmostEqual(self.client.now() - self.host.reactor.seconds(), before)

    def test_wrong_address(self) -> None:
        """A server that never is a registry is asked less often after a while."""
        portal = self.serve("page")
        self.dns[NAME] = OTHER
        connection, _told = self.make_connection(self.client)
        connection.start()
        self.run_for(600)
        often, portal.asked = portal.asked, 0
        self.run_for(600)
        portal.asked = 0
        self.run_for(600)
        self.assertLess(portal.asked, 0.5 * often)


class AddressesTests(ConnectionsCase):
    """A name with several addresses."""

    def resolve(self, *hosts: str) -> None:
        """Let the name have these addresses."""
        resolver = HostnameResolver(lambda _name: hosts, self.host.reactor)
        self.host.reactor.installNameResolver(resolver)

    def registers(self, within: float) -> None:
        """We are registered by then."""
        connection, told = self.make_connection(self.client)
        connection.start()
        self.world.wait(lambda: told.registered, within, "the registration")
        connection.stop()

    def test_dead(self) -> None:
        """Addresses where nothing is cost a quarter of a second each."""
        dead = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.resolve(*dead, REGISTRY[0])
        self.registers(2.0)

    def test_dead_family(self) -> None:
        """A family that leads nowhere holds the other one up once, however many it has."""
        self.resolve(*[f"2001:db8::{n}" for n in range(1, 9)], REGISTRY[0])
        self.registers(1.0)

    @each("page", "json", "redirect")
    def test_somebody_else(self, kind: str) -> None:
        """An address where somebody else answers doesn't hide the one beside it."""
        self.serve(kind)
        self.resolve(OTHER, REGISTRY[0])
        self.registers(5.0)

    def test_mute(self) -> None:
        """Nor does one that takes connections and never says anything."""
        self.other.reactor.listenTCP(HTTP_PORT, Factory.forProtocol(Protocol))
        self.resolve(OTHER, REGISTRY[0])
        self.registers(10.0)


class MovedTests(ConnectionsCase):
    """Connections that lead where the registry no longer is."""

    def test_name(self) -> None:
        """A name that leads elsewhere is followed, though the old host still answers."""
        self.result(self.client.peers())
        portal = self.serve("page")
        self.dns[NAME] = OTHER
        began = self.host.reactor.seconds()
        while not portal.asked:
            self.run_for(RENEWAL)
            self.client.peers().addErrback(lambda failure: failure.trap(ForeignAnswer))
            self.run_for(1)
        self.assertLess(self.host.reactor.seconds() - began, LOOK_AGAIN + 2 * RENEWAL)

    def test_name_that_cannot_be_resolved(self) -> None:
        """While the name can't be resolved, what there is goes on."""
        self.result(self.client.peers())
        self.dns.pop(NAME)
        for _ in range(10):
            self.run_for(RENEWAL)
            self.result(self.client.peers())

    def test_interface(self) -> None:
        """A connection from an address that this machine no longer has isn't used again."""
        addresses = [HostAddress("198.51.100.1")]
        runtime = self.runtime(self.host)
        mine = runtime.interface_addresses
        runtime = attrs.evolve(runtime, interface_addresses=lambda: addresses or mine())
        client = RegistryClient(URL, ALICE, runtime)
        addresses.clear()
        self.result(client.peers())
        self.assertEqual(len(self.host.connections), 1)
        addresses.append(HostAddress("198.51.100.1"))
        kept = next(iter(self.host.connections))
        self.result(client.peers())
        self.run_for(1)
        self.assertNotIn(kept, self.host.connections)

    def test_away(self) -> None:
        """A request that fails leaves no connection that another one would use."""
        self.result(self.client.peers())
        self.world.host.kill()
        self.refused(self.client.peers(), RegistryError)
        self.run_for(3)
        self.assertEqual(len(self.host.connections), 0)
