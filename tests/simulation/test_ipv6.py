"""Whole peers on dual-stack hosts, and where one of the two has one family only."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.connection_report import Reason
from tests.cases import each
from tests.simulation.behaviour import Behaviour, NatKind
from tests.simulation.host import Host
from tests.simulation.link import Link
from tests.simulation.world import HTTP_PORT, REGISTRY6, Person, World

RANDOM = NatKind(Behaviour.ADDRESS_AND_PORT_DEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
CONE = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)


class IPv6Case(SynchronousTestCase):
    """A registry, and perhaps a relay, with addresses of both families."""

    def setUp(self) -> None:
        self.world = World(7, Link(latency=0.02), relay=True, ipv6=True)

    def host(self, ipv4: bool, ipv6: bool, nat: NatKind | None = CONE) -> Host:
        """Return a host, behind a NAT in IPv4 and a firewall in IPv6."""
        internet = self.world.internet
        host = internet.host(behind=self.world.nat(nat))
        if not ipv4:
            host.network.detach(host.addresses)
            host.addresses = ()
        if ipv6:
            host.give_ipv6(f"2001:db8:1::{len(internet.hosts)}", firewall=True)
        return host

    def meet(self, left: Host, right: Host) -> tuple[Person, Person]:
        """Let people on these hosts talk, a line each way; return them."""
        alice, bob = (
            self.world.start_on(host, name) for host, name in ((left, "alice"), (right, "bob"))
        )
        self.world.wait(
            lambda: all(one.events(events.Registered) for one in (alice, bob)), 10, "registered"
        )
        self.world.internet.run(2.0)
        self.world.connect(alice, bob)
        alice.say("over to you", bob)
        bob.say("and back", alice)
        self.world.wait(lambda: alice.texts() and bob.texts(), 10, "lines")
        self.world.internet.run(2.0)
        return alice, bob

    def path(self, person: Person) -> events.PathFound:
        """Return the path in use."""
        return person.events(events.PathFound)[-1]

    def version(self, person: Person) -> int:
        """Return the family of the path in use."""
        return ip_address(self.path(person).address.rpartition(":")[0].strip("[]")).version


class DualStackTests(IPv6Case):
    """Both have both."""

    def test_hard_nats(self) -> None:
        """Where both IPv4 NATs are random, IPv6 joins them directly, through both firewalls."""
        people = self.meet(self.host(True, True, RANDOM), self.host(True, True, RANDOM))
        for one in people:
            self.assertEqual(self.version(one), 6)
            self.assertNotIn("relay", {self.path(one).local, self.path(one).remote})

    @each(("ipv4", 6), ("ipv6", 4))
    def test_better_time(self, slow: str, version: int) -> None:
        """Of the two families the one with the clearly shorter round-trip time is used."""
        hosts = self.host(True, True), self.host(True, True)
        delayed = Link(latency=0.1)
        for host in hosts:
            gate = host.network.gateway if slow == "ipv4" else host.firewall
            assert gate is not None
            gate.link = delayed
        for one in self.meet(*hosts):
            self.assertEqual(self.version(one), version)


class MixedTests(IPv6Case):
    """One has less than the other."""

    def test_ipv6_only(self) -> None:
        """Two hosts without IPv4 register, call and talk over IPv6."""
        for one in self.meet(self.host(False, True), self.host(False, True)):
            self.assertEqual(self.version(one), 6)

    def test_literal(self) -> None:
        """A registry may be named by its IPv6 address."""
        server = f"http://[{REGISTRY6}]:{HTTP_PORT}"
        person = self.world.start_on(self.host(False, True), "alice", server=server)
        self.world.wait(lambda: person.events(events.Registered), 10, "registered")
        self.world.internet.run(1.0)
        self.assertEqual(person.node.nat().mapping, "none")

    @each((True, False), (False, True))
    def test_with_dual_stack(self, ipv4: bool, ipv6: bool) -> None:
        """A host with one family meets one with both in the family that they share."""
        people = self.meet(self.host(ipv4, ipv6), self.host(True, True))
        for one in people:
            self.assertEqual(self.version(one), 4 if ipv4 else 6)
            self.assertNotIn("relay", {self.path(one).local, self.path(one).remote})

    @each(False, True)
    def test_no_family_shared(self, swapped: bool) -> None:
        """IPv4-only with IPv6-only goes over the relay, whoever calls."""
        hosts = [self.host(True, False), self.host(False, True)]
        for one in self.meet(*(reversed(hosts) if swapped else hosts)):
            self.assertIn("relay", {self.path(one).local, self.path(one).remote})

    def test_words(self) -> None:
        """Nothing is said to be sent where it can't leave, and it is said what the two lack."""
        alice, bob = self.meet(self.host(True, False), self.host(False, True))
        self.world.internet.run(30)
        for one, other in ((alice, bob), (bob, alice)):
            report = one.node.why(other.node.peer_id)
            checked = [pair.address for pair in report.attempts[-1].pairs if not pair.over]
            self.assertFalse(
                [where for where in checked if where.startswith("[") is (one is alice)]
            )
            self.assertEqual(report.verdict.reason, Reason.NO_FAMILY.value)

    def test_broken_ipv6(self) -> None:
        """An IPv6 address that leads nowhere doesn't keep a host from talking over IPv4."""
        broken = self.host(True, True)
        assert broken.firewall is not None
        self.world.internet.public.detach(broken.ipv6)
        self.world.internet.public.attach(self.world.internet.host(), ["2001:db8:dead::1"])
        alice, _ = self.meet(broken, self.host(True, True))
        self.assertEqual(self.version(alice), 4)


class ChangingTests(IPv6Case):
    """IPv6 comes and goes under a conversation."""

    def test_lost(self) -> None:
        """When IPv6 goes, the conversation goes on over IPv4; a line said meanwhile arrives."""
        alice, bob = self.meet(self.host(True, True, RANDOM), self.host(True, True))
        alice.host.take_ipv6()
        alice.say("still there?", bob)
        self.world.wait(lambda: "still there?" in bob.texts(), 10, "the line over IPv4")

    def test_found(self) -> None:
        """When IPv6 comes, a conversation over the relay moves to it."""
        alice, bob = self.meet(self.host(True, False, RANDOM), self.host(True, True, RANDOM))
        self.assertIn("relay", {self.path(alice).local, self.path(alice).remote})
        alice.host.give_ipv6("2001:db8:2::9", firewall=True)
        self.world.wait(lambda: self.version(alice) == 6, 30, "a path over IPv6")
        alice.say("better", bob)
        self.world.wait(lambda: "better" in bob.texts(), 10, "a line")
