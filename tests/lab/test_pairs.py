"""
Two peers behind every pair of NATs that can be punched: they find each other, talk and part.
"""

from __future__ import annotations

from tests.lab.case import PairTestCase


class PairTests(PairTestCase):
    """Without any relay, so that every path is direct."""

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
        self.repeat(lab, self.start_registry(lab), (lab.left_site.hosts[0], lab.left_site.hosts[1]))
