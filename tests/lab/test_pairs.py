"""
Two peers behind every pair of NATs that can be punched: they find each other, talk and part.
"""

from __future__ import annotations

from tests.lab.case import REPETITIONS, LabTestCase
from tests.lab.conversation import connect, exchange
from tests.lab.peers import JsonPeer, Registry
from tests.lab.topology import Host, Lab


class PairTests(LabTestCase):
    """
    For each pair, either side calls the other by name, with fresh peers and NATs that have
    forgotten everything; three messages go each way, in order; one quits and the other sees it.
    """

    def talk(self, caller: JsonPeer, callee: JsonPeer) -> None:
        """Call, exchange messages, quit, and be seen to have gone."""
        for peer in (caller, callee):
            peer.wait_for("registered", 30.0)
        connect(caller, callee)
        lines = exchange(caller, callee)
        for peer in (caller, callee):
            self.assertEqual(peer.texts(), lines, peer.username)
        caller.send("/quit")
        callee.wait_for("disconnected", name=caller.username)

    def repeat(self, lab: Lab, registry: Registry, left: Host, right: Host) -> None:
        """Talk both ways round, as often as asked; names are never used twice."""
        for n in range(REPETITIONS):
            for direction in ("rightward", "leftward"):
                lab.reboot_nats()
                alice = self.start_peer(left, f"alice-{direction}-{n}", registry.url)
                bob = self.start_peer(right, f"bob-{direction}-{n}", registry.url)
                caller, callee = (alice, bob) if direction == "rightward" else (bob, alice)
                self.talk(caller, callee)
                alice.close()
                bob.close()

    def check(self, left: str, right: str) -> None:
        """Let peers behind NATs of these kinds talk."""
        lab = self.build_lab(left, right)
        self.repeat(lab, self.start_registry(lab), lab.left, lab.right)

    def test_port_restricted_and_port_restricted(self) -> None:
        """The ordinary home: both filter by address and port."""
        self.check("port-restricted", "port-restricted")

    def test_full_cone_and_symmetric(self) -> None:
        """One maps each destination anew, the other lets anyone in."""
        self.check("full-cone", "symmetric")

    def test_address_restricted_and_port_restricted(self) -> None:
        """Both must send before they may receive."""
        self.check("address-restricted", "port-restricted")

    def test_double_and_port_restricted(self) -> None:
        """A NAT behind a provider's NAT."""
        self.check("double", "port-restricted")

    def test_no_firewall_and_open(self) -> None:
        """An early check must not take the mapping of a NAT without a firewall: from no NAT."""
        self.check("no-firewall", "open")

    def test_no_firewall_and_full_cone(self) -> None:
        """Nor from a full cone."""
        self.check("no-firewall", "full-cone")

    def test_no_firewall_and_address_restricted(self) -> None:
        """Nor from an address-restricted NAT."""
        self.check("no-firewall", "address-restricted")

    def test_no_firewall_and_port_restricted(self) -> None:
        """Nor from a port-restricted NAT."""
        self.check("no-firewall", "port-restricted")

    def test_no_firewall_and_no_firewall(self) -> None:
        """Nor from another of the same kind."""
        self.check("no-firewall", "no-firewall")

    def test_no_firewall_and_double(self) -> None:
        """Nor from behind two NATs, whose datagrams have fewer hops left."""
        self.check("no-firewall", "double")

    def test_same_nat(self) -> None:
        """Two peers behind one NAT, which does not turn datagrams back in."""
        lab = self.build_lab("port-restricted", hosts=2)
        self.repeat(lab, self.start_registry(lab), *lab.left_site.hosts)
