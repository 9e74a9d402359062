"""
A network with IPv6 alone behind a NAT64: programs reach IPv4 by names, and peers reach each other;
also where it comes late, or its prefix changes.
"""

from __future__ import annotations

import sys
import time

from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, Traffic, await_path, connect, exchange
from tests.lab.ipv6 import reason_without_ipv6
from tests.lab.nat64 import PREFIX, PROGRAM, Nat64
from tests.lab.peers import JsonPeer, fetch

RESOLVE = """\
import socket, sys
print(*sorted({found[4][0] for found in socket.getaddrinfo(sys.argv[1], None, socket.AF_INET6)}))
"""
REGISTRY = "registry.lab"
OTHER = "2001:db8:65:65::"  # prefix
LATE = 30.0  # seconds, after which the NAT64 is looked for once a minute


class Nat64Tests(LabTestCase):
    """A left host with IPv6 alone, and a registry that has IPv4 alone."""

    if reason_without_ipv6():
        skip = reason_without_ipv6()

    def setUp(self) -> None:
        self.require(PROGRAM)
        self.lab = self.build_lab("port-restricted", "port-restricted")
        self.registry = self.start_registry(self.lab, name=REGISTRY)
        zone = {REGISTRY: [self.lab.server.address]}
        self.nat64 = Nat64(self.lab.left.nat[0].machine(), self.lab.left, zone)
        self.addCleanup(self.nat64.close)

    def test_programs(self) -> None:
        """Names have addresses of the NAT64, and these lead to where they should."""
        self.nat64.start()
        left = self.lab.left
        for name, expected in (
            (REGISTRY, f"{PREFIX}cb00:710a"),
            ("ipv4only.arpa", f"{PREFIX}c000:aa {PREFIX}c000:ab"),
        ):
            self.assertEqual(left.run([sys.executable, "-c", RESOLVE, name], 10).strip(), expected)
        self.assertIn("{", fetch(left, f"{self.registry.url_by_name}/peers"))

    def test_peers(self) -> None:
        """A peer there registers, and talks with one of IPv4 alone over a direct path."""
        self.nat64.start()
        self.talk(self.alice(self.registry.url_by_name), self.bob("bob"))

    def test_literal(self) -> None:
        """A registry that is named by its IPv4 address is reached at the first try."""
        self.nat64.start()
        alice = self.alice(self.registry.url)
        alice.wait_for("registered")
        self.assertEqual(alice.named("registry_lost"), [])

    def test_late(self) -> None:
        """One that comes after a while is found, at the latest when somebody is called."""
        self.nat64.start(translates=False)
        alice = self.alice(self.registry.url_by_name)
        time.sleep(LATE)
        self.nat64.replace()
        self.talk(alice, self.bob("bob"))

    def test_replaced(self) -> None:
        """A conversation outlives another prefix, and others are reached by it."""
        self.nat64.start()
        alice, bob = self.alice(self.registry.url_by_name), self.bob("bob")
        self.talk(alice, bob)
        self.nat64.replace(OTHER)
        traffic = Traffic(alice, bob, "after")
        print(f"back {traffic.back_after(time.monotonic(), 30.0):.2f} s after another prefix")
        traffic.stop()
        alice.send("/disconnect bob")
        bob.wait_for("disconnected")
        self.talk(alice, self.bob("carol"))

    def alice(self, server: str) -> JsonPeer:
        """Start Alice, behind the NAT64."""
        return self.start_peer(self.lab.left, "alice", server)

    def bob(self, name: str) -> JsonPeer:
        """Start somebody in a network of IPv4."""
        return self.start_peer(self.lab.right, name, self.registry.url)

    def talk(self, caller: JsonPeer, callee: JsonPeer) -> None:
        """Let two talk over a direct path."""
        for peer in (caller, callee):
            if not peer.named("registered"):
                peer.wait_for("registered")
        connect(caller, callee)
        lines = exchange(caller, callee, callee.username)
        self.assertEqual(await_path(caller, DIRECT), DIRECT)
        for peer in (caller, callee):
            self.assertEqual(peer.texts()[-len(lines) :], lines)
