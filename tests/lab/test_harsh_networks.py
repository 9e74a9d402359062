"""
Networks that are worse than they should be, and machines that have little: people talk even so.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from typing import Any

import attrs

from tests.cases import each
from tests.lab.blueprint import enter, run_command
from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, Traffic, await_path, connect, exchange
from tests.lab.machines import Host, NatBox
from tests.lab.peers import JsonPeer, Registry
from tests.lab.rulesets import TROUBLES
from tests.lab.topology import Lab

CALLS = 3
LINES = 20  # each way
FEW_FILES = 16
POOL = "192.0.2.64/26", "192.0.2.65", "192.0.2.66"
BACK_LIMIT = 60.0  # seconds; a VPN takes 2


@attrs.frozen
class FewFiles:
    """A host whose programs may have FEW_FILES files open."""

    host: Host

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """See `Host`."""
        return self.host.popen(["prlimit", f"--nofile={FEW_FILES}", *argv], **options)


class HarshNetworkTests(LabTestCase):
    """Two peers behind port-restricted NATs, a registry and a relay."""

    def start(self, spare: str = "") -> tuple[Lab, Registry]:
        """Build the lab."""
        lab = self.build_lab("port-restricted", "port-restricted", spare=spare)
        return lab, self.start_registry(lab, self.start_relay(lab))

    def start_two(self, lab: Lab, registry: Registry) -> tuple[JsonPeer, JsonPeer]:
        """Start both peers."""
        people = (
            self.start_peer(lab.left, "alice", registry.url),
            self.start_peer(lab.right, "bob", registry.url),
        )
        for peer in people:
            peer.wait_for("registered")
        return people

    def call_again(self, alice: JsonPeer, bob: JsonPeer) -> None:
        """Call, talk and part, CALLS times."""
        for turn in range(CALLS):
            connect(alice, bob)
            bob.send("/to alice")  # after an end nobody is meant by a line until somebody is named
            exchange(alice, bob, f"call {turn}", LINES)
            alice.send("/disconnect bob")
            bob.wait_for("disconnected")

    @each(*(name for name in TROUBLES if name != "none"))
    def test_trouble(self, name: str) -> None:
        """A box that loses, polices or complains stops no call and no line."""
        lab, registry = self.start()
        box = lab.left.nat[0]
        box.trouble(name)
        self.call_again(*self.start_two(lab, registry))

    def test_storm(self) -> None:
        """What begins to go wrong in a conversation doesn't end it."""
        lab, registry = self.start()
        alice, bob = self.start_two(lab, registry)
        connect(alice, bob)
        for name in ("says prohibited", "says unreachable", "none"):
            lab.left.nat[0].trouble(name)
            exchange(alice, bob, name, LINES)
        self.assertEqual(alice.named("disconnected"), [])

    def test_pool(self) -> None:
        """A NAT that draws one of its public addresses for each destination is passed."""
        lab, registry = self.start()
        network, first, last = POOL
        self.lead(lab, network, lab.left.nat[0])
        lab.left.nat[0].draw_from(first, last)
        self.call_again(*self.start_two(lab, registry))

    def lead(self, lab: Lab, network: str, box: NatBox) -> None:
        """Let the core router lead these addresses to a box."""
        router = lab.server.namespace.removesuffix("server") + "r1"
        run_command([*enter(router), "ip", "route", "replace", network, "via", box.address])

    def test_few_files(self) -> None:
        """With FEW_FILES open files at most a peer talks as ever."""
        lab, registry = self.start()
        alice = JsonPeer.start(FewFiles(lab.left), "alice", registry.url, "--accept", "all")
        self.addCleanup(alice.close)
        bob = self.start_peer(lab.right, "bob", registry.url)
        for peer in (alice, bob):
            peer.wait_for("registered")
        self.call_again(alice, bob)
        self.assertEqual(await_path(alice, DIRECT), DIRECT)

    @each("port-restricted", "symmetric", "udp-blocked")
    def test_vpn(self, kind: str) -> None:
        """A VPN that comes up and goes, with UDP or without, ends no conversation."""
        lab, registry = self.start(spare=kind)
        alice, bob = self.start_two(lab, registry)
        connect(alice, bob)
        for change in (lab.left.join_spare, lab.left.leave_spare):
            traffic = Traffic(alice, bob, change.__name__)
            change()
            traffic.back_after(time.monotonic(), BACK_LIMIT)
            traffic.stop()
        self.assertEqual(alice.named("disconnected"), [])
