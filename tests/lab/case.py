"""
What every trial in the lab begins with: the conditions to run at all, and labs, registries,
relays and peers that end with the test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from twisted.trial import unittest

from tests.lab.conversation import DIRECT, await_path, connect, exchange
from tests.lab.impairment import ETHERNET_MTU
from tests.lab.machines import Host
from tests.lab.peers import JsonPeer, Registry
from tests.lab.relay import PROGRAM, Relay
from tests.lab.topology import Lab, reason_to_skip

REPETITIONS = int(os.environ.get("P2PCHAT_LAB_REPEAT", "1"))


class LabTestCase(unittest.TestCase):
    """A trial that may build labs; blocking calls are fine here, nothing uses the reactor."""

    trust = ""  # a file of certificates that peers believe

    if reason_to_skip():
        skip = reason_to_skip()

    def build_lab(
        self,
        left: str,
        right: str = "open",
        hosts: int = 1,
        spare: str = "",
        *,
        homes: tuple[str, ...] = (),
        cables: tuple[str, ...] = (),
        mtu: int = ETHERNET_MTU,
    ) -> Lab:
        """Build a lab that is closed when the test ends."""
        lab = Lab()
        self.addCleanup(lab.close)
        return lab.build(left, right, hosts, spare, homes=homes, cables=cables, mtu=mtu)

    def require(self, tool: str) -> None:
        """Skip unless `tool` is installed."""
        if shutil.which(tool) is None:
            self.skipTest(f"not installed: {tool}")

    def start_relay(
        self, lab: Lab, transports: tuple[str, ...] = ("udp", "tcp", "tls"), ipv6: str = ""
    ) -> Relay:
        """Start coturn on the lab's server, trusted by the test's peers; it ends with the test."""
        self.require(PROGRAM)
        relay = Relay(lab.server, transports, ipv6)
        self.addCleanup(relay.close)
        relay.start()
        self.trust = relay.certificate_file
        return relay

    def start_registry(
        self,
        lab: Lab,
        relay: Relay | None = None,
        ipv6: str = "",
        name: str = "",
        options: Sequence[str] = (),
    ) -> Registry:
        """Start `p2psignal` on the lab's server, with that relay; it ends with the test."""
        registry = Registry(lab.server, relay=relay, ipv6=ipv6, name=name, options=options)
        self.addCleanup(registry.close)
        registry.start()
        return registry

    def start_peer(
        self,
        host: Host,
        username: str,
        server: str,
        *options: str,
        environment: Mapping[str, str] | None = None,
    ) -> JsonPeer:
        """Start a peer that accepts every call; it ends with the test."""
        peer = JsonPeer.start(
            host,
            username,
            server,
            *("--accept", "all", *options),
            trust=self.trust,
            environment=environment,
        )
        self.addCleanup(peer.close)
        return peer


class PairTestCase(LabTestCase):
    """
    For each pair, either side calls the other by name, with fresh peers and NATs that have
    forgotten everything; three messages go each way, in order; one quits and the other sees it.

    Each must join, over a path of the kind expected; a strategy that draws its ports may miss now
    and then (`spare_misses`, beside one of 100).
    """

    spare_misses = 0

    def check(
        self,
        left: str,
        right: str,
        kind: str = DIRECT,
        transports: tuple[str, ...] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """
        Let peers behind NATs of these kinds talk, over paths of this kind in the end.

        With `transports`, there is a relay that is reached over these. Both peers get `options`.
        """
        lab = self.build_lab(left, right)
        relay = None if transports is None else self.start_relay(lab, transports)
        registry = self.start_registry(lab, relay)
        self.repeat(lab, registry, (lab.left, lab.right), kind, options)

    def repeat(
        self,
        lab: Lab,
        registry: Registry,
        hosts: tuple[Host, Host],
        kind: str = DIRECT,
        options: tuple[str, ...] = (),
    ) -> None:
        """Talk both ways round, as often as asked; names are never used twice."""
        kinds = []
        for n in range(REPETITIONS):
            for direction in ("rightward", "leftward"):
                lab.reboot_nats()
                alice, bob = (
                    self.start_peer(host, f"{name}-{direction}-{n}", registry.url, *options)
                    for host, name in zip(hosts, ("alice", "bob"), strict=True)
                )
                caller, callee = (alice, bob) if direction == "rightward" else (bob, alice)
                kinds.append(self.talk(caller, callee, kind))
                alice.close()
                bob.close()
        allowed = self.spare_misses + len(kinds) // 100
        self.assertLessEqual(len(kinds) - kinds.count(kind), allowed, kinds)

    def talk(self, caller: JsonPeer, callee: JsonPeer, kind: str) -> str:
        """Call, exchange messages, quit, be seen to have gone; return the kind of path."""
        for peer in (caller, callee):
            peer.wait_for("registered")
        connect(caller, callee)
        lines = exchange(caller, callee)
        found = await_path(caller, kind)
        for peer in (caller, callee):
            self.assertEqual(peer.texts(), lines, peer.username)
        caller.send("/quit")
        callee.wait_for("disconnected", name=caller.username)
        return found
