"""Who pays for a registration."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.load import LoadMeter
from p2pchat.registry.admission.proof_of_work import KNOWN, LIFETIME, ProofOfWork
from p2pchat.registry.refusals import Refused
from p2pchat.wire.work import MIN_DIFFICULTY, Challenge, Work, search
from tests.identity.people import ALICE, BOB, CAROL

WALL = 1_800_000_000.0


def under_pressure(key: bytes = b"k", capacity: int = 10) -> ProofOfWork:
    """Return the policy of a registry that asks for the least work."""
    load = LoadMeter()
    load.measure(0.8, 0.0, 0.0)
    return ProofOfWork(load, key, capacity)


class ProofOfWorkTests(SynchronousTestCase):
    """Strangers pay under pressure, nobody else ever."""

    def setUp(self) -> None:
        self.work = under_pressure()

    def challenge(self, peer_id: str = ALICE.peer_id) -> Challenge:
        """Return what a stranger is asked."""
        refusal = self.refuse(None, peer_id)
        assert refusal.problem.work is not None
        return refusal.problem.work

    def refuse(
        self, work: Work | None, peer_id: str = ALICE.peer_id, wall: float = WALL
    ) -> Refused:
        """Return the refusal of a registration."""
        refusal = self.assertRaises(Refused, self.work.verify, peer_id, work, wall)
        assert isinstance(refusal, Refused)
        self.assertEqual((refusal.status, refusal.reason), (429, "work-required"))
        self.assertEqual(refusal.headers["Retry-After"], str(LIFETIME))
        return refusal

    def done(self, challenge: Challenge, peer_id: str = ALICE.peer_id) -> Work:
        """Return the work that meets a challenge."""
        work = search(challenge, peer_id, 0, 1 << 20)
        assert work is not None
        return work

    def test_no_pressure(self) -> None:
        """Without pressure nobody pays."""
        self.assertFalse(ProofOfWork(LoadMeter(), b"k").is_required(ALICE.peer_id, 0.0))
        self.assertTrue(self.work.is_required(ALICE.peer_id, 0.0))

    def test_known(self) -> None:
        """Who registered lately doesn't pay; after KNOWN seconds he is a stranger again."""
        self.work.record(ALICE.peer_id, 0.0)
        self.assertFalse(self.work.is_required(ALICE.peer_id, KNOWN - 1))
        self.assertTrue(self.work.is_required(ALICE.peer_id, KNOWN))

    def test_known_are_no_pressure(self) -> None:
        """Renewals aren't counted as strangers."""
        work = ProofOfWork(LoadMeter(onset=1), b"k")
        for _ in range(100):
            work.record(ALICE.peer_id, 0.0)
        self.assertEqual(work.load.difficulty, 0)
        for number in range(10):
            work.record(str(number), 0.0)
        self.assertEqual(work.load.difficulty, MIN_DIFFICULTY)

    def test_bounded(self) -> None:
        """So many keys are remembered; who registered longest ago is forgotten."""
        work = under_pressure(capacity=2)
        for who in (ALICE, BOB, ALICE, CAROL):
            work.record(who.peer_id, 0.0)
        self.assertEqual(len(work), 2)
        self.assertFalse(work.is_required(ALICE.peer_id, 0.0))
        self.assertTrue(work.is_required(BOB.peer_id, 0.0))

    def test_paid(self) -> None:
        """Work that meets the challenge lets a stranger pass."""
        challenge = self.challenge()
        self.assertEqual((challenge.difficulty, challenge.expires), (14, int(WALL) + LIFETIME))
        self.work.verify(ALICE.peer_id, self.done(challenge), WALL)

    def test_pressure_rose(self) -> None:
        """Who worked for what was asked then passes, though more is asked now."""
        work = self.done(self.challenge())
        self.work.load.measure(1.0, 0.0, 1.0)
        self.work.verify(ALICE.peer_id, work, WALL)

    def test_too_late(self) -> None:
        """An expired challenge is worth nothing, and a new one comes with the refusal."""
        work = self.done(self.challenge())
        self.work.verify(ALICE.peer_id, work, WALL + LIFETIME)
        refusal = self.refuse(work, wall=WALL + LIFETIME + 1)
        self.assertIn("expired", str(refusal))
        self.assertNotEqual(refusal.problem.work, work.challenge)

    def test_another_key(self) -> None:
        """Work is good for one key only, and so is a challenge."""
        challenge = self.challenge()
        self.assertIn("isn't this registry's", str(self.refuse(self.done(challenge), BOB.peer_id)))
        stolen = self.done(challenge, BOB.peer_id)
        self.assertIn("isn't this registry's", str(self.refuse(stolen, BOB.peer_id)))

    def test_forged(self) -> None:
        """A challenge made easier, or longer, or by somebody else isn't the registry's."""
        challenge = self.challenge()
        for forged in (
            attrs.evolve(challenge, difficulty=0),
            attrs.evolve(challenge, expires=challenge.expires + 3600),
            attrs.evolve(challenge, seed=bytes(16)),
        ):
            self.assertIn("isn't this registry's", str(self.refuse(self.done(forged))))
        self.work = under_pressure(b"another key")
        self.assertIn("isn't this registry's", str(self.refuse(self.done(challenge))))

    def test_not_done(self) -> None:
        """A nonce that doesn't meet the challenge is no work."""
        work = self.done(self.challenge())
        wrong = attrs.evolve(work, nonce=work.nonce + 1)
        self.assertIn("nonce", str(self.refuse(wrong)))
