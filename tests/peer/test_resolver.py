"""Host names and URLs of servers to addresses."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.resolver import (
    MAX_ADDRESSES,
    MAX_PER_FAMILY,
    MAX_UNDER_WAY,
    MAX_URLS,
    RESOLVE_TIMEOUT,
    Resolver,
)
from p2pchat.wire.addresses import Address, Scope
from p2pchat.wire.servers import RelayServer, Transport, parse_turn_url
from tests.simulation.internet import Internet
from tests.simulation.resolver import HostnameResolver
from tests.simulation.world import runtime_on


class ResolverCase(SynchronousTestCase):
    """A host in a simulated internet, whose names the test gives out."""

    def setUp(self) -> None:
        self.host = Internet(1).host()
        self.resolver = Resolver(runtime_on(self.host, Random(1)))
        self.registry = Scope.GLOBAL

    def know(self, known: dict[str, str]) -> None:
        """Give names, the first labels of which are these, an address."""
        dns, dns6 = self.host.internet.dns, self.host.internet.dns6
        for name, address in known.items():
            (dns6 if ":" in address else dns)[f"{name.removesuffix('_6')}.test"] = address

    def install(self, *hosts: str | None) -> HostnameResolver:
        """Let every name have these addresses, in this order; None: let whoever asks wait."""
        known = [one for one in hosts if one is not None]
        resolver = HostnameResolver(lambda _name: known or None, self.host.reactor)
        self.host.reactor.installNameResolver(resolver)
        return resolver

    def result(self, found: Deferred[Any]) -> Any:
        """Let the resolver work, and return what was found."""
        self.host.internet.run(0.1)
        return self.successResultOf(found)


class NameTests(ResolverCase):
    """Host names to addresses of both families."""

    def addresses(self, name: str) -> list[str]:
        """Resolve a name."""
        found = self.resolver.addresses(name)
        self.host.internet.run(0.1)
        return self.successResultOf(found)

    def test_families(self) -> None:
        """A name has what it has, the IPv4 address first."""
        self.host.internet.dns.update({"both.test": "192.0.2.1", "four.test": "192.0.2.4"})
        self.host.internet.dns6.update({"both.test": "2001:db8::1", "six.test": "2001:db8::6"})
        self.assertEqual(self.addresses("both.test"), ["192.0.2.1", "2001:db8::1"])
        self.assertEqual(self.addresses("four.test"), ["192.0.2.4"])
        self.assertEqual(self.addresses("six.test"), ["2001:db8::6"])
        self.assertEqual(self.addresses("none.test"), [])

    def test_literals(self) -> None:
        """An IP literal is its own address, in its canonical form."""
        self.assertEqual(self.addresses("192.0.2.1"), ["192.0.2.1"])
        self.assertEqual(self.addresses("2001:DB8:0::1"), ["2001:db8::1"])

    def test_silence(self) -> None:
        """A resolver that doesn't answer costs RESOLVE_TIMEOUT, and its late answer nothing."""
        resolver = self.install(None)
        found = self.resolver.addresses("slow.test")
        self.host.internet.run(RESOLVE_TIMEOUT - 0.1)
        self.assertNoResult(found)
        self.host.internet.run(0.2)
        self.assertEqual(self.successResultOf(found), [])
        resolver.waiting[0].resolutionComplete()

    def test_many_addresses(self) -> None:
        """All that a name has are found, those of IPv4 first; of very many, MAX_ADDRESSES."""
        resolver = self.install(None)
        for count, expected in ((3, 6), (100, MAX_ADDRESSES)):
            found = self.resolver.addresses("many.test")
            for number in range(count):
                for host in (f"2001:db8::{number}", f"192.0.2.{number}", f"192.0.2.{number}"):
                    kind = IPv6Address if ":" in host else IPv4Address
                    resolver.waiting[-1].addressResolved(kind("TCP", host, 0))
            resolver.waiting[-1].resolutionComplete()
            hosts = self.successResultOf(found)
            self.assertEqual(len(hosts), expected)
            self.assertEqual(hosts, sorted(hosts, key=lambda host: ":" in host))

    def test_slow(self) -> None:
        """A resolver that doesn't answer isn't asked without end; it is again when it has."""
        resolver = self.install(None)
        for number in range(100):
            self.resolver.addresses(f"n{number}.test")
            self.host.internet.run(RESOLVE_TIMEOUT)
        self.assertEqual(len(resolver.waiting), MAX_UNDER_WAY)
        for receiver in resolver.waiting:
            receiver.resolutionComplete()
        self.resolver.addresses("again.test")
        self.assertEqual(len(resolver.waiting), MAX_UNDER_WAY + 1)


class StunTests(ResolverCase):
    """What can be sent to."""

    def addresses(self, urls: object, **known: str) -> list[Address]:
        """Return the addresses that these URLs name, with these names known."""
        self.know(known)
        found: list[Address] = self.result(self.resolver.stun_servers(urls, self.registry))
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

    def test_several(self) -> None:
        """The first addresses of all URLs come before the second ones, a few of each name."""
        self.install(*[f"192.0.2.{n}" for n in range(1, 9)], "2001:db8::1", "2001:db8::2")
        found = self.addresses(["stun:a.test:5001", "stun:a.test:5002"])
        hosts = [f"192.0.2.{n}" for n in range(1, MAX_PER_FAMILY + 1)]
        hosts += ["2001:db8::1", "2001:db8::2"]
        self.assertEqual(found, [(host, port) for host in hosts for port in (5001, 5002)])

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


class RelayTests(ResolverCase):
    """Relays, and where they are."""

    def relays(self, urls: object, **known: str) -> list[tuple[RelayServer, Address]]:
        """Return the relays that these URLs name, with these names known."""
        self.know(known)
        found: list[tuple[RelayServer, Address]] = self.result(
            self.resolver.relays(urls, self.registry)
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


class JudgedTests(ResolverCase):
    """A registry on the internet that names what is nearer."""

    def found(self, host: str, *addresses: str) -> set[str]:
        """Return which addresses are sent to where a name has these."""
        self.install(*addresses)
        urls = [f"turn:{host}:6379?transport=tcp", f"turn:{host}:3478", f"turns:{host}"]
        relays = self.result(self.resolver.relays(urls, self.registry))
        stun = self.result(self.resolver.stun_servers([f"stun:{host}"], self.registry))
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
        """Each address is judged by itself: the good ones are used."""
        mixed = "10.0.0.1", "192.0.2.1", "127.0.0.1", "192.0.2.2", "::1", "2001:db8::1"
        self.assertEqual(self.found("a.test", *mixed), {"192.0.2.1", "192.0.2.2", "2001:db8::1"})

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
            found = self.result(self.resolver.relays(urls, self.registry))
            self.assertLessEqual({address[1] for _, address in found}, {443, 1024, 3478})
        stun = self.result(
            self.resolver.stun_servers([f"stun:r.test:{n}" for n in ports[:7]], Scope.GLOBAL)
        )
        self.assertEqual(stun, [("198.51.100.1", 443)])

    def test_looked_up_once(self) -> None:
        """A name that many URLs have is looked up once, and a flood of names isn't at all."""
        resolver = self.install("192.0.2.1")
        self.result(self.resolver.relays(["turn:a.test", "turns:a.test"] * 4, self.registry))
        self.assertEqual(resolver.asked, ["a.test"])
        self.result(
            self.resolver.stun_servers([f"stun:n{n}.test" for n in range(1000)], self.registry)
        )
        self.assertEqual(len(resolver.asked), 1 + MAX_UNDER_WAY)
