"""Paths that carry checks and not the link: small packets only, and firewalls that know QUIC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.explanation import sentences
from p2pchat.wire.channel_data import is_channel_data
from tests.cases import each
from tests.simulation.behaviour import Behaviour, NatKind
from tests.simulation.link import Link, no_long_headers, up_to
from tests.simulation.world import Person, World

PORT_RESTRICTED = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
LATENCY = 0.01  # seconds, one way
SOON = 3.0  # seconds in which a relay takes over
TOO_SMALL = up_to(1227, fragments=False)  # one byte less than a datagram of QUIC's handshake has
SHRUNK = up_to(1100, fragments=False)  # less than others have


def no_quic(data: bytes) -> bool:
    """Let through STUN, and what goes to a relay and comes from there."""
    is_channel = is_channel_data(data) and len(data) == 4 + int.from_bytes(data[2:4], "big")
    return is_channel or not data or data[0] < 0x40


class SmallPathCase(SynchronousTestCase):
    """Alice and Bob behind NATs that plain checks join, with a relay."""

    def meet(self, relay: bool = True, loss: float = 0.0, **settings: Any) -> None:
        """Register the two."""
        self.world = World(7, Link(latency=LATENCY, loss=loss), relay=relay)
        nats = self.world.nat(PORT_RESTRICTED), self.world.nat(PORT_RESTRICTED)
        self.alice, self.bob = self.world.couple(*nats, **settings)

    def spoil(self, passes: Callable[[bytes], bool], *sides: int) -> None:
        """Let only this through to and from Alice's NAT, or these."""
        for side in sides or (0,):
            self.world.internet.nats[side].link = Link(latency=0.0, passes=passes)

    def mend(self) -> None:
        """Let everything through again."""
        for nat in self.world.internet.nats:
            nat.link = None

    def say(self, one: Person, other: Person, size: int = 4000, within: float = 10) -> float:
        """Let a line arrive; returns the seconds."""
        read = len(other.texts())
        one.say("x" * size, other)
        return self.world.wait(lambda: len(other.texts()) > read, within)

    def chat(self) -> None:
        """Let a long line go each way."""
        self.say(self.alice, self.bob)
        self.say(self.bob, self.alice)

    def is_relayed(self, one: Person) -> bool:
        """Tell whether somebody's path is relayed."""
        return "relay" in one.node.conversations()[0].path

    def both_relayed(self, is_so: bool = True) -> bool:
        """Tell whether both paths are relayed, or neither is."""
        return self.is_relayed(self.alice) is self.is_relayed(self.bob) is is_so

    def why(self, one: Person) -> str:
        """Return what /why says."""
        other = self.bob if one is self.alice else self.alice
        return "\n".join(sentences(one.node.why(other.node.peer_id)))


class CallTests(SmallPathCase):
    """A call over such a path."""

    def relayed(self, passes: Callable[[bytes], bool], *sides: int) -> None:
        """Call; the relay has to carry it soon."""
        self.meet()
        self.spoil(passes, *sides)
        self.assertLess(self.world.connect(self.alice, self.bob), SOON)
        self.assertTrue(self.both_relayed())
        self.chat()

    def packets(self) -> list[str]:
        """Return what both were told of packets as they were connected."""
        return [one.events(events.Connected)[0].packets for one in (self.alice, self.bob)]

    def test_too_small(self) -> None:
        """Where one side's network is too small, even for the relay over UDP, TCP carries it."""
        self.relayed(TOO_SMALL)
        self.assertEqual(self.packets(), ["too-small"] * 2)
        self.world.internet.run(5)
        for one in (self.alice, self.bob):
            self.assertIn("of 1,228 bytes, which it needs, don't; the largest", self.why(one))
            self.assertIn("largest that pass whole have 1,224 bytes", self.why(one))

    def test_both_too_small(self) -> None:
        """So it does where both are."""
        self.relayed(TOO_SMALL, 0, 1)

    def test_quic_firewall(self) -> None:
        """Where QUIC's handshake is dropped, and STUN isn't, the relay carries it."""
        self.relayed(no_long_headers)
        self.world.internet.run(5)
        self.assertIn("a firewall on the way may know QUIC", self.why(self.alice))

    def test_all_quic(self) -> None:
        """So it does where anything of QUIC is."""
        self.relayed(no_quic, 0, 1)

    def test_fragments(self) -> None:
        """Where fragments pass, the path is direct."""
        self.meet()
        self.spoil(up_to(1200))
        self.assertLess(self.world.connect(self.alice, self.bob), SOON)
        self.assertTrue(self.both_relayed(False))
        self.chat()
        self.world.internet.run(5)
        self.assertIn("need fragments", self.why(self.alice))
        self.assertIn("fragmented", self.packets())
        for one in (self.alice, self.bob):
            self.assertEqual(one.events(events.PathFound)[-1].packets, "fragmented")
            self.assertIn("the path is direct, and packets of 1,228 bytes", self.why(one))
            self.assertIn("largest that pass whole have 1,200 bytes", self.why(one))

    def test_small_enough(self) -> None:
        """A datagram of QUIC fits a packet of 1,228 bytes."""
        self.meet()
        self.spoil(up_to(1228, fragments=False))
        self.assertLess(self.world.connect(self.alice, self.bob), 0.2)
        self.world.internet.run(2)
        self.assertTrue(self.both_relayed(False))
        self.assertEqual(self.packets(), ["", ""])
        self.assertNotIn("largest", self.why(self.alice))
        self.chat()

    def test_least_of_ipv6(self) -> None:
        """ChannelData with one fits a packet of 1,280 bytes, with IPv6's longer header."""
        self.meet(relay_only=True)
        self.spoil(up_to(1280 - 20, fragments=False))
        self.assertLess(self.world.connect(self.alice, self.bob), SOON)
        self.chat()

    def test_loss(self) -> None:
        """Loss of 40 % doesn't make a path too small."""
        self.meet(loss=0.4)
        self.world.connect(self.alice, self.bob)
        self.world.internet.run(5)
        self.assertTrue(self.both_relayed(False))
        self.assertNotIn("but no datagram", self.why(self.alice) + self.why(self.bob))

    def test_no_relay(self) -> None:
        """Without a relay the call fails, and says what the path doesn't carry."""
        self.meet(relay=False)
        self.spoil(TOO_SMALL)
        self.alice.node.connect(self.bob.node.peer_id)
        self.world.wait(lambda: self.alice.events(events.CallFailed), 60)
        (failed,) = self.alice.events(events.CallFailed)
        self.assertEqual(failed.reason, "no-path")
        for told in (failed.explanation, self.why(self.alice), self.why(self.bob)):
            self.assertIn("of 1,228 bytes, which it needs, don't", told)
            self.assertIn("an MTU of 1,280 bytes or more", told)
            self.assertIn("a relay, and the registry named none", told)
            self.assertIn("largest that pass whole have 1,224 bytes", told)
        self.assertIn("no datagram of 1200 bytes", self.why(self.alice))


ONE_WAY = tuple((side, is_inward) for side in (0, 1) for is_inward in (False, True))


class OneWayTests(SmallPathCase):
    """A firewall before one of the two that drops QUIC in one direction, and STUN in none."""

    def spoil_one_way(self, passes: Callable[[bytes], bool], side: int, is_inward: bool) -> None:
        """Let only this through to that side's NAT, or from it."""
        nat, spoiled = self.world.internet.nats[side], Link(latency=0.0, passes=passes)
        nat.link, nat.inward = (None, spoiled) if is_inward else (spoiled, Link(latency=0.0))

    @each(*ONE_WAY)
    def test_call(self, side: int, is_inward: bool) -> None:
        """Whoever calls or is called, a relay carries the call soon."""
        self.meet()
        self.spoil_one_way(no_long_headers, side, is_inward)
        self.assertLess(self.world.connect(self.alice, self.bob), SOON)
        self.chat()

    @each(*ONE_WAY)
    def test_conversation(self, side: int, is_inward: bool) -> None:
        """What comes is no sign that what is sent arrives: lines are soon there, both ways."""
        self.meet()
        self.world.connect(self.alice, self.bob)
        self.world.internet.run(20)
        self.spoil_one_way(no_quic, side, is_inward)
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            self.assertLess(self.say(one, other), SOON)
        self.chat()

    def test_loss(self) -> None:
        """A path that loses much one way, and carries both checks and link, isn't left."""
        self.meet()
        self.world.connect(self.alice, self.bob)
        nat = self.world.internet.nats[0]
        nat.link, nat.inward = Link(latency=0.0, loss=0.4), Link(latency=0.0)
        for _ in range(20):
            self.say(self.alice, self.bob, 100)
            self.say(self.bob, self.alice, 100)
        self.assertTrue(self.both_relayed(False))


class ConversationTests(SmallPathCase):
    """A path that becomes such a one in the middle of a conversation, and recovers."""

    def setUp(self) -> None:
        self.meet()
        self.world.connect(self.alice, self.bob)
        self.world.internet.run(20)

    def test_shrinks(self) -> None:
        """A line whose packets are too large arrives soon, by the relay."""
        self.spoil(SHRUNK)
        self.assertLess(self.say(self.alice, self.bob), SOON)
        self.world.wait(self.both_relayed, SOON)
        self.chat()

    def test_shrinks_one_way(self) -> None:
        """So it does where it is the other side that speaks."""
        self.spoil(SHRUNK)
        self.assertLess(self.say(self.bob, self.alice), SOON)
        self.chat()

    def test_before_a_heartbeat(self) -> None:
        """A heartbeat that is answered soon after such a line doesn't hide its loss."""
        for wait in (13.5, 14.5, 14.9):
            with self.subTest(wait=wait):
                self.meet()
                self.world.connect(self.alice, self.bob)
                self.chat()
                self.world.internet.run(wait)
                self.spoil(SHRUNK)
                self.assertLess(self.say(self.bob, self.alice), SOON)

    def test_small_lines(self) -> None:
        """Lines that fit go on meanwhile."""
        self.spoil(SHRUNK)
        self.assertLess(self.say(self.alice, self.bob, size=100), 0.1)

    def test_quic_is_found(self) -> None:
        """A firewall that lets the link through for a while only is gone round as soon."""
        self.spoil(no_quic)
        self.assertLess(self.say(self.alice, self.bob, size=100), SOON)
        self.chat()

    def test_recovers(self) -> None:
        """Direct again when the path carries it again."""
        for passes in (SHRUNK, no_quic):
            self.spoil(passes)
            self.say(self.alice, self.bob)
            self.world.wait(self.both_relayed, SOON)
            self.world.internet.run(20)
            self.assertTrue(self.both_relayed())
            self.mend()
            self.world.wait(lambda: self.both_relayed(False), 130)
            self.chat()
