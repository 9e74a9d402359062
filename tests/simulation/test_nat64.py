"""Whole peers in networks of IPv6 alone, whose NAT64 leads to an internet of IPv4."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.wire.nat64 import WELL_KNOWN_NAME, Nat64Prefix
from tests.cases import each
from tests.simulation.behaviour import Behaviour, NatKind
from tests.simulation.host import Host
from tests.simulation.link import Link
from tests.simulation.world import HTTP_PORT, REGISTRY, Person, World

CONE = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
RANDOM = NatKind(Behaviour.ADDRESS_AND_PORT_DEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
PREFIX = Nat64Prefix(bytes.fromhex("20010db80064006400000000"))
OTHER = Nat64Prefix(bytes.fromhex("20010db80065006500000000"))
WELL_KNOWN = Nat64Prefix(bytes.fromhex("0064ff9b0000000000000000"))


class Nat64Case(SynchronousTestCase):
    """A registry with a name and IPv4 addresses, and a relay."""

    def setUp(self) -> None:
        self.world = World(7, Link(latency=0.02), relay=True, ipv6=True)
        self.world.internet.dns6.clear()

    def host(self, kind: NatKind = CONE) -> Host:
        """Return a host of an IPv4 network behind a NAT."""
        return self.world.internet.host(behind=self.world.nat(kind))

    def mobile(self, kind: NatKind = CONE, prefix: Nat64Prefix = PREFIX) -> Host:
        """Return a host of a network of IPv6 alone."""
        host = self.host(kind)
        self.enter_nat64(host, prefix)
        return host

    def enter_nat64(self, host: Host, prefix: Nat64Prefix = PREFIX) -> None:
        """Let the network of a host have IPv6 alone from now on."""
        host.give_ipv6(f"2001:db8:1::{len(self.world.internet.hosts)}", firewall=True)
        host.give_nat64(prefix)

    def start(self, host: Host, name: str, server: str = "") -> Person:
        """Start somebody, and await the registration."""
        person = self.world.start_on(host, name, server=server or self.world.url)
        self.world.wait(lambda: person.events(events.Registered), 10, "registered")
        self.world.internet.run(2.0)
        return person

    def talk(self, alice: Person, bob: Person) -> set[str]:
        """Let two people talk; return the kinds of candidates that their path has."""
        self.world.connect(alice, bob)
        alice.say("over to you", bob)
        bob.say("and back", alice)
        self.world.wait(lambda: alice.texts() and bob.texts(), 10, "lines")
        self.world.internet.run(2.0)
        path = alice.events(events.PathFound)[-1]
        return {path.local, path.remote}


class Nat64Tests(Nat64Case):
    """Who has IPv6 alone reaches whom IPv4 reaches."""

    @each((False, PREFIX), (True, PREFIX), (False, WELL_KNOWN), (True, WELL_KNOWN))
    def test_with_ipv4(self, swapped: bool, prefix: Nat64Prefix) -> None:
        """A host behind a NAT64 and one of an IPv4 network meet directly, whoever calls."""
        people = [
            self.start(self.mobile(prefix=prefix), "alice"),
            self.start(self.host(), "bob"),
        ]
        self.assertNotIn("relay", self.talk(*(reversed(people) if swapped else people)))

    def test_hard_nat(self) -> None:
        """A NAT64 of random ports is punched through as any other NAT of that kind."""
        alice, bob = self.start(self.mobile(RANDOM), "alice"), self.start(self.host(), "bob")
        self.assertNotIn("relay", self.talk(alice, bob))

    def test_both(self) -> None:
        """Two behind NAT64s, and with IPv6 that leads nowhere else, meet directly."""
        hosts = [self.mobile(), self.mobile()]
        for host in hosts:
            self.world.internet.public.detach(host.ipv6)
        alice, bob = self.start(hosts[0], "alice"), self.start(hosts[1], "bob")
        self.assertNotIn("relay", self.talk(alice, bob))

    def test_literal(self) -> None:
        """A registry that is named by an IPv4 address is reached, and named by it."""
        self.world = World(8)
        server = f"http://{REGISTRY[0]}:{HTTP_PORT}"
        alice = self.start(self.mobile(), "alice", server)
        self.assertEqual(alice.events(events.RegistryLost), [])
        self.assertNotIn("relay", self.talk(alice, self.start(self.host(), "bob")))

    def test_relay_over_tcp(self) -> None:
        """Where the NAT64 lets no UDP through, a relay is reached over TCP."""
        host = self.mobile()
        gateway = host.network.gateway
        assert gateway is not None
        gateway.udp = False
        alice, bob = self.start(host, "alice"), self.start(self.host(), "bob")
        self.assertIn("relay", self.talk(alice, bob))

    def test_roaming(self) -> None:
        """A conversation goes on from an IPv4 network to one of IPv6 alone, and back."""
        alice, bob = self.start(self.host(), "alice"), self.start(self.host(), "bob")
        self.talk(alice, bob)
        alice.host.move(behind=self.world.nat(CONE))
        self.enter_nat64(alice.host)
        alice.say("from the train", bob)
        self.world.wait(lambda: "from the train" in bob.texts(), 20, "a line by the NAT64")
        alice.host.take_ipv6()
        alice.host.move(behind=self.world.nat(CONE))
        alice.say("home again", bob)
        self.world.wait(lambda: "home again" in bob.texts(), 20, "a line over IPv4")

    def test_replaced(self) -> None:
        """Where the prefix is another one, the conversation goes on, and others are reached."""
        alice, bob = self.start(self.mobile(), "alice"), self.start(self.host(), "bob")
        self.talk(alice, bob)
        alice.host.nat64 = OTHER
        alice.say("under another prefix", bob)
        self.world.wait(lambda: "under another prefix" in bob.texts(), 10, "a line")
        self.world.internet.run(5.0)
        self.assertNotIn("relay", self.talk(alice, self.start(self.host(), "carol")))

    @each(3.0, 60.0)
    def test_late(self, after: float) -> None:
        """A NAT64 that comes late is found, at the latest when somebody is called."""
        host = self.host()
        addresses = host.addresses
        host.give_ipv6("2001:db8:1::77", firewall=True)
        host.network.detach(addresses)
        host.addresses = ()
        alice = self.world.start_on(host, "alice", server=self.world.url)
        self.world.internet.run(after)
        host.addresses = addresses
        host.network.attach(host, addresses)
        host.give_nat64(PREFIX)
        self.world.wait(lambda: alice.events(events.Registered), 13, "registered")
        bob = self.start(self.host(), "bob")
        self.assertNotIn("relay", self.talk(alice, bob))

    def test_no_nat64(self) -> None:
        """Where name servers make up no address the peer looks again, ever more rarely."""
        host = self.host()
        host.give_ipv6("2001:db8:1::77", firewall=True)
        host.network.detach(host.addresses)
        host.addresses = ()
        person = self.world.start_on(host, "alice")
        self.world.internet.run(120.0)
        asked = host.reactor.nameResolver.asked.count(WELL_KNOWN_NAME)  # type: ignore[attr-defined]
        self.assertTrue(4 <= asked <= 8, asked)
        self.assertFalse(person.events(events.Registered))
