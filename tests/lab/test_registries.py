"""
Two people at two registries, each on a machine of its own, find and call each other.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.case import LabTestCase
from tests.lab.conversation import exchange
from tests.lab.peers import JsonPeer, Registry

ASK = ("--accept", "contacts")


class RegistriesTests(LabTestCase):
    """Alice is behind a NAT and at the lab's registry; Bob's registry runs on his own machine."""

    def setUp(self) -> None:
        super().setUp()
        self.lab = self.build_lab("port-restricted", "open")
        self.first = self.start_registry(self.lab)
        self.second = Registry(self.lab.right, addresses=1)
        self.addCleanup(self.second.close)
        self.second.start()
        self.states = Path(self.mktemp()).absolute()
        self.states.mkdir(mode=0o700)

    def start(self) -> tuple[JsonPeer, JsonPeer]:
        """Start both programs with what they kept."""
        found = []
        for host, name, registry in (
            (self.lab.left, "alice", self.first),
            (self.lab.right, "bob", self.second),
        ):
            state = ("--state", str(self.states / name))
            peer = self.start_peer(host, name, registry.url, *ASK, *state)
            peer.wait_for("registered")
            found.append(peer)
        return found[0], found[1]

    def test_two_registries(self) -> None:
        """They meet by a line, and call each other after everything was started again."""
        alice, bob = self.start()
        alice.send("/invite")
        bob.send(f"/join {alice.wait_for('invitation')['line']}")
        for peer in (alice, bob):
            peer.wait_for("connected")
        exchange(bob, alice)
        for one in (alice, bob, self.first, self.second):
            one.kill()
        for registry in (self.first, self.second):
            registry.start()
        alice, bob = self.start()
        alice.send("/connect bob")
        for peer in (alice, bob):
            peer.wait_for("connected")
        exchange(alice, bob)
        servers = {
            peer.username: {e["server"] for e in peer.named("registered")} for peer in (alice, bob)
        }
        self.assertEqual(servers, {"alice": {self.first.url}, "bob": {self.second.url}})

    def test_own_is_dead(self) -> None:
        """Who has lost the own registry calls by the other's, and is heard."""
        alice, bob = self.start()
        alice.send("/invite")
        bob.send(f"/join {alice.wait_for('invitation')['line']}")
        for peer in (alice, bob):
            peer.wait_for("connected")
        alice.send("/disconnect bob")
        for peer in (alice, bob):
            peer.wait_for("disconnected")
        self.first.kill()
        alice.wait_for("registry_lost")
        alice.send("/connect bob")
        for peer in (alice, bob):
            peer.wait_for("connected")
        exchange(alice, bob)
