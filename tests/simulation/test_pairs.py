"""Which pairs of NATs whole peers join directly, judged by the oracle."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from tests.simulation import WHOLE
from tests.simulation.behaviour import NAT_KINDS, Behaviour, NatKind
from tests.simulation.link import Link
from tests.simulation.oracle import hard_path_possible
from tests.simulation.world import World

KINDS: tuple[NatKind | None, ...] = (None, *NAT_KINDS)
# Where only some are tried, each pair has one of its sides call.
PAIRS = tuple(product(KINDS, KINDS) if WHOLE else combinations_with_replacement(KINDS, 2))


def outcome(seed: int, left: NatKind | None, right: NatKind | None) -> bool:
    """Let Alice call Bob once and tell whether they came to talk."""
    world = World(seed)
    alice, bob = world.couple(world.nat(left), world.nat(right), retries=1)
    world.result(alice.node.connect(bob.node.peer_id))
    world.wait(
        lambda: (
            (alice.is_connected_to(bob) and bob.is_connected_to(alice))
            or alice.events(events.CallFailed)
        ),
        awaited="an outcome",
    )
    if alice.events(events.CallFailed):
        return False
    alice.say("over to you", bob)
    bob.say("and back", alice)
    world.wait(lambda: alice.texts() == ["and back"] and bob.texts() == ["over to you"])
    return True


STRICTEST = Behaviour.ADDRESS_AND_PORT_DEPENDENT
SYMMETRIC = NatKind(STRICTEST, STRICTEST)
CONE = NatKind(Behaviour.ENDPOINT_INDEPENDENT, STRICTEST)


def time_to_path(caller: NatKind | None, called: NatKind | None, relay: bool = False) -> float:
    """Return the milliseconds from a call to its first path, where each way takes 20."""
    world = World(3, Link(latency=0.02), relay)
    alice, bob = world.couple(world.nat(caller), world.nat(called))
    world.connect(alice, bob)
    return alice.events(events.PathFound)[0].milliseconds


class TimeTests(SynchronousTestCase):
    """No pair that plain checks join needs one way over the registry more than another."""

    def test_early_checks(self) -> None:
        """
        A NAT that maps by destination costs a caller without one no time.

        Its checks are the first word of where it is, and are there before its answer.
        """
        self.assertLess(time_to_path(None, SYMMETRIC), time_to_path(None, CONE) + 10)

    def test_relay_meanwhile(self) -> None:
        """Where a port must be probed for, nobody waits: the relay is asked for as if for good."""
        for_good = time_to_path(SYMMETRIC, SYMMETRIC, relay=True)
        for pair in ((SYMMETRIC, CONE), (CONE, SYMMETRIC)):
            self.assertLess(time_to_path(*pair, relay=True), for_good + 10)


class PairTests(SynchronousTestCase):
    """All nine mapping and filtering kinds, and no NAT, against each other."""

    def test_matrix(self) -> None:
        """Two peers come to talk exactly where punching, plain or hard, can join their NATs."""
        wrong = [
            (str(left), str(right))
            for seed, (left, right) in enumerate(PAIRS)
            if outcome(seed, left, right) is not hard_path_possible(left, right)
        ]
        self.assertEqual([], wrong)
