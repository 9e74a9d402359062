"""Tests for `tests.simulation.nat`: the behaviours of RFC 4787."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.allocation import (
    PreservingAllocation,
    RandomAllocation,
    SequentialAllocation,
)
from tests.simulation.behaviour import NAT_KINDS, Behaviour
from tests.simulation.internet import Internet
from tests.simulation.nat import Nat
from tests.simulation.network import Address
from tests.simulation.recorder import Recorder

EIM, ADM, APDM = Behaviour
INSIDE_PORT = 5000
ONE, TWO = "203.0.113.1", "203.0.113.2"  # two strangers, two ports each


class Neighbourhood(SynchronousTestCase):
    """One host behind one NAT, and four public endpoints at two addresses."""

    def setUp(self) -> None:
        self.internet = Internet(seed=1)
        self.outside = {
            (address, port): Recorder.on(host, port)
            for address in (ONE, TWO)
            for host in [self.internet.host(address)]
            for port in (10, 20)
        }

    def build(self, **options: Any) -> Nat:
        """Put the NAT and the host there."""
        self.nat = self.internet.nat(**options)
        self.host = self.internet.host(behind=self.nat)
        self.inside = Recorder.on(self.host, INSIDE_PORT)
        return self.nat

    def mapped(self, remote: Address, ttl: int | None = None) -> Address:
        """Send out, and return the source that the remote endpoint sees."""
        self.inside.send(b"out", remote, ttl)
        self.internet.run(1)
        return self.outside[remote].sources[-1]

    def reaches(self, remote: Address, public: Address) -> bool:
        """Tell whether a datagram from there to a public endpoint comes in."""
        before = len(self.inside.received)
        self.outside[remote].send(b"in", public)
        self.internet.run(1)
        return self.inside.sources[before:] == [remote]


class BehaviourTests(Neighbourhood):
    """All nine kinds."""

    def test_mapping(self) -> None:
        """A mapping is the same for all destinations that its behaviour treats alike."""
        distinct = {EIM: 1, ADM: 2, APDM: 4}
        for kind in NAT_KINDS:
            self.build(kind=kind)
            seen = {self.mapped(remote) for remote in self.outside}
            self.assertEqual(distinct[kind.mapping], len(seen), kind)
            self.assertEqual({self.nat.address}, {address for address, _ in seen})
            self.assertEqual(self.mapped((ONE, 10)), self.mapped((ONE, 10)))

    def test_filtering(self) -> None:
        """A filter admits whom its behaviour treats like those already sent to."""
        admitted = {EIM: 4, ADM: 2, APDM: 1}
        for kind in NAT_KINDS:
            self.build(kind=kind)
            public = self.mapped((ONE, 10))
            count = sum(self.reaches(remote, public) for remote in self.outside)
            self.assertEqual(admitted[kind.filtering], count, kind)

    def test_filter_belongs_to_the_endpoint(self) -> None:
        """
        A remote endpoint once sent to comes in by every mapping of the internal endpoint
        (RFC 4787 section 5), and by none of another's.
        """
        self.build(mapping=APDM, filtering=APDM)
        first, _ = self.mapped((ONE, 10)), self.mapped((TWO, 20))
        self.assertTrue(self.reaches((TWO, 20), first))
        other = Recorder.on(self.internet.host(behind=self.nat))
        other.send(b"out", (TWO, 10))
        self.internet.run(1)
        self.assertFalse(self.reaches((TWO, 20), self.outside[TWO, 10].sources[-1]))

    def test_unmapped_port(self) -> None:
        """What comes to a port that is not mapped is swallowed."""
        self.build(filtering=EIM)
        self.assertFalse(self.reaches((ONE, 10), (self.nat.address, 9)))
        self.assertEqual(1, self.internet.fates["filtered"])


class LifetimeTests(Neighbourhood):
    """How long a NAT remembers."""

    def test_expiry(self) -> None:
        """A mapping unused for its lifetime is gone, and a new one has another port."""
        self.build(expiry=30.0)
        public = self.mapped((ONE, 10))
        self.internet.run(28)
        self.assertTrue(self.reaches((ONE, 10), public))
        self.internet.run(1)
        self.assertFalse(self.reaches((ONE, 10), public))
        self.assertNotEqual(public, self.mapped((ONE, 10)))

    def test_outbound_refreshes(self) -> None:
        """Only outbound traffic refreshes (RFC 4787 REQ-6)."""
        self.build(expiry=30.0)
        public = self.mapped((ONE, 10))
        self.internet.run(20)
        self.assertEqual(public, self.mapped((ONE, 10)))
        self.internet.run(20)
        self.assertTrue(self.reaches((ONE, 10), public))
        self.internet.run(20)
        self.assertFalse(self.reaches((ONE, 10), public))

    def test_filter_expires_alone(self) -> None:
        """Traffic to one remote keeps the mapping alive, not the filter for another."""
        self.build(expiry=30.0)
        public = self.mapped((ONE, 10))
        self.internet.run(20)
        self.assertEqual(public, self.mapped((TWO, 10)))
        self.internet.run(10)
        self.assertFalse(self.reaches((ONE, 10), public))
        self.assertTrue(self.reaches((TWO, 10), public))

    def test_reboot(self) -> None:
        """A NAT that reboots forgets everything, and allocates other ports afterwards."""
        self.build()
        public = self.mapped((ONE, 10))
        self.nat.reboot()
        self.assertFalse(self.reaches((ONE, 10), public))
        self.assertNotEqual(public, self.mapped((ONE, 10)))

    def test_new_address(self) -> None:
        """After a change of address datagrams leave from, and arrive at, the new one."""
        self.build()
        old = self.mapped((ONE, 10))
        self.nat.address = "192.0.2.77"
        self.assertFalse(self.reaches((ONE, 10), old))
        new = self.mapped((ONE, 10))
        self.assertEqual("192.0.2.77", new[0])
        self.assertTrue(self.reaches((ONE, 10), new))

    def test_offline(self) -> None:
        """An offline NAT lets nothing through; its mappings survive."""
        self.build()
        public = self.mapped((ONE, 10))
        self.nat.online = False
        self.assertFalse(self.reaches((ONE, 10), public))
        self.nat.online = True
        self.assertTrue(self.reaches((ONE, 10), public))


class AllocationTests(Neighbourhood):
    """How ports are chosen."""

    def test_preserving(self) -> None:
        """The first keeps its port; a second host with the same port gets another."""
        self.build(port_preservation=True)
        second = Recorder.on(self.internet.host(behind=self.nat), INSIDE_PORT)
        self.assertEqual((self.nat.address, INSIDE_PORT), self.mapped((ONE, 10)))
        second.send(b"out", (ONE, 10))
        self.internet.run(1)
        self.assertNotEqual(INSIDE_PORT, self.outside[ONE, 10].sources[-1][1])

    def test_sequential(self) -> None:
        """Each new mapping has the port one step further."""
        self.build(mapping=APDM, allocation=SequentialAllocation(step=2, last=40000))
        ports = [self.mapped(remote)[1] for remote in self.outside]
        self.assertEqual([40002, 40004, 40006, 40008], ports)

    def test_sequential_wraps(self) -> None:
        """After 65535 comes 1024."""
        wishes = SequentialAllocation(last=65534).wishes(1, Random(1))
        self.assertEqual([65535, 1024, 1025], list(islice(wishes, 3)))

    def test_random(self) -> None:
        """Random ports are all over the range, and the same for the same seed."""
        drawn = [list(islice(RandomAllocation().wishes(1, Random(9)), 500)) for _ in range(2)]
        self.assertEqual(drawn[0], drawn[1])
        self.assertTrue(1024 <= min(drawn[0]) < 3000 and 63000 < max(drawn[0]) <= 65535)

    def test_preserving_falls_back(self) -> None:
        """The internal port is wished for once."""
        wishes = list(islice(PreservingAllocation().wishes(77, Random(1)), 5))
        self.assertEqual(77, wishes[0])
        self.assertNotIn(77, wishes[1:])


class TopologyTests(Neighbourhood):
    """Several hosts, several NATs, and who reaches whom."""

    def test_same_lan(self) -> None:
        """Hosts behind one NAT reach each other directly, by private address."""
        self.build()
        neighbour = Recorder.on(self.internet.host(behind=self.nat), 6000)
        self.inside.send(b"x", neighbour_address := (neighbour_host(neighbour), 6000))
        elapsed = self.internet.run_until(lambda: neighbour.received)
        self.assertLess(elapsed, 0.001)
        self.assertEqual([(self.host.address, INSIDE_PORT)], neighbour.sources)
        self.assertNotEqual(self.nat.address, neighbour_address[0])

    def test_other_lan(self) -> None:
        """Private addresses of another LAN are unreachable."""
        self.build()
        stranger = self.internet.host(behind=self.internet.nat())
        heard = Recorder.on(stranger, 6000)
        self.inside.send(b"x", (stranger.address, 6000))
        self.internet.run(1)
        self.assertEqual([], heard.received)
        self.assertEqual(1, self.internet.fates["no route"])

    def test_hairpinning(self) -> None:
        """Hosts behind one NAT reach each other by public endpoint only if it hairpins."""
        for hairpinning in (False, True):
            self.build(hairpinning=hairpinning, filtering=EIM)
            neighbour = Recorder.on(self.internet.host(behind=self.nat))
            neighbour.send(b"out", (ONE, 20))
            public = self.mapped((ONE, 10))
            self.inside.send(b"x", self.outside[ONE, 20].sources[-1])
            self.internet.run(1)
            self.assertEqual([public] if hairpinning else [], neighbour.sources)

    def test_double_nat(self) -> None:
        """Behind two NATs the outer one's address is seen, and both filters count."""
        carrier = self.internet.nat()
        self.build(behind=carrier, filtering=EIM)
        public = self.mapped((ONE, 10))
        self.assertEqual(carrier.address, public[0])
        self.assertTrue(self.reaches((ONE, 10), public))
        self.assertFalse(self.reaches((TWO, 10), public))

    def test_carrier_grade(self) -> None:
        """Two homes behind one carrier meet at the carrier's inside addresses, or by hairpin."""
        carrier = self.internet.nat(hairpinning=True, filtering=EIM)
        self.build(behind=carrier, filtering=EIM)
        other_nat = self.internet.nat(behind=carrier, filtering=EIM)
        other = Recorder.on(self.internet.host(behind=other_nat))
        public = self.mapped((ONE, 10))
        other.send(b"by hairpin", public)
        self.internet.run(1)
        self.assertEqual([carrier.address], [address for address, _ in self.inside.sources])
        self.inside.send(b"out", (other_nat.address, 1))
        other.send(b"inside", (self.nat.address, 1))
        self.internet.run(1)
        self.assertEqual(2, self.internet.fates["filtered"])

    def test_two_hosts(self) -> None:
        """Two hosts with the same port have two mappings."""
        self.build()
        second = Recorder.on(self.internet.host(behind=self.nat), INSIDE_PORT)
        first = self.mapped((ONE, 10))
        second.send(b"out", (ONE, 10))
        self.internet.run(1)
        self.assertNotEqual(first, self.outside[ONE, 10].sources[-1])


def neighbour_host(recorder: Recorder) -> str:
    """Return the address of the host that a recorder runs on."""
    return recorder.transport.host.address


class TTLTests(Neighbourhood):
    """Where a datagram with a small TTL ends."""

    def test_own_nat(self) -> None:
        """A TTL of 1 ends at the own NAT, which maps nothing."""
        self.build()
        self.inside.send(b"x", (ONE, 10), ttl=1)
        self.internet.run(1)
        self.assertEqual(0, len(self.nat.mappings))

    def test_opens_without_arriving(self) -> None:
        """With 2, 3 or 4 it opens the own NAT and never reaches the other side; 5 is enough."""
        for ttl in (2, 3, 4):
            self.build()
            self.inside.send(b"x", (ONE, 10), ttl)
            self.internet.run(1)
            self.assertEqual(1, len(self.nat.mappings), ttl)
            self.assertEqual([], self.outside[ONE, 10].received)
        self.mapped((ONE, 10), ttl=5)

    def test_far_nat(self) -> None:
        """Behind a NAT of its own the other host is one further."""
        self.build(filtering=EIM)
        public = self.mapped((ONE, 10))
        far = Recorder.on(self.internet.host(behind=self.internet.nat()))
        far.send(b"x", public, ttl=5)
        self.internet.run(1)
        self.assertEqual([], self.inside.received)
        far.send(b"x", public, ttl=6)
        self.internet.run(1)
        self.assertEqual(1, len(self.inside.received))


class GivenAwayTests(Neighbourhood):
    """A Linux NAT that lets strangers' packets reach the box itself."""

    def test_stranger_takes_the_port(self) -> None:
        """A check that comes too early sends ours to another port, for that stranger only."""
        self.build(port_preservation=True, firewall=False)
        public = self.mapped((TWO, 10))
        self.assertFalse(self.reaches((ONE, 10), public))
        moved = self.mapped((ONE, 10))
        self.assertNotEqual(public, moved)
        self.assertEqual(public, self.mapped((TWO, 20)))
        self.assertEqual(moved, self.mapped((ONE, 10)))

    def test_both_ports_afterwards(self) -> None:
        """The stranger still speaks with the box at the old port; at the new one, with us."""
        self.build(port_preservation=True, firewall=False)
        public = self.mapped((TWO, 10))
        self.reaches((ONE, 10), public)
        moved = self.mapped((ONE, 10))
        self.assertFalse(self.reaches((ONE, 10), public))
        self.assertTrue(self.reaches((ONE, 10), moved))

    def test_before_any_mapping(self) -> None:
        """The same, when the stranger came before the first datagram from inside."""
        self.build(port_preservation=True, firewall=False)
        self.reaches((ONE, 10), (self.nat.address, INSIDE_PORT))
        self.assertNotEqual(INSIDE_PORT, self.mapped((ONE, 10))[1])
        self.assertEqual(INSIDE_PORT, self.mapped((ONE, 20))[1])

    def test_expires(self) -> None:
        """After 30 s without a datagram the port is ours again."""
        self.build(port_preservation=True, firewall=False)
        public = self.mapped((TWO, 10))
        self.reaches((ONE, 10), public)
        self.internet.run(30)
        self.assertEqual(public, self.mapped((ONE, 10)))

    def test_firewall_protects(self) -> None:
        """With a firewall nothing is given away."""
        self.build(port_preservation=True)
        public = self.mapped((TWO, 10))
        self.reaches((ONE, 10), public)
        self.assertEqual(public, self.mapped((ONE, 10)))

    def test_every_kind(self) -> None:
        """Whatever the mapping, a refused stranger is answered from another port."""
        for mapping in Behaviour:
            self.build(mapping=mapping, port_preservation=True, firewall=False)
            public = self.mapped((TWO, 10))
            self.assertFalse(self.reaches((ONE, 10), public))
            moved = self.mapped((ONE, 10))
            self.assertNotEqual(public, moved)
            self.assertTrue(self.reaches((ONE, 10), moved))

    def test_low_ttl_cures(self) -> None:
        """A first check that never arrives opens our filter and gives nothing away there."""
        self.build(port_preservation=True, firewall=False)
        far_nat = self.internet.nat(port_preservation=True, firewall=False)
        far = Recorder.on(self.internet.host(behind=far_nat), 7000)
        for low in (None, 4):
            self.nat.reboot()
            far_nat.reboot()
            self.inside.send(b"first", (far_nat.address, 7000), low)
            self.internet.run(1)
            far.send(b"second", (self.nat.address, INSIDE_PORT))
            self.internet.run(1)
            kept = self.inside.sources[-1:] == [(far_nat.address, 7000)]
            self.assertEqual(low is not None, kept)
