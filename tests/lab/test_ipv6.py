"""
Peers in two address families, over real IPv6 routers with firewalls beside the IPv4 NATs.
"""

from __future__ import annotations

from ipaddress import ip_address

from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, RELAYED, await_path, connect, exchange
from tests.lab.ipv6 import SERVER, Overlay, reason_without_ipv6, take
from tests.lab.machines import Host
from tests.lab.peers import JsonPeer


class IPv6Tests(LabTestCase):
    """A lab with IPv6, a registry and a relay that are there in both families."""

    if reason_without_ipv6():
        skip = reason_without_ipv6()

    def setUp(self) -> None:
        self.lab = self.build_lab("symmetric", "symmetric")
        Overlay(self.lab).build()
        relay = self.start_relay(self.lab, ("udp", "tcp"), SERVER)
        self.registry = self.start_registry(self.lab, relay, SERVER)

    def start(self, host: Host, name: str, url: str) -> JsonPeer:
        """Start a peer that has found the registry at this URL."""
        peer = self.start_peer(host, name, url)
        peer.wait_for("registered")
        return peer

    def talk(self, caller: JsonPeer, callee: JsonPeer, kind: str) -> list[int]:
        """Let them talk over a path of this kind, and return the families of its two ends."""
        connect(caller, callee)
        lines = exchange(caller, callee)
        for peer in (caller, callee):
            self.assertEqual(await_path(peer, kind), kind)
        for peer in (caller, callee):
            self.assertEqual(peer.texts(), lines, peer.username)
        hosts = [peer.named("path")[-1]["address"].rpartition(":")[0] for peer in (caller, callee)]
        return [ip_address(host.strip("[]")).version for host in hosts]

    def test_dual_stack(self) -> None:
        """Random NATs in IPv4 don't matter to two who have IPv6: direct, through two firewalls."""
        alice = self.start(self.lab.left, "alice", self.registry.url)
        bob = self.start(self.lab.right, "bob", self.registry.url)
        self.assertEqual(self.talk(alice, bob, DIRECT), [6, 6])

    def test_ipv6_alone(self) -> None:
        """Two hosts without IPv4 find the registry, and each other, over IPv6."""
        for host in (self.lab.left, self.lab.right):
            take(4, host)
        alice = self.start(self.lab.left, "alice", self.registry.url6)
        bob = self.start(self.lab.right, "bob", self.registry.url6)
        self.assertEqual(self.talk(alice, bob, DIRECT), [6, 6])

    def test_no_family_shared(self) -> None:
        """IPv4 alone with IPv6 alone: over the relay, whoever calls."""
        take(4, self.lab.right)
        take(6, self.lab.left)
        for turn, swapped in enumerate((False, True)):
            alice = self.start(self.lab.left, f"alice{turn}", self.registry.url)
            bob = self.start(self.lab.right, f"bob{turn}", self.registry.url6)
            self.talk(*((bob, alice) if swapped else (alice, bob)), RELAYED)
