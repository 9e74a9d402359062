"""Networks that let checks through and not the conversation, with coturn beside them."""

from __future__ import annotations

import time

from tests.cases import each
from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, RELAYED, await_path, connect, exchange, hear, say
from tests.lab.impairment import Impairment
from tests.lab.machines import NatBox
from tests.lab.topology import LEFT_CABLE, RIGHT_CABLE, Lab

CABLES = (LEFT_CABLE, RIGHT_CABLE)  # with them no interface sends several datagrams in one packet
BACK_LIMIT = 30.0  # seconds; another path takes over within 3, and a busy machine isn't a fault
LONG = "x" * 4000  # a line of several packets


class SmallPathTests(LabTestCase):
    """Alice's network, at home, is one of these."""

    def meet(self) -> tuple[Lab, NatBox]:
        """Build it all, and start both peers."""
        lab = self.build_lab("port-restricted", "port-restricted", cables=CABLES)
        registry = self.start_registry(lab, self.start_relay(lab))
        self.alice = self.start_peer(lab.left, "alice", registry.url)
        self.bob = self.start_peer(lab.right, "bob", registry.url)
        for peer in (self.alice, self.bob):
            peer.wait_for("registered")
        return lab, lab.left.nat[0]

    def call(self, kind: str) -> None:
        """Call; they have to talk, and over a path of this kind."""
        connect(self.alice, self.bob)
        self.talk(kind)

    def talk(self, kind: str) -> None:
        """Let long lines go both ways, and look at the path."""
        exchange(self.alice, self.bob, LONG, count=1)
        for peer in (self.alice, self.bob):
            self.assertEqual(await_path(peer, kind), kind)

    def assert_judged(self, packets: str, reason: str, packet: int) -> None:
        """Compare what both say of packets of the link's size, and of the largest that pass."""
        for peer, other in ((self.alice, self.bob), (self.bob, self.alice)):
            began = time.monotonic()
            while True:
                peer.send(f"/why {other.username}")
                verdict = peer.wait_for("why")["facts"]["verdict"]
                found = peer.named("path")[-1]["packets"], verdict["reason"], verdict["packet"]
                if found == (packets, reason, packet) or time.monotonic() - began > BACK_LIMIT:
                    break
            self.assertEqual(found, (packets, reason, packet))

    def test_small_packets(self) -> None:
        """Packets of 1,227 bytes, of which nobody tells the sender: in fragments, and direct."""
        lab, _ = self.meet()
        lab.cables[LEFT_CABLE].change(Impairment(mtu=1227, icmp=False))
        self.call(DIRECT)
        self.assertGreater(lab.cables[LEFT_CABLE].fragments(), 0)
        self.assert_judged("fragmented", "direct-in-fragments", 1224)

    def test_least_of_ipv6(self) -> None:
        """Packets of 1,280 bytes: direct, and whole."""
        lab, _ = self.meet()
        lab.cables[LEFT_CABLE].change(Impairment(mtu=1280, icmp=False))
        self.call(DIRECT)
        self.assertEqual(lab.cables[LEFT_CABLE].fragments(), 0)

    def test_no_fragments(self) -> None:
        """Packets of 1,227 bytes over UDP, and no fragments: the relay over TCP."""
        _, box = self.meet()
        box.drop_long(1227)
        self.call(RELAYED)
        self.assert_judged("too-small", "path-too-small", 1224)

    def test_quic_firewall(self) -> None:
        """A firewall that knows QUIC: the relay."""
        _, box = self.meet()
        box.drop_quic()
        self.call(RELAYED)

    @each("lan", "wan")
    def test_one_way(self, entering: str) -> None:
        """One that drops QUIC in one direction only: the relay."""
        _, box = self.meet()
        box.drop_quic(entering=entering)
        self.call(RELAYED)

    def shrink(self, speaks: str) -> None:
        """Let packets become too large in mid-conversation; what this one says arrives soon."""
        _, box = self.meet()
        self.call(DIRECT)
        box.drop_long(1100)
        pair = (self.alice, self.bob) if speaks == "alice" else (self.bob, self.alice)
        said, line = time.monotonic(), f"still there? {LONG}"
        say(pair[0], [line])
        hear(*pair, [line])
        self.assertLess(time.monotonic() - said, BACK_LIMIT)
        self.talk(RELAYED)

    def test_shrinks(self) -> None:
        """The relay over TCP carries on where the side with the network speaks."""
        self.shrink("alice")

    def test_shrinks_for_the_other(self) -> None:
        """So it does where the other side does."""
        self.shrink("bob")
