"""
How many round trips a call takes, where each way between any two hosts takes equally long.

The least there is, with one registry between, is two and a half: the offer and the answer by the
registry, and the first line directly.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import WHOLE
from tests.simulation.behaviour import NAT_KINDS, Behaviour, NatKind
from tests.simulation.link import Link
from tests.simulation.oracle import direct_path_possible, hard_path_possible
from tests.simulation.world import Person, World

LATENCY = 0.05  # seconds, one way
NAT = 0.1  # round trips that the two ways inside of two NATs may take
KINDS: tuple[NatKind | None, ...] = (None, *NAT_KINDS)
EASY = [one for one in KINDS if one is None or one.mapping is Behaviour.ENDPOINT_INDEPENDENT]
PAIRS = tuple(product(KINDS, KINDS) if WHOLE else zip(KINDS, KINDS[::-1], strict=True))


class RoundTripCase(SynchronousTestCase):
    """Alice calls Bob, and says a line at once."""

    def meet(self, left: NatKind | None, right: NatKind | None) -> tuple[World, Person, Person]:
        """Return the two, who are registered."""
        world = World(5, Link(latency=LATENCY))
        alice, bob = world.couple(world.nat(left), world.nat(right))
        world.internet.run(2.0)
        return world, alice, bob

    def trips(self, world: World, alice: Person, bob: Person, who: str) -> float:
        """Return the round trips from the call to Alice's first line at Bob's."""
        read = len(bob.texts())
        start = world.internet.clock.seconds()
        alice.node.connect(who).addCallback(lambda peer_id: alice.node.send(peer_id, "hi"))
        world.wait(lambda: len(bob.texts()) > read)
        took = world.internet.clock.seconds() - start
        world.wait(lambda: alice.is_connected_to(bob) and bob.is_connected_to(alice))
        return took / (2 * LATENCY)

    def check(self, taken: float, least: float) -> None:
        """Assert a number of round trips, within what NATs add."""
        self.assertGreaterEqual(taken, least - 0.01)
        self.assertLessEqual(taken, least + NAT)


class RoundTripTests(RoundTripCase):
    """Two behind NATs that plain checks join."""

    def test_contact(self) -> None:
        """To somebody whose key is stored a call takes the least."""
        for kind in EASY:
            with self.subTest(kind=str(kind)):
                world, alice, bob = self.meet(kind, kind)
                world.connect(alice, bob)
                world.internet.run(1.0)
                alice.node.disconnect(bob.node.peer_id)
                world.internet.run(5.0)
                self.check(self.trips(world, alice, bob, bob.node.peer_id), 2.5)

    def test_id_and_name(self) -> None:
        """To anybody else it takes one more, for the key: by an id as by a name."""
        for kind in EASY:
            for by_name in (False, True):
                with self.subTest(kind=str(kind), by_name=by_name):
                    world, alice, bob = self.meet(kind, kind)
                    who = "bob" if by_name else bob.node.peer_id
                    self.check(self.trips(world, alice, bob, who), 3.5)

    def test_every_kind(self) -> None:
        """It is the least for each pair that plain checks join; guessing ports takes a moment."""
        for left, right in PAIRS:
            if hard_path_possible(left, right):
                with self.subTest(left=str(left), right=str(right)):
                    world, alice, bob = self.meet(left, right)
                    taken = self.trips(world, alice, bob, bob.node.peer_id)
                    if direct_path_possible(left, right):
                        self.check(taken, 3.5)
                    else:
                        self.assertLessEqual(taken, 8.0)
