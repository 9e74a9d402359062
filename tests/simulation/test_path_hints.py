"""Whoever called somebody once reaches them sooner the next time, and no worse if that is wrong."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.traversal.path_hint import HINT_LIFETIME
from p2pchat.traversal.report import AttemptReport
from p2pchat.traversal.strategy import GUESSING_DELAY
from tests.simulation.behaviour import (
    PORT_RESTRICTED_CONE,
    RESTRICTED_CONE,
    SYMMETRIC,
    NatKind,
)
from tests.simulation.state import State
from tests.simulation.world import World

SETTLED = 6.0  # seconds after which checks are over, and a goodbye has arrived
SEEDS = range(12)


class Calls:
    """Alice, behind a NAT of one kind, calls Bob, behind another kind, again and again."""

    def __init__(self, seed: int, left: NatKind = SYMMETRIC) -> None:
        self.world = World(seed)
        self.left = self.world.nat(left)
        self.alice, self.bob = self.world.couple(self.left, self.world.nat(PORT_RESTRICTED_CONE))

    def call(self) -> tuple[AttemptReport, float]:
        """Let Alice call; returns her attempt, and her milliseconds to the direct path."""
        self.world.connect(self.alice, self.bob)
        self.world.internet.run(SETTLED)
        (attempt,) = self.alice.node.why(self.bob.node.peer_id).attempts
        spent = self.alice.events(events.PathFound)[-1].milliseconds
        self.alice.node.disconnect(self.bob.node.peer_id)
        self.world.internet.run(SETTLED)
        return attempt, spent


def lead(attempt: AttemptReport) -> float:
    """Return the milliseconds for which plain checks were alone."""
    assert attempt.volley is not None
    assert attempt.volley.began_ms is not None and attempt.checks_began_ms is not None
    return attempt.volley.began_ms - attempt.checks_began_ms


class HintTests(SynchronousTestCase):
    """Pairs that plain checks can't join, and pairs that they can."""

    def test_second_call(self) -> None:
        """Port guessing, which waited in the first call, begins at once in the second."""
        for seed in SEEDS[
            2:6
        ]:  # now and then a probe meets the plain mapping, by luck: not in these
            calls = Calls(seed)
            (first, _), (second, _) = calls.call(), calls.call()
            self.assertEqual((first.remembered, second.remembered), ("", "many-sockets"))
            self.assertGreaterEqual(lead(first), GUESSING_DELAY * 1000)
            self.assertLess(lead(second), 5)
            self.assertTrue(all(pair.checks_sent for pair in second.pairs), "plain checks too")

    def test_milliseconds(self) -> None:
        """Which port is met when, is chance; over some pairs, the second call is faster."""
        spent = [(calls.call()[1], calls.call()[1]) for calls in map(Calls, SEEDS)]
        first, second = (sum(column) / len(spent) for column in zip(*spent, strict=True))
        self.assertLess(second, first - GUESSING_DELAY * 1000 / 3, spent)

    def test_plain_checks_did(self) -> None:
        """Where plain checks joined the two, port guessing goes on waiting for its delay."""
        world = World(5)
        alice, bob = world.couple(world.nat(SYMMETRIC), world.nat(RESTRICTED_CONE))
        for remembered in ("", "plain"):
            world.connect(alice, bob)
            world.internet.run(SETTLED)
            (attempt,) = alice.node.why(bob.node.peer_id).attempts
            self.assertEqual((attempt.strategy, attempt.means), ("many-sockets", "plain"))
            self.assertEqual(attempt.remembered, remembered)
            assert attempt.volley is not None
            self.assertEqual((attempt.volley.began_ms, attempt.volley.packets_sent), (None, 0))
            alice.node.disconnect(bob.node.peer_id)
            world.internet.run(SETTLED)

    def test_another_nat(self) -> None:
        """What was learned behind one NAT isn't used behind one that reads otherwise."""
        calls = Calls(6)
        calls.call()
        other = calls.world.nat(PORT_RESTRICTED_CONE)
        assert other is not None
        calls.alice.host.move(behind=other)
        calls.world.internet.run(30)
        attempt, _ = calls.call()
        self.assertEqual((attempt.remembered, attempt.strategy), ("", "plain"))
        self.assertEqual(attempt.means, "plain")

    def test_kept_with_the_contact(self) -> None:
        """With a state directory it outlives the program, but not HINT_LIFETIME."""
        state = State("alice", Path(self.mktemp()))
        calls = Calls(7)
        for age, remembered in ((0.0, ""), (0.0, "many-sockets"), (HINT_LIFETIME, "")):
            calls.world.result(calls.alice.node.stop())
            calls.alice = state.start(calls.world, calls.alice.host)
            for peer_id, person in state.profile.contacts.people().items():
                if person.reached is not None:
                    learned_at = person.reached.learned_at - age
                    older = attrs.evolve(person.reached, learned_at=learned_at)
                    state.profile.contacts.remember_path(peer_id, older)
            calls.world.internet.run(SETTLED)
            attempt, _ = calls.call()
            self.assertEqual(attempt.remembered, remembered)
