"""
A network with IPv6 alone behind a NAT64: programs reach IPv4 by names, and peers reach each other.
"""

from __future__ import annotations

import sys

from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, await_path, connect, exchange
from tests.lab.ipv6 import reason_without_ipv6
from tests.lab.nat64 import PREFIX, PROGRAM, Nat64
from tests.lab.peers import fetch

RESOLVE = """\
import socket, sys
print(*sorted({found[4][0] for found in socket.getaddrinfo(sys.argv[1], None, socket.AF_INET6)}))
"""
REGISTRY = "registry.lab"


class Nat64Tests(LabTestCase):
    """A left host with IPv6 alone, and a registry that has IPv4 alone."""

    if reason_without_ipv6():
        skip = reason_without_ipv6()

    def setUp(self) -> None:
        self.require(PROGRAM)
        self.lab = self.build_lab("port-restricted", "port-restricted")
        self.registry = self.start_registry(self.lab, name=REGISTRY)
        zone = {REGISTRY: [self.lab.server.address]}
        nat64 = Nat64(self.lab.left.nat[0].machine(), self.lab.left, zone)
        self.addCleanup(nat64.close)
        nat64.start()

    def test_programs(self) -> None:
        """Names have addresses of the NAT64, and these lead to where they should."""
        left = self.lab.left
        for name, expected in (
            (REGISTRY, f"{PREFIX}cb00:710a"),
            ("ipv4only.arpa", f"{PREFIX}c000:aa {PREFIX}c000:ab"),
        ):
            self.assertEqual(left.run([sys.executable, "-c", RESOLVE, name], 10).strip(), expected)
        self.assertIn("{", fetch(left, f"{self.registry.url_by_name}/peers"))

    def test_peers(self) -> None:
        """A peer there registers, and talks with one of IPv4 alone over a direct path."""
        alice = self.start_peer(self.lab.left, "alice", self.registry.url_by_name)
        bob = self.start_peer(self.lab.right, "bob", self.registry.url)
        for peer in (alice, bob):
            peer.wait_for("registered", 30.0)
        connect(alice, bob)
        lines = exchange(alice, bob)
        self.assertEqual(await_path(alice, DIRECT), DIRECT)
        self.assertEqual((alice.texts(), bob.texts()), (lines, lines))
