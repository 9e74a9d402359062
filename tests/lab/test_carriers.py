"""
Two homes behind one carrier's NAT, and two peers in one home: by which addresses they meet.
"""

from __future__ import annotations

from tests.lab.case import PairTestCase
from tests.lab.conversation import DIRECT, RELAYED, connect, exchange, is_local
from tests.lab.peers import Registry
from tests.lab.probe import Probe, lets_in, mapping
from tests.lab.topology import CARRIER_INSIDE, Lab

HOMES = ("port-restricted", "port-restricted")


class BoxTests(PairTestCase):
    """The lab's carriers are what they are called."""

    def probes(self, carrier: str) -> tuple[Lab, Probe, Probe, Probe]:
        """Return a lab, its server's socket, and one in each of two homes."""
        lab = self.build_lab(carrier, homes=HOMES)
        server = Probe.open(lab.server, lab.server.address, 7000)
        one, two = (
            Probe.open(host, port=port)
            for host, port in zip(lab.left_site.hosts, (4900, 4901), strict=True)
        )
        return lab, server, one, two

    def test_hairpinning(self) -> None:
        """Each home reaches the other at the carrier's mapped address, and is seen there."""
        lab, server, one, two = self.probes("hairpinning")
        public = lab.left_site.nat[0].address
        self.assertEqual(mapping(one, server), (public, 4900))
        self.assertEqual(mapping(two, server), (public, 4901))
        self.assertFalse(lets_in(one, (public, 4901), two), "the home filters")
        two.send((public, 4900))
        self.assertEqual(one.receive(), ("probe", (public, 4901)), "the first has sent there")
        one.send((public, 4901))
        self.assertEqual(two.receive(), ("probe", (public, 4900)))

    def test_no_hairpinning(self) -> None:
        """Nothing comes back in, in silence; nor does the inside network lead to the other."""
        lab, server, one, two = self.probes("carrier")
        public = lab.left_site.nat[0].address
        self.assertEqual({mapping(one, server)[0], mapping(two, server)[0]}, {public})
        for _ in range(2):
            self.assertFalse(lets_in(one, (public, 4901), two))
            self.assertFalse(lets_in(two, (public, 4900), one))

    def test_inside_network(self) -> None:
        """The homes' boxes reach each other at addresses that no peer is told."""
        _, _, one, two = self.probes("carrier")
        first, second = (str(CARRIER_INSIDE[2 + n]) for n in range(2))
        self.assertFalse(lets_in(one, (second, 4901), two), "the home filters")
        two.send((first, 4900))
        self.assertEqual(one.receive(), ("probe", (second, 4901)), "the first has sent there")


class CarrierTests(PairTestCase):
    """Two homes behind one carrier's NAT talk, whoever calls."""

    def meet(self, carrier: str, kind: str, relay: bool = True) -> None:
        """Let the homes talk, over a path of this kind in the end."""
        lab = self.build_lab(carrier, homes=HOMES)
        registry = self.start_registry(lab, self.start_relay(lab) if relay else None)
        one, two = lab.left_site.hosts
        self.repeat(lab, registry, (one, two), kind)

    def test_hairpinning(self) -> None:
        """With hairpinning they meet at the carrier's mapped addresses: no relay is needed."""
        self.meet("hairpinning", DIRECT, relay=False)

    def test_no_hairpinning(self) -> None:
        """Without, they talk over the relay."""
        self.meet("carrier", RELAYED)


class SameNatTests(PairTestCase):
    """Two peers behind one NAT."""

    def check_local(self, kind: str) -> None:
        """They use their local addresses, and none of what they say passes the NAT."""
        lab = self.build_lab(kind, hosts=2)
        registry: Registry = self.start_registry(lab)
        names = zip(lab.left_site.hosts, ("alice", "bob"), strict=True)
        alice, bob = (self.start_peer(host, name, registry.url) for host, name in names)
        for peer in (alice, bob):
            peer.wait_for("registered")
        connect(alice, bob)
        exchange(alice, bob)
        for peer in (alice, bob):
            peer.await_last("path", is_local)

    def test_ordinary(self) -> None:
        """One that doesn't turn datagrams back in."""
        self.check_local("port-restricted")

    def test_hairpinning(self) -> None:
        """One that does: the local way is chosen all the same."""
        self.check_local("hairpinning")
