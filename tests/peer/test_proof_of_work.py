"""The work that a peer does for a registry under pressure."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RegistryError
from p2pchat.peer.proof_of_work import SLICE, solve
from p2pchat.wire.work import ALGORITHM, MAX_DIFFICULTY, MIN_DIFFICULTY, Challenge, Work
from tests.identity.people import ALICE, BOB
from tests.peer.registry_case import RegistryCase

CHALLENGE = Challenge(ALGORITHM, bytes(range(16)), MIN_DIFFICULTY, 1_800_000_060)


class DoWorkTests(SynchronousTestCase):
    """The search, a slice at each turn of the event loop."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wanted = True

    def start(self, challenge: Challenge) -> Deferred[Work]:
        """Begin the search, which does its first slice at once."""
        done: Deferred[Work] = solve(challenge, ALICE.peer_id, self.clock, lambda: self.wanted)
        return done

    def turns(self, done: Deferred[Any]) -> int:
        """Let the search end; returns how often something else had its turn meanwhile."""
        turns: list[None] = []

        def turn() -> None:
            if not done.called:
                turns.append(None)
                self.clock.callLater(0, turn)

        turn()
        self.clock.advance(0)
        return len(turns)

    def test_slices(self) -> None:
        """It finds the nonce, and lets the program do other things meanwhile."""
        done = self.start(CHALLENGE)
        turns = self.turns(done)
        work = self.successResultOf(done)
        self.assertTrue(work.is_done(ALICE.peer_id))
        self.assertEqual(turns, work.nonce // SLICE)
        self.assertGreater(turns, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_much(self) -> None:
        """More than MAX_DIFFICULTY is refused before a single hash, and the person told."""
        done = self.start(attrs.evolve(CHALLENGE, difficulty=MAX_DIFFICULTY + 1))
        error = self.failureResultOf(done, RegistryError).value
        self.assertEqual(error.reason, "too-much-work")
        self.assertIn("21 bits", str(error))

    def test_another_kind(self) -> None:
        """Work that isn't known is refused likewise."""
        done = self.start(attrs.evolve(CHALLENGE, algorithm="argon2id"))
        error = self.failureResultOf(done, RegistryError).value
        self.assertEqual(error.reason, "unknown-work")

    def test_given_up(self) -> None:
        """Work that nobody wants any more ends at the next slice."""
        done = self.start(attrs.evolve(CHALLENGE, difficulty=MAX_DIFFICULTY))
        self.wanted = False
        self.assertEqual(self.turns(done), 1)
        self.failureResultOf(done, RegistryError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PressureTests(RegistryCase):
    """A peer meets a real registry under pressure."""

    def setUp(self) -> None:
        super().setUp()
        self.connection, self.told = self.make_connection(self.client)

    def press(self, share: float) -> None:
        """Let the registry believe that its directory is so full."""
        now = self.world.host.reactor.seconds()
        self.world.registry.admission.proof_of_work.load.measure(share, 0.0, now)

    def test_registers(self) -> None:
        """It works, registers and subscribes, and nobody hears of trouble."""
        self.press(0.8)
        self.connection.start()
        self.world.wait(lambda: self.told.registered, 5, "the registration")
        self.assertEqual(self.told.lost, [])
        self.assertEqual(self.world.registry.metrics.errors, {429: 1})

    def test_renews(self) -> None:
        """Once registered it isn't asked again, whatever the pressure."""
        self.connection.start()
        self.world.wait(lambda: self.told.registered, 5, "the registration")
        for _ in range(60):
            self.press(0.8)
            self.run_for(2)
        self.assertEqual((self.told.lost, dict(self.world.registry.metrics.errors)), ([], {}))

    def test_refreshed(self) -> None:
        """Work that a refresh made idle is no reason to leave the registry alone."""
        self.connection.start()
        self.world.wait(lambda: self.told.registered, 5, "the registration")
        registry = self.world.registry
        registry.admission.proof_of_work.capacity = 0  # forgets whom it knew
        registry.admission.proof_of_work.record(BOB.peer_id, 0.0)
        registry.store.directory.remove(ALICE.peer_id)  # type: ignore[attr-defined]
        self.press(0.8)
        self.connection.renew()
        self.world.wait(lambda: registry.metrics.errors[429], 5, "the challenge")
        self.connection.refresh()
        self.run_for(100)
        self.assertEqual((len(self.told.registered), self.told.lost), (2, []))
        self.assertEqual(self.world.registered, 1)

    def test_stop(self) -> None:
        """Stopped while it works, it registers no more."""
        self.press(1.0)
        self.connection.start()
        metrics = self.world.registry.metrics
        self.world.wait(lambda: metrics.errors[429], 5, "the challenge")
        self.connection.stop()
        self.run_for(5)
        self.assertEqual((self.told.registered, self.told.lost), ([], []))
        self.assertEqual(metrics.errors, {429: 1})
