"""Conversations on bad networks: nothing lost, nothing twice, in order."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from tests import FIRST_WORLD
from tests.simulation import WHOLE
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.link import Link
from tests.simulation.world import Person, World

LINES = 2_000
SEEDS = range(FIRST_WORLD, FIRST_WORLD + (8 if WHOLE else 2))
AWFUL = Link(latency=(0.01, 0.08), loss=0.2, duplicate=0.1)


def lines(person: Person) -> list[str]:
    """Return what a person is going to say."""
    return [f"{person.name} {number}" for number in range(LINES)]


def trace(seed: int) -> list[object]:
    """Return every datagram of a world in which two people meet and talk."""
    world = World(seed, Link(latency=(0.01, 0.05), loss=0.1))
    world.internet.trace = []
    alice, bob = world.couple(world.nat(PORT_RESTRICTED_CONE), world.nat(PORT_RESTRICTED_CONE))
    world.connect(alice, bob)
    for number in range(20):
        alice.say(str(number), bob)
    world.internet.run(20)
    return list(world.internet.trace or [])


class DeterminismTests(SynchronousTestCase):
    """Whole peers in a simulated internet, QUIC and all."""

    def test_same_seed(self) -> None:
        """The same seed gives the same datagrams, byte count by byte count, at the same times."""
        for seed in range(3):
            self.assertEqual(trace(seed), trace(seed), f"seed {seed}")
        self.assertNotEqual(trace(0), trace(1))


class LossTests(SynchronousTestCase):
    """20 % loss, reordering by jitter, 10 % duplicates."""

    def converse(self, seed: int) -> None:
        """Let both say everything and check what each of them read."""
        world = World(seed)
        people = world.couple(world.nat(PORT_RESTRICTED_CONE), world.nat(PORT_RESTRICTED_CONE))
        alice, bob = people
        world.internet.link = AWFUL
        world.connect(alice, bob, within=60)
        for pair in zip(lines(alice), lines(bob), strict=True):
            alice.say(pair[0], bob)
            bob.say(pair[1], alice)
        delivered = events.MessageDelivered
        world.wait(
            lambda: all(len(one.events(delivered)) == LINES for one in people),
            within=600,
            awaited="every delivery",
        )
        self.assertEqual(lines(bob), alice.texts(), f"seed {seed}")
        self.assertEqual(lines(alice), bob.texts(), f"seed {seed}")
        said = [event.id for event in alice.events(events.MessageSent)]
        self.assertEqual(said, [event.id for event in alice.events(delivered)], f"seed {seed}")

    def test_thousands_of_lines(self) -> None:
        """2,000 lines each way arrive once, in order, and are marked delivered, for each seed."""
        for seed in SEEDS:
            self.converse(seed)
