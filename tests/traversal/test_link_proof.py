"""Tests of :mod:`p2pchat.traversal.link_proof`, alone and in an attempt on a wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.attempt_events import PairUnfit
from p2pchat.traversal.link_proof import AGAIN, Fitness, LinkProof, usable
from p2pchat.traversal.pairs import Pair
from p2pchat.traversal.punching import RELAY_PATIENCE, AttemptPhase
from p2pchat.traversal.routes import CHAT_SOCKET, RELAYS, Route
from p2pchat.traversal.size_probe import BASE_SIZE, CONTROLS, LEAST, ProbeState, SizeProbe
from p2pchat.wire.documents import CandidateType
from tests.cases import each
from tests.traversal.attempt_ends import A1, A2, B1, B2, PunchingCase
from tests.traversal.fake_wire import Link
from tests.traversal.outboxes import take

NOW = 100.0
RELAYED = CandidateType.RELAYED


def pair(base: str, port: int, fitness: Fitness = Fitness.TRUSTED) -> Pair:
    """Return a pair of which this is known."""
    return Pair(Route(("198.51.100.2", port), base), RELAYED, proof=LinkProof(fitness))


class ProofTests(SynchronousTestCase):
    """What is known of one pair."""

    def setUp(self) -> None:
        self.proof = LinkProof()

    def probed(self, state: ProbeState, size: int = BASE_SIZE) -> None:
        """Let a probe find something."""
        probe = SizeProbe(size, 0.1, True, NOW)
        probe.state = state
        self.proof.take(probe, NOW)

    def test_probed(self) -> None:
        """Only BASE_SIZE makes it unfit; fragments will do; what is larger says all."""
        for state, size, fitness, is_fragmented in (
            (ProbeState.LOST, 1452, Fitness.TRUSTED, False),
            (ProbeState.CARRIED, 1452, Fitness.PROVED, False),
            (ProbeState.FRAGMENTED, BASE_SIZE, Fitness.PROVED, True),
            (ProbeState.LOST, BASE_SIZE, Fitness.TOO_SMALL, False),
            (ProbeState.CARRIED, BASE_SIZE, Fitness.PROVED, False),
        ):
            self.probed(state, size)
            self.assertEqual(
                (self.proof.fitness, self.proof.is_fragmented), (fitness, is_fragmented)
            )

    def test_too_small_again(self) -> None:
        """A pair that is too small is probed again in a round after AGAIN, and waits for that."""
        now = NOW
        for wait in (*AGAIN, AGAIN[-1]):
            self.proof.begin_round(now)
            self.proof.fail(Fitness.TOO_SMALL, now)
            for later, probes in ((wait - 1, False), (wait, True)):
                self.proof.begin_round(now + later)
                self.proof.begin_probe(0.1, False, now + later)
                self.assertEqual(self.proof.running(now + later) is not None, probes)
            self.assertFalse(self.proof.is_fit)
            now += wait

    def test_silent_again(self) -> None:
        """One over which the link was silent is tried again in a round after AGAIN."""
        self.proof.fail(Fitness.SILENT, NOW)
        self.proof.begin_round(NOW + AGAIN[0] - 1)
        self.assertFalse(self.proof.is_fit)
        self.proof.begin_round(NOW + AGAIN[0])
        self.assertTrue(self.proof.is_fit)
        self.proof.link_heard()
        self.proof.fail(Fitness.SILENT, NOW)
        self.proof.begin_round(NOW + AGAIN[0])
        self.assertTrue(self.proof.is_fit, "success gives it its time back")

    def test_silent(self) -> None:
        """It takes a check that went out after the link should have been heard, and passed."""
        self.proof.check_answered(NOW, NOW + 1)
        self.proof.link_unheard(NOW + 1)
        self.proof.check_answered(NOW, NOW + 2)
        self.assertTrue(self.proof.is_fit)
        self.proof.link_heard()
        self.proof.check_answered(NOW + 2, NOW + 3)
        self.assertTrue(self.proof.is_fit, "it was heard meanwhile")
        self.proof.link_unheard(NOW + 3)
        self.proof.check_answered(NOW + 3, NOW + 4)
        self.assertIs(self.proof.fitness, Fitness.SILENT)


class UsableTests(SynchronousTestCase):
    """Which pairs the path is chosen from."""

    def test_all_fit(self) -> None:
        """All valid ones, while nothing is known against any."""
        pairs = [pair(CHAT_SOCKET, 1), pair(f"{RELAYS}1", 1, Fitness.PROVED)]
        self.assertEqual(usable(pairs, pairs), pairs)

    def test_unfit(self) -> None:
        """Never an unfit one; proved ones before others, once there is an unfit one."""
        small = pair(CHAT_SOCKET, 1, Fitness.TOO_SMALL)
        trusted, proved = pair(f"{RELAYS}1", 1), pair(f"{RELAYS}2", 1, Fitness.PROVED)
        self.assertEqual(usable([small], [small]), [])
        self.assertEqual(usable([small, trusted], [small, trusted, proved]), [trusted])
        self.assertEqual(usable([trusted, proved], [small, trusted, proved]), [proved])

    def test_shared_ends(self) -> None:
        """What shares an end with a silent pair comes last, unless the link was heard over it."""
        silent = pair(CHAT_SOCKET, 1, Fitness.SILENT)
        ours, theirs = pair(f"{RELAYS}1", 1), pair(CHAT_SOCKET, 2)
        neither = pair(f"{RELAYS}1", 2)
        known = [silent, ours, theirs, neither]
        self.assertEqual(usable([ours, theirs], known), [ours, theirs])
        self.assertEqual(usable([ours, theirs, neither], known), [neither])
        ours.proof.link_heard()
        self.assertEqual(usable([ours, theirs, neither], known), [ours, neither])


class WireTests(PunchingCase):
    """Two that two ways join."""

    def joined_twice(self) -> tuple[Link, Link]:
        """Join them by two links, of which the first is the faster one, and wait for the path."""
        fast, slow = self.wire.link(A1, B1), self.wire.link(A2, B2, Link(latency=0.05))
        self.begin(B1, B2)
        self.wire.run(1)
        self.assertEqual((self.path(self.alice), self.path(self.bob)), (B1, A1))
        return fast, slow

    def unfit(self) -> list[PairUnfit]:
        """Take what Alice found out."""
        return take(self.alice.punching, PairUnfit)

    def test_too_small(self) -> None:
        """A path that becomes too small is left for the other one in the next round."""
        fast, _ = self.joined_twice()
        fast.most = BASE_SIZE - 1
        self.alice.punching.check_again(self.wire.now)
        self.bob.punching.check_again(self.wire.now)
        self.wire.run(0.7)
        self.assertEqual((self.path(self.alice), self.path(self.bob)), (B2, A2))
        self.assertEqual(self.unfit(), [PairUnfit("aaaa", Route(B1), Fitness.TOO_SMALL)])
        self.wire.run(10)
        fast.most = 2000
        for _ in range(3):
            self.alice.punching.check_again(self.wire.now)
            self.bob.punching.check_again(self.wire.now)
            self.wire.run(AGAIN[0] / 2)
        self.assertEqual((self.path(self.alice), self.path(self.bob)), (B1, A1))

    @each((1172, 1172), (1171, 1168), (548, 548), (130, 0))
    def test_largest(self, most: int, largest: int) -> None:
        """Of a path that is too small it is found out what passes, until the link does."""
        link = self.wire.link(A1, B1, Link(most=most))
        self.wire.link(A2, B2, Link(latency=0.05))
        self.begin(B1, B2)
        self.wire.run(6)
        proof = self.alice.punching.checklist.pairs[Route(B1)].proof
        self.assertEqual((proof.fitness, proof.largest), (Fitness.TOO_SMALL, largest))
        padded = [one for one in self.alice.sent if len(one.data) > LEAST]
        self.assertLess(len(padded), 80)
        link.most = 2000
        self.wire.run(AGAIN[0])
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(5)
        self.assertEqual((proof.fitness, proof.largest), (Fitness.PROVED, 0))

    def test_first_choice(self) -> None:
        """So is one that was too small from the beginning."""
        self.wire.link(A1, B1, Link(most=BASE_SIZE - 1))
        self.wire.link(A2, B2, Link(latency=0.05))
        self.begin(B1, B2)
        self.wire.run(1)
        self.assertEqual((self.path(self.alice), self.path(self.bob)), (B2, A2))

    def test_silent(self) -> None:
        """A path over which the link isn't heard is left, if checks pass."""
        self.joined_twice()
        self.alice.punching.link_unheard(self.wire.now)
        self.wire.run(0.2)
        self.assertEqual(self.path(self.alice), B2)
        self.assertEqual(self.unfit(), [PairUnfit("aaaa", Route(B1), Fitness.SILENT)])

    def test_dead(self) -> None:
        """If they don't, it is a lost path as ever."""
        fast, slow = self.joined_twice()
        fast.loss = slow.loss = 1.0
        self.alice.punching.link_unheard(self.wire.now)
        self.wire.run(10)
        self.assertEqual(self.unfit(), [])
        self.assertIs(self.alice.punching.phase, AttemptPhase.FAILED)

    def test_no_other(self) -> None:
        """Where there is no other the path stays, and isn't said to be direct."""
        self.joined()
        self.wire.run(1)
        self.alice.punching.link_unheard(self.wire.now)
        self.wire.run(1)
        self.assertEqual(self.path(self.alice), B1)
        self.assertFalse(self.alice.punching.is_fit or self.alice.punching.is_direct)

    def test_remembered(self) -> None:
        """A silent pair of another attempt is used at last, if no relay gives a path in time."""
        self.wire.link(A1, B1)
        proof = LinkProof()
        proof.fail(Fitness.SILENT, self.wire.now)
        self.alice.punching.checklist.proofs = {Route(B1): proof}
        self.begin(B1)
        self.wire.run(RELAY_PATIENCE - 0.1)
        self.assertIsNone(self.path(self.alice))
        self.wire.run(0.2)
        self.assertEqual(self.path(self.alice), B1)

    def test_never_padded(self) -> None:
        """Who never answers padded checks has its path, as long as it needs no link."""
        self.bob.punching.may_send = lambda _route, octets, _now: octets < 200
        self.wire.link(A1, B1)
        self.begin(B1)
        self.wire.run(10)
        self.assertEqual(self.path(self.alice), B1)
        padded = [one for one in self.alice.sent if len(one.data) >= BASE_SIZE]
        self.assertLessEqual(len(padded), 2 * CONTROLS + 2)
        self.assertEqual([one.fitness for one in self.unfit()], [Fitness.TOO_SMALL])

    def test_storm(self) -> None:
        """A storm of padded checks is answered within the limits, and begins no probe."""
        self.joined()
        self.wire.run(1)
        allowed = iter([True] * 50)
        self.bob.punching.may_send = lambda _route, _octets, _now: next(allowed, False)
        self.bob.sent.clear()
        for number in range(200):
            identifier = number.to_bytes(12, "big")
            request = self.alice.punching.credentials.request(identifier, padded=BASE_SIZE)
            self.bob.receive(request, A1, self.wire.now)
        self.bob.outgoing(self.wire.now)
        self.assertEqual(len(self.bob.sent), 50)
        self.assertIsNone(self.bob.get_timer())
