"""Many interfaces: the real one is the last in the list, and still leads out."""

from __future__ import annotations

import json

from tests.lab.case import LabTestCase
from tests.lab.interfaces import Bridges, add_bridges, remove_bridge
from tests.lab.machines import Host
from tests.lab.probe import Probe, mapping


class BridgeTests(LabTestCase):
    """Hosts with bridges."""

    def listed(self, host: Host) -> dict[str, bool]:
        """Return the names of the host's interfaces, in the system's order; is there a carrier?"""
        found = json.loads(host.run(["ip", "-json", "link"], 10))
        return {one["ifname"]: "LOWER_UP" in one["flags"] for one in found}

    def test_order(self) -> None:
        """Twenty bridges without a carrier stand before the interface that leads out."""
        lab = self.build_lab("port-restricted")
        add_bridges(lab.left, Bridges(20))
        names = [f"br-{n}" for n in range(20)]
        found = self.listed(lab.left)
        self.assertEqual([*found], ["lo", *names, "eth0"])
        self.assertEqual([name for name in names if found[name]], [])
        outside = Probe.open(lab.server, lab.server.address)
        self.assertEqual(mapping(Probe.open(lab.left, port=4000), outside)[1], 4000)

    def test_neighbours(self) -> None:
        """With neighbours they have a carrier, with IPv6 two addresses; one can go."""
        lab = self.build_lab("port-restricted")
        add_bridges(lab.left, Bridges(3, network=18, ipv6=True, neighbours=True))
        remove_bridge(lab.left, 1)
        found = self.listed(lab.left)
        self.assertEqual((found["br-0"], found["br-2"], "br-1" in found), (True, True, False))
        addresses = lab.left.run(["ip", "address", "show", "dev", "br-0"], 10)
        for expected in ("172.18.0.1/24", "fd18::1/64"):
            self.assertIn(expected, addresses)
