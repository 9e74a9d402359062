"""
Paths that carry more than 1,200 bytes in a datagram, behind the kernel's NATs, until they don't.

A conversation finds out what passes once it has sent 131,072 bytes, uses it, and goes back where
it goes missing.
"""

from __future__ import annotations

import time

from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, RELAYED, await_path, connect, exchange
from tests.lab.impairment import ETHERNET_MTU, Impairment
from tests.lab.topology import LEFT_CABLE, RIGHT_CABLE, Lab

JUMBO_MTU = 9000  # bytes of IP
LARGE = {ETHERNET_MTU: 1400, JUMBO_MTU: 8000}  # bytes of a packet that only large datagrams have
MANY = 10  # packets; probes of the size are fewer
LINE, LINES = "x" * 20_000, 4
LIMIT = 60.0  # seconds until large datagrams are used; a renewal of the link goes before


class LargeDatagramTests(LabTestCase):
    """Two who say much, over cables that become narrow."""

    def meet(self, mtu: int, relay: bool = False) -> None:
        """Connect two peers, and let them talk until large packets go over the path."""
        kinds = ("port-restricted", "port-restricted")
        self.lab: Lab = self.build_lab(*kinds, cables=(LEFT_CABLE, RIGHT_CABLE), mtu=mtu)
        relay_program = self.start_relay(self.lab) if relay else None
        registry = self.start_registry(self.lab, relay_program)
        self.alice = self.start_peer(self.lab.left, "alice", registry.url)
        self.bob = self.start_peer(self.lab.right, "bob", registry.url)
        for peer in (self.alice, self.bob):
            peer.wait_for("registered")
        connect(self.alice, self.bob)
        self.large = LARGE[mtu]
        self.assertGreater(self.talk_until(MANY), MANY)
        self.assertEqual(self.fragments(), 0)
        self.await_kind(DIRECT)

    def talk(self) -> int:
        """Say much, both ways; all arrives.  Returns how many large packets there were."""
        box = self.lab.left.nat[0]
        box.count_large(self.large)
        exchange(self.alice, self.bob, f"{time.monotonic()} {LINE}", LINES)
        return box.large_ones()

    def talk_until(self, most: int) -> int:
        """Go on until there were more large packets than that, or it is too late."""
        began = time.monotonic()
        while (found := self.talk()) <= most and time.monotonic() - began < LIMIT:
            pass
        return found

    def narrow(self, mtu: int, icmp: bool = False) -> None:
        """Let Alice's cable carry packets of so many bytes, and tell nobody, or the senders."""
        self.lab.cables[LEFT_CABLE].change(Impairment(mtu=mtu, icmp=icmp))

    def fragments(self) -> int:
        """Return how many pieces of packets the cables have carried."""
        return sum(cable.fragments() for cable in self.lab.cables.values())

    def await_kind(self, kind: str) -> None:
        """Wait until both have a path of this kind."""
        for peer in (self.alice, self.bob):
            self.assertEqual(await_path(peer, kind), kind)

    def test_ethernet(self) -> None:
        """Packets fill an Ethernet's 1,500 bytes, whole, and 1,280 when that is all there is."""
        self.meet(ETHERNET_MTU)
        self.narrow(1280)
        self.talk()
        self.assertEqual(self.talk(), 0)
        self.await_kind(DIRECT)

    def test_jumbo(self) -> None:
        """Packets fill 9,000 bytes, whole, and then as many as are left."""
        self.meet(JUMBO_MTU)
        self.narrow(ETHERNET_MTU)
        self.talk()
        self.assertEqual(self.talk(), 0)
        self.await_kind(DIRECT)

    def test_told(self) -> None:
        """Where routers tell that a packet was too large, nothing else comes of it."""
        self.meet(JUMBO_MTU)
        self.narrow(1280, icmp=True)
        self.talk()
        self.talk()
        self.await_kind(DIRECT)

    def test_too_narrow(self) -> None:
        """Where not even 1,200 bytes pass any more, a relay over TCP carries on."""
        self.meet(ETHERNET_MTU, relay=True)
        self.lab.left.nat[0].drop_long(1100)
        self.talk()
        self.talk()
        self.await_kind(RELAYED)
