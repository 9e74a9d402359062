"""Round trips of seconds, to the registry and between peers, and ones that change."""

from __future__ import annotations

from itertools import product
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from tests.cases import each
from tests.simulation import WHOLE
from tests.simulation.behaviour import (
    PORT_RESTRICTED_CONE,
    RESTRICTED_CONE,
    SYMMETRIC,
)
from tests.simulation.link import Link
from tests.simulation.world import RELAY, World

_Event = TypeVar("_Event")

SHORT = 0.02  # seconds, a round trip
LONG = (0.6, 1.2, 2.0, 3.6, 6.0)  # seconds
FAR = (0.6, 1.2, 2.0, 3.6, 4.0)  # seconds to the registry
LOSS = 0.03
TALK = 45.0  # seconds of a conversation, three heartbeats among them


class LongCase(SynchronousTestCase):
    """Alice and Bob, behind NATs, far from each other or from the registry."""

    kind = PORT_RESTRICTED_CONE
    udp = True

    def meet(self, registry: float, peers: float, loss: float = 0.0, relay: bool = False) -> None:
        """
        Let the two register.

        :param registry: seconds of a round trip to the registry, and to its relay.
        :param peers: seconds of a round trip between them.
        """
        self.world = World(3, Link(registry / 2, loss), relay=relay)
        left, right = (self.world.internet.nat(kind=self.kind, udp=self.udp) for _ in range(2))
        between = frozenset((left.address, right.address))
        self.world.internet.public.between[between] = Link(peers / 2, loss)
        self.nat = left
        self.alice, self.bob = self.world.person("alice", left), self.world.person("bob", right)
        self.world.wait(lambda: self.world.registered == 2, awaited="registrations")
        self.world.internet.run(5 + 3 * registry)

    def call(self, who: str = "", within: float = 60.0) -> float:
        """Let Alice call Bob, and say a line; returns the seconds until both are connected."""
        clock = self.world.internet.clock
        start = clock.seconds()
        self.world.result(self.alice.node.connect(who or self.bob.node.peer_id))
        self.world.wait(lambda: self.are_connected, within, "both connected")
        taken = clock.seconds() - start
        self.alice.say("hello", self.bob)
        return taken

    @property
    def are_connected(self) -> bool:
        """Whether both are."""
        return self.alice.is_connected_to(self.bob) and self.bob.is_connected_to(self.alice)

    def both(self, kind: type[_Event]) -> list[_Event]:
        """Return what either was told of this kind."""
        return [*self.alice.events(kind), *self.bob.events(kind)]

    def assert_quiet(self, offers: int) -> None:
        """Nothing was told to be lost or blocked, and so many offers went out at most."""
        self.assertFalse([one for one in self.both(events.NatRead) if one.udp_blocked])
        self.assertEqual(self.both(events.PathLost), [])
        self.assertEqual(self.both(events.RegistryLost), [])
        self.assertLessEqual(len(self.both(events.Calling)), offers)


class PeersApartTests(LongCase):
    """Two who are far from each other, and near to the registry."""

    def test_joined(self) -> None:
        """One offer joins them, and nothing is told to be lost while they talk, with loss too."""
        for trip, loss in product(LONG, (0.0, LOSS)):
            with self.subTest(trip=trip, loss=loss):
                self.meet(SHORT, trip, loss)
                taken = self.call()
                self.assertLess(taken, 2 * trip + 1)
                self.world.internet.run(TALK)
                self.assertEqual(self.bob.texts(), ["hello"])
                self.assert_quiet(offers=1)

    def test_lost_all_the_same(self) -> None:
        """A path that carries nothing any more is looked for within some round trips."""
        self.meet(SHORT, 1.2)
        self.call()
        self.world.internet.run(5)
        self.nat.reboot()
        self.alice.say("still there?", self.bob)
        self.world.wait(lambda: len(self.bob.texts()) > 1, 20, "the line")


class FarRegistryTests(LongCase):
    """Two who are far from the registry, and near to each other or far."""

    def test_joined(self) -> None:
        """Round trips of up to four seconds take one offer, and nothing is told to be lost."""
        trips = (SHORT, *LONG)
        some = [*zip(FAR, trips, strict=False), *zip(FAR, trips[::-1], strict=False)]
        for registry, trip in product(FAR, trips) if WHOLE else some:
            with self.subTest(registry=registry, trip=trip):
                self.meet(registry, trip)
                taken = self.call()
                self.assertLess(taken, 3.5 * registry + 2 * trip + 2)
                self.world.internet.run(TALK)
                self.assertEqual(self.bob.texts(), ["hello"])
                self.assert_quiet(offers=1)

    @each(*[(one,) for one in FAR])
    def test_nat(self, registry: float) -> None:
        """Our NAT is read as it is, and never as one that blocks UDP or doesn't answer."""
        for kind, filtering in (
            (PORT_RESTRICTED_CONE, "address-and-port-dependent"),
            (RESTRICTED_CONE, "endpoint-independent-or-address-dependent"),
        ):
            self.kind = kind
            self.meet(registry, registry)
            self.world.internet.run(120)
            for nat in (self.alice.node.nat(), self.bob.node.nat()):
                self.assertEqual((nat.mapping, nat.filtering), ("endpoint-independent", filtering))
            self.assert_quiet(offers=0)
            told = [one.detail for one in self.both(events.NatRead) if "hasn't" in one.detail]
            self.assertEqual(told, [])

    @each(*product(FAR, (False, True)))
    def test_relayed(self, registry: float, blocked: bool) -> None:
        """
        A relay that is as far is waited for, over UDP or, where that is blocked, over TCP.

        :param blocked: whether both networks let no UDP through.
        """
        self.kind, self.udp = SYMMETRIC, not blocked
        self.meet(registry, registry, relay=True)
        self.call(within=12 * registry + 10)
        path = self.alice.node.why(self.bob.node.peer_id).path
        assert path is not None
        self.assertTrue(path.is_relayed)
        self.assertEqual(len(self.alice.events(events.Calling)), 1)
        self.world.internet.run(TALK)
        self.assertEqual(self.both(events.PathLost), [])

    @each(*product((2.0, 4.0), (False, True)))
    def test_relay_is_far(self, trip: float, blocked: bool) -> None:
        """A relay that alone is far isn't given up, though the first offers may come too early."""
        self.kind, self.udp = SYMMETRIC, not blocked
        self.meet(SHORT, SHORT, relay=True)
        self.world.internet.public.nodes[RELAY].link = Link(trip / 2)
        self.assertLess(self.call(), 35)
        self.world.internet.run(TALK)
        self.assertEqual(self.both(events.PathLost), [])
        self.assertEqual(self.both(events.CallFailed), [])

    def test_by_name(self) -> None:
        """So do calls by name, and to a contact again."""
        for registry in FAR:
            with self.subTest(registry=registry):
                self.meet(registry, registry)
                self.call("bob")
                self.world.internet.run(TALK)
                self.alice.node.disconnect(self.bob.node.peer_id)
                self.world.internet.run(TALK)
                self.call(within=5 * registry + 2)
                self.assert_quiet(offers=2)

    def test_loss(self) -> None:
        """With loss it may take longer."""
        for registry, trip in product(FAR, (SHORT, 3.6)):
            with self.subTest(registry=registry, trip=trip):
                self.meet(registry, trip, LOSS)
                self.call(within=90)
                self.world.internet.run(TALK)
                self.assertEqual(self.bob.texts(), ["hello"])
                self.assertEqual(self.both(events.PathLost), [])

    @each((0.6,), (2.0,), (4.0,))
    def test_one_is_far(self, registry: float) -> None:
        """Where but one of the two is far the offers are repeated, and a late answer counts."""
        self.meet(SHORT, SHORT)
        self.nat.link = Link(registry / 2)
        self.world.internet.run(TALK)
        self.call(within=5 * registry + 6)
        self.bob.node.disconnect(self.alice.node.peer_id)
        self.world.internet.run(TALK)
        self.world.result(self.bob.node.connect(self.alice.node.peer_id))
        self.world.wait(lambda: self.are_connected, 5 * registry + 6, "both connected")
        self.assertEqual(self.both(events.PathLost), [])
        self.assertEqual(self.both(events.CallFailed), [])

    def test_very_far(self) -> None:
        """Six seconds take some patience, and are told once."""
        self.meet(6.0, 6.0)
        self.call()
        self.world.internet.run(TALK)
        self.assertEqual(self.bob.texts(), ["hello"])
        self.assertEqual(self.both(events.PathLost), [])
        self.assertLessEqual(len(self.both(events.RegistryLost)), 2)


class BufferbloatTests(LongCase):
    """Alice's uplink gets a queue of seconds, and loses it again."""

    @each((1.0, 0.02), (1.0, 0.5), (0.0, 0.02), (0.0, 0.5))
    def test_there_and_back(self, ramp: float, interval: float) -> None:
        """
        From 20 ms to 3 s and back no path is told to be lost, and few offers go out.

        :param ramp: seconds in which the queue fills.
        :param interval: seconds between lines.
        """
        self.meet(SHORT, SHORT)
        self.call()
        self.talk(5, interval, 0.0, 0.0)
        self.talk(ramp, interval, 0.0, 1.5)
        self.talk(15, interval, 1.5, 1.5)
        self.talk(ramp, interval, 1.5, 0.0)
        self.talk(15, interval, 0.0, 0.0)
        self.world.internet.run(10)
        self.assert_quiet(offers=4)
        said = [event.text for event in self.alice.events(events.MessageSent)]
        self.assertEqual(self.bob.texts(), said)

    def talk(self, seconds: float, interval: float, first: float, last: float) -> None:
        """Let Alice say lines while the seconds that her uplink takes change evenly."""
        steps = round(seconds / interval)
        for step in range(steps):
            self.nat.link = Link(first + (last - first) * step / steps)
            self.alice.say("x" * 900, self.bob)
            self.world.internet.run(interval)
