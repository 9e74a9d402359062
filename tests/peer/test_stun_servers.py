"""From STUN URLs to addresses."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.peer.names import MAX_UNDER_WAY, Names
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.stun_servers import MAX_URLS, NamedServers, find_stun, parse_stun_url
from p2pchat.wire.addresses import Address, Scope
from p2pchat.wire.turn import RelayServer, Transport, parse_turn_url
from tests.identity.people import ALICE
from tests.peer.registry_case import RegistryCase
from tests.peer.test_registry_client import Page
from tests.simulation.internet import Internet
from tests.simulation.resolver import HostResolution
from tests.simulation.world import REGISTRY, STUN_PORT, runtime_on


class ParseTests(SynchronousTestCase):
    """RFC 7064, without its secure form."""

    def test_read(self) -> None:
        """The port may lack; an IPv6 literal has brackets."""
        for url, expected in (
            ("stun:example.org", ("example.org", 3478)),
            ("stun:example.org:19302", ("example.org", 19302)),
            ("stun:192.0.2.1:3479", ("192.0.2.1", 3479)),
            ("stun:[2001:db8::1]", ("2001:db8::1", 3478)),
            ("stun:[2001:db8::1]:5", ("2001:db8::1", 5)),
        ):
            with self.subTest(url=url):
                self.assertEqual(parse_stun_url(url), expected)

    def test_refused(self) -> None:
        """Other schemes, no host, no port, and what isn't text."""
        for url in (
            *("", "stun", "stun:", "stuns:example.org", "http://example.org", "stun:a:0"),
            *("stun:a:65536", "stun:a:b", "stun:a:", "stun:user@a", "stun:a b"),
            *("stun:a:" + "9" * 5000, "stun:a:٣"),
            *("stun:[::1", "stun:2001:db8::1x", None, 5, ["stun:a"]),
        ):
            with self.subTest(url=url):
                self.assertRaises(RemoteProtocolError, parse_stun_url, url)


class NamesCase(SynchronousTestCase):
    """A host in a simulated internet, whose names the test gives out."""

    def setUp(self) -> None:
        self.host = Internet(1).host()
        self.servers = NamedServers(Names(runtime_on(self.host, Random(1))))
        self.registry = Scope.GLOBAL

    def know(self, known: dict[str, str]) -> None:
        """Give names, the first labels of which are these, an address."""
        dns, dns6 = self.host.internet.dns, self.host.internet.dns6
        for name, address in known.items():
            (dns6 if ":" in address else dns)[f"{name.removesuffix('_6')}.test"] = address

    def result(self, found: Deferred[Any]) -> Any:
        """Let the resolver work, and return what was found."""
        self.host.internet.run(0.1)
        return self.successResultOf(found)


class FindTests(RegistryCase):
    """Where STUN is, as the registry tells whoever asks."""

    def find(self, client: RegistryClient) -> Any:
        """Return where it is, or the error that the person reads."""
        try:
            return self.result(find_stun(client, Names(self.runtime(self.host))))
        except RegistryError as error:
            return error

    def test_found(self) -> None:
        """On whatever port it is."""
        self.assertEqual(self.find(self.client), (REGISTRY[0], STUN_PORT))
        registry = self.world.registry
        registry.settings = attrs.evolve(registry.settings, stun_port=3540)
        self.assertEqual(self.find(self.client), (REGISTRY[0], 3540))

    def test_none(self) -> None:
        """A registry without STUN is said to be one, and what to do."""
        registry = self.world.registry
        registry.settings = attrs.evolve(registry.settings, stun_port=0)
        self.assertIn("--stun-port", str(self.find(self.client)))

    def test_away(self) -> None:
        """A registry that isn't there is said not to be."""
        self.world.host.kill()
        self.assertIn("nothing listens there", str(self.find(self.client)))

    def test_other_registry(self) -> None:
        """One that doesn't say has it on the usual port; one that lies has none."""
        other = self.world.internet.host("203.0.113.80")
        for body, expected in (
            (b"{}", ("203.0.113.80", 3478)),
            (b'{"stun_servers": ["stun:127.0.0.1:3478", 5, "stun:10.0.0.1", {}]}', None),
            (b'{"stun_servers": {"a": 1}}', None),
        ):
            port = other.reactor.listenTCP(80, Site(Page(200, body), reactor=other.reactor))
            client = self.make_client(ALICE, url="http://203.0.113.80")
            found = self.find(client)
            self.assertEqual(found if expected else type(found), expected or RegistryError)
            self.result(client.close())
            port.stopListening()
            self.run_for(0.1)


class AddressTests(NamesCase):
    """What can be sent to."""

    def addresses(self, urls: object, **known: str) -> list[Address]:
        """Return the addresses that these URLs name, with these names known."""
        self.know(known)
        found: list[Address] = self.result(self.servers.stun(urls, self.registry))
        return found

    def test_resolved(self) -> None:
        """Literals are taken as they are, names resolved; the order stays."""
        found = self.addresses(["stun:a.test:5001", "stun:192.0.2.1:5002"], a="198.51.100.1")
        self.assertEqual(found, [("198.51.100.1", 5001), ("192.0.2.1", 5002)])

    def test_both_families(self) -> None:
        """A name with addresses of both families is asked at both; a literal may be of either."""
        urls = ["stun:a.test:5001", "stun:[2001:db8::7]:5002"]
        found = self.addresses(urls, a="198.51.100.1", a_6="2001:db8::1")
        ipv6 = [("2001:db8::1", 5001), ("2001:db8::7", 5002)]
        self.assertEqual(found, [("198.51.100.1", 5001), *ipv6])

    def test_left_out(self) -> None:
        """What can't be read, resolved or sent to is left out, and the rest stays."""
        urls: list[object] = ["nonsense", None, "stun:gone.test", "stun:many.test"]
        urls += ["stun:[fe80::1]"]
        urls += ["stun:224.0.0.1", "stun:0.0.0.0", "stun:192.0.2.1:5009"]
        found = self.addresses(urls, many="239.1.1.1")
        self.assertEqual(found, [("192.0.2.1", 5009)])

    def test_loopback(self) -> None:
        """A registry on this machine has its STUN service here."""
        for scope, expected in ((Scope.LOOPBACK, [("127.0.0.1", 5005)]), (Scope.GLOBAL, [])):
            self.registry = scope
            self.assertEqual(self.addresses(["stun:127.0.0.1:5005"]), expected)

    def test_no_list(self) -> None:
        """A registry without STUN, or with nonsense in its place, leaves us without."""
        nonsense: tuple[object, ...] = (None, [], "stun:192.0.2.1", {"a": 1}, 7)
        for urls in nonsense:
            self.assertEqual(self.addresses(urls), [])

    def test_many(self) -> None:
        """A long list makes no flood of lookups."""
        names = [f"n{number}" for number in range(1000)]
        known = {name: f"198.51.{n >> 8}.{n & 255}" for n, name in enumerate(names)}
        found = self.addresses([f"stun:{name}.test" for name in names], **known)
        self.assertEqual(len(found), MAX_URLS)


class RelayTests(NamesCase):
    """Relays, and where they are."""

    def relays(self, urls: object, **known: str) -> list[tuple[RelayServer, Address]]:
        """Return the relays that these URLs name, with these names known."""
        self.know(known)
        found: list[tuple[RelayServer, Address]] = self.result(
            self.servers.relays(urls, self.registry)
        )
        return found

    def test_read(self) -> None:
        """The order stays; a relay keeps its name, for its certificate, beside its address."""
        urls = ["turns:r.test", "turn:r.test", "turn:r.test:443?transport=tcp", "turn:192.0.2.1"]
        found = self.relays(urls, r="198.51.100.1")
        self.assertEqual(
            found,
            [
                (RelayServer("r.test", 5349, Transport.TLS), ("198.51.100.1", 5349)),
                (RelayServer("r.test", 3478, Transport.UDP), ("198.51.100.1", 3478)),
                (RelayServer("r.test", 443, Transport.TCP), ("198.51.100.1", 443)),
                (RelayServer("192.0.2.1", 3478, Transport.UDP), ("192.0.2.1", 3478)),
            ],
        )

    def test_both_families(self) -> None:
        """A relay comes once for each of its addresses, whatever carries it."""
        for url in ("turn:r.test", "turn:r.test?transport=tcp"):
            found = self.relays([url], r="198.51.100.1", r_6="2001:db8::1")
            server = parse_turn_url(url)
            addresses = [("198.51.100.1", 3478), ("2001:db8::1", 3478)]
            self.assertEqual(found, [(server, address) for address in addresses])

    def test_left_out(self) -> None:
        """What can't be read, resolved or sent to is left out, and the rest stays."""
        urls = ["turn:gone.test", "turn:224.0.0.1", "stun:r.test", None, "turn:", "turns:b.test"]
        found = self.relays(urls, b="192.0.2.1")
        self.assertEqual([address for _, address in found], [("192.0.2.1", 5349)])

    def test_no_list(self) -> None:
        """A registry with nonsense in its place, or too many, does no harm."""
        nonsense: tuple[object, ...] = (None, [], "turn:192.0.2.1", {"a": 1}, 7)
        for urls in nonsense:
            self.assertEqual(self.relays(urls), [])
        names = [f"n{number}" for number in range(1000)]
        known = {name: f"198.51.{n >> 8}.{n & 255}" for n, name in enumerate(names)}
        many = self.relays([f"turns:{name}.test" for name in names], **known)
        self.assertEqual(len(many), MAX_URLS)


@implementer(IHostnameResolver)
class Answers:
    """
    A resolver that gives every name these addresses, in this order.

    :ivar asked: the names that were looked up.
    """

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.asked: list[str] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Answer at once."""
        self.asked.append(hostName)
        for host in self.hosts:
            kind = IPv6Address if ":" in host else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", host, portNumber))
        resolutionReceiver.resolutionComplete()
        return HostResolution(hostName)


class JudgedTests(NamesCase):
    """A registry on the internet that names what is nearer."""

    def found(self, host: str, *addresses: str) -> set[str]:
        """Return which addresses are sent to where a name has these."""
        resolver = Answers(*addresses)
        verifyObject(IHostnameResolver, resolver)
        self.host.reactor.installNameResolver(resolver)
        urls = [f"turn:{host}:6379?transport=tcp", f"turn:{host}:3478", f"turns:{host}"]
        relays = self.result(self.servers.relays(urls, self.registry))
        stun = self.result(self.servers.stun([f"stun:{host}"], self.registry))
        return {address[0] for address in (*stun, *(one for _, one in relays))}

    def test_near(self) -> None:
        """No name leads to this machine or its network, however it is written."""
        for host in ("localhost", "2130706433", "0x7f.1", "127.1", "router", "a.test"):
            for address in ("127.0.0.1", "10.0.0.1", "100.64.3.4", "169.254.169.254", "::1"):
                self.assertEqual(self.found(host, address), set())

    def test_disguised(self) -> None:
        """Nor does an IPv6 address that leads to an IPv4 one there."""
        for address in ("::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:c0a8:101::1", "::10.0.0.1"):
            self.assertEqual(self.found("a.test", address), set())
            self.assertEqual(self.found(f"[{address}]"), set())

    def test_mixed(self) -> None:
        """Each address is judged by itself: the first good one of a family is used."""
        mixed = "10.0.0.1", "192.0.2.1", "127.0.0.1", "192.0.2.2", "::1", "2001:db8::1"
        self.assertEqual(self.found("a.test", *mixed), {"192.0.2.1", "2001:db8::1"})

    def test_own_scope(self) -> None:
        """A registry in our network, or on our machine, may name what is there."""
        self.registry = Scope.PRIVATE
        self.assertEqual(self.found("a.test", "127.0.0.1", "10.0.0.1"), {"10.0.0.1"})
        self.registry = Scope.LOOPBACK
        self.assertEqual(self.found("localhost", "127.0.0.1"), {"127.0.0.1"})

    def test_ports(self) -> None:
        """Ports of other services are left out, whatever their host."""
        self.know({"r": "198.51.100.1"})
        ports = (22, 25, 53, 80, 443, 631, 1023, 1024, 3478)
        relays = [f"turn:r.test:{port}?transport=tcp" for port in ports]
        for urls in (relays[:5], relays[5:]):
            found = self.result(self.servers.relays(urls, self.registry))
            self.assertLessEqual({address[1] for _, address in found}, {443, 1024, 3478})
        stun = self.result(self.servers.stun([f"stun:r.test:{n}" for n in ports[:7]], Scope.GLOBAL))
        self.assertEqual(stun, [("198.51.100.1", 443)])

    def test_looked_up_once(self) -> None:
        """A name that many URLs have is looked up once, and a flood of names isn't at all."""
        resolver = Answers("192.0.2.1")
        self.host.reactor.installNameResolver(resolver)
        self.result(self.servers.relays(["turn:a.test", "turns:a.test"] * 4, self.registry))
        self.assertEqual(resolver.asked, ["a.test"])
        self.result(self.servers.stun([f"stun:n{n}.test" for n in range(1000)], self.registry))
        self.assertEqual(len(resolver.asked), 1 + MAX_UNDER_WAY)
