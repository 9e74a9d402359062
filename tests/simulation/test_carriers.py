"""Peers behind one NAT, and homes behind one carrier's: which addresses whole peers meet by."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement, cycle, product

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from tests.simulation import WHOLE
from tests.simulation.behaviour import (
    FULL_CONE,
    NAT_KINDS,
    PORT_RESTRICTED_CONE,
    RESTRICTED_CONE,
    SYMMETRIC,
    NatKind,
)
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.oracle import hard_carrier_path_possible
from tests.simulation.world import Person, World

INSIDE = "100.64"  # a carrier's inside network is one of RFC 6598
CARRIERS = (FULL_CONE, RESTRICTED_CONE, PORT_RESTRICTED_CONE, SYMMETRIC)
PAIRS = tuple(combinations_with_replacement((None, *NAT_KINDS), 2))

Case = tuple[NatKind, tuple[NatKind | None, NatKind | None]]


def converse(world: World, alice: Person, bob: Person) -> None:
    """Let both say something and read it."""
    alice.say("over to you", bob)
    bob.say("and back", alice)
    world.wait(lambda: alice.texts() and bob.texts(), 10, "both lines")


def path(person: Person) -> set[str]:
    """Return the candidate types of the path that a person was told of last."""
    last = person.events(events.PathFound)[-1]
    return {last.local, last.remote}


class SameNatTests(SynchronousTestCase):
    """Two peers behind one NAT."""

    def assert_local(self, world: World, nat: Nat) -> None:
        """Two of them talk, and what they say passes no public address."""
        alice, bob = world.couple(nat, nat)
        world.connect(alice, bob)
        world.internet.run(2)
        world.internet.trace = []
        converse(world, alice, bob)
        self.assertEqual((path(alice), path(bob)), ({"host"}, {"host"}))
        ours = {alice.host.address, bob.host.address}
        said = {
            (source[0], destination[0])
            for _, source, destination, _, _ in world.internet.trace
            if source[0] in ours and destination[0] in ours
        }
        self.assertEqual(said, {tuple(pair) for pair in (sorted(ours), sorted(ours)[::-1])})

    def test_local_addresses(self) -> None:
        """Of every kind, hairpinning or not, for the first line and ever after."""
        for seed, (kind, hairpinning) in enumerate(product(NAT_KINDS, (True, False))):
            world = World(seed)
            self.assert_local(world, world.internet.nat(kind=kind, hairpinning=hairpinning))

    def test_slow_local_network(self) -> None:
        """Where the local network is no faster than the way by the NAT, it still is that one."""
        for seed in range(10):
            world = World(seed)
            nat = world.internet.nat(kind=FULL_CONE, hairpinning=True)
            nat.inside.link = Link(latency=(0.002, 0.004))
            self.assert_local(world, nat)

    def test_same_nat_behind_a_carrier(self) -> None:
        """So do two in one home behind a carrier's NAT."""
        world = World(1)
        carrier = world.internet.nat(inside=INSIDE)
        self.assert_local(world, world.internet.nat(behind=carrier))


class CarrierTests(SynchronousTestCase):
    """Two homes behind one carrier's NAT."""

    def meet(
        self,
        seed: int,
        carrier: NatKind,
        hairpinning: bool,
        homes: tuple[NatKind | None, NatKind | None],
    ) -> bool:
        """Let two talk who have a relay at hand; tells whether their path is a direct one."""
        world = World(seed, relay=True)
        shared = world.internet.nat(kind=carrier, hairpinning=hairpinning, inside=INSIDE)
        nats = (
            shared if kind is None else world.internet.nat(kind=kind, behind=shared)
            for kind in homes
        )
        alice, bob = world.couple(*nats)
        world.connect(alice, bob)
        converse(world, alice, bob)
        world.internet.run(8)
        self.assertEqual("relay" in path(alice), "relay" in path(bob))
        return "relay" not in path(alice)

    def assert_as_predicted(self, hairpinning: bool, cases: Iterable[Case]) -> None:
        """In each case the two talk, directly exactly if the oracle says so."""
        wrong = []
        for seed, (carrier, homes) in enumerate(cases):
            direct = self.meet(seed, carrier, hairpinning, homes)
            if direct is not hard_carrier_path_possible(*homes, carrier, hairpinning):
                wrong.append((str(carrier), *map(str, homes), direct))
        self.assertEqual(wrong, [])

    def test_hairpinning(self) -> None:
        """The carrier's NAT lets them meet at its mapped addresses, wherever punching can."""
        some = zip(cycle(CARRIERS), PAIRS[::2], strict=False)
        self.assert_as_predicted(True, product(CARRIERS, PAIRS) if WHOLE else some)

    def test_no_hairpinning(self) -> None:
        """Without it homes talk over the relay; a host of the carrier's network is met there."""
        pairs = PAIRS if WHOLE else PAIRS[1::2]
        self.assert_as_predicted(False, zip(cycle(CARRIERS), pairs, strict=False))

    def test_no_relay_either(self) -> None:
        """Without hairpinning and without a relay the call fails, and the person reads why."""
        world = World(1)
        shared = world.internet.nat(inside=INSIDE)
        alice, bob = world.couple(
            *(world.internet.nat(kind=PORT_RESTRICTED_CONE, behind=shared) for _ in range(2))
        )
        world.result(alice.node.connect(bob.node.peer_id))
        world.wait(lambda: alice.events(events.CallFailed), 60, "the failure")
        self.assertEqual(alice.events(events.CallFailed)[0].reason, "no-path")
