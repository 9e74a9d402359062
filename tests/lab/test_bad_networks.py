"""
Conversations on networks that are slow, narrow or suspicious: what bug reports of the field tell.

Limits are far above what it takes on a quiet machine: a busy one isn't a fault.
"""

from __future__ import annotations

import secrets
import time

from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, RELAYED, Traffic, await_path, connect, exchange
from tests.lab.impairment import Impairment
from tests.lab.peers import JsonPeer
from tests.lab.topology import LEFT_CABLE

BLOATED = 3.0  # seconds; a round trip through a queue that is full
SMALL_MTU = 1000  # bytes of IP; the packets of a link have up to 1,228
NARROW_MTU = 1200  # bytes of IP; less than IPv6 allows
LONG = 1500  # bytes; a line of twice as many characters is too long for one packet
SINGLE = 530  # bytes; of twice as many characters, which fill one packet
BACK_LIMIT = 20.0  # seconds


class BadNetworkTests(LabTestCase):
    """Two peers with a relay, the left one's cable impaired while they are at it."""

    def setUp(self) -> None:
        kinds = ("port-restricted", "port-restricted")
        self.lab = self.build_lab(*kinds, cables=(LEFT_CABLE,))
        self.registry = self.start_registry(self.lab, self.start_relay(self.lab))
        self.alice = self.start_peer(self.lab.left, "alice", self.registry.url)
        self.bob = self.start_peer(self.lab.right, "bob", self.registry.url)
        for peer in self.peers:
            peer.wait_for("registered")

    @property
    def peers(self) -> tuple[JsonPeer, JsonPeer]:
        """Both."""
        return self.alice, self.bob

    def impair(self, outward: Impairment, inward: Impairment | None = None) -> None:
        """Change the left host's cable."""
        self.lab.cables[LEFT_CABLE].change(outward, inward)

    def test_bufferbloat(self) -> None:
        """The round trip grows from nothing to three seconds and shrinks again: no path is lost."""
        connect(self.alice, self.bob)
        traffic = Traffic(*self.peers, "bloat")
        for seconds in (0.02, BLOATED, 0.02):
            self.impair(Impairment(delay=seconds / 2))
            time.sleep(2 * BLOATED)
        traffic.stop(BACK_LIMIT)
        for peer in self.peers:
            self.assertEqual(peer.named("path_lost"), [], peer.username)

    def test_quic_dropped(self) -> None:
        """Where a firewall knows QUIC and drops it, the relay carries what it can't see."""
        self.lab.left.nat[0].drop_quic()
        began = time.monotonic()
        connect(self.alice, self.bob)
        print(f"QUIC dropped: connected in {time.monotonic() - began:.2f} s")
        exchange(*self.peers)
        self.assertEqual(await_path(self.alice, RELAYED), RELAYED)

    def test_smaller_mtu(self) -> None:
        """The path narrows while they talk, and nobody is told: they go on talking."""
        connect(self.alice, self.bob)
        exchange(*self.peers, "before")
        self.assertEqual(await_path(self.alice, DIRECT), DIRECT)
        self.impair(Impairment(mtu=SMALL_MTU, icmp=False))
        began = time.monotonic()
        exchange(*self.peers, secrets.token_hex(SINGLE), 1)
        print(f"smaller MTU: a packet over it delivered in {time.monotonic() - began:.2f} s")
        exchange(*self.peers, secrets.token_hex(LONG))

    def test_small_mtu(self) -> None:
        """On a path too narrow for the link, of which senders are told, they talk."""
        self.impair(Impairment(mtu=SMALL_MTU))
        began = time.monotonic()
        connect(self.alice, self.bob)
        print(f"small MTU: connected in {time.monotonic() - began:.2f} s")
        exchange(*self.peers, secrets.token_hex(LONG))
        self.assertEqual(await_path(self.alice, DIRECT), DIRECT)
        for peer in self.peers:
            peer.wait_for("path", BACK_LIMIT, packets="fragmented")

    def test_silent_mtu(self) -> None:
        """Where nobody is told of large packets, registering and calling work all the same."""
        self.impair(Impairment(mtu=NARROW_MTU, icmp=False))
        carol = self.start_peer(self.lab.left, "carol", self.registry.url)
        carol.wait_for("registered")
        connect(carol, self.bob)
        exchange(carol, self.bob, secrets.token_hex(LONG))
