"""Answers to joiners, until those surely have them."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat.errors import RegistryError
from p2pchat.interfaces import INameplates
from p2pchat.peer.given_answers import ATTENTIVE, GivenAnswers
from p2pchat.peer.kept_invitations import MAX_KEPT, KeptAnswer
from p2pchat.runtime import Runtime
from p2pchat.wire.nameplates import Claim, Completion, NameplateState, PakeResponse, Release
from tests.identity.people import BOB

START = 1_800_000_000.0  # wall time when the clock is at 0
MESSAGE = b"A" + bytes(32)
TRY = PakeResponse(b"B" + bytes(32), bytes(32), b"card")


def answer(number: int = 0, seconds: float = 3600.0, **changes: Any) -> KeptAnswer:
    """Return one of many answers to Bob."""
    name = f"{number:06}"
    completion = Completion(name, bytes(32), b"card")
    kept = KeptAnswer(name, "s", START + seconds, BOB.peer_id, MESSAGE, TRY, completion)
    return attrs.evolve(kept, **changes)


@implementer(INameplates)
@attrs.define(eq=False)
class FakeNameplates:
    """
    A registry with one nameplate.

    :ivar state: what stands there, if anything.
    :ivar error: with which a completion fails.
    :ivar asked: what it was asked.
    """

    state: NameplateState | None = None
    error: RegistryError | None = None
    asked: list[str] = attrs.Factory(list)

    def claim(self, claim: Claim) -> Deferred[None]:
        """Count."""
        self.asked.append("claim")
        self.state = NameplateState("s", claim.message, claim.lifetime)
        return succeed(None)

    def look(self, name: str) -> Deferred[NameplateState]:
        """Show it."""
        self.asked.append("look")
        return fail(RegistryError("none", 404)) if self.state is None else succeed(self.state)

    def respond(self, name: str, response: PakeResponse) -> Deferred[None]:
        """Nobody responds by this side."""
        raise NotImplementedError

    def complete(self, completion: Completion) -> Deferred[None]:
        """Count, or fail."""
        self.asked.append("complete")
        return succeed(None) if self.error is None else fail(self.error)

    def release(self, name: str) -> Deferred[None]:
        """Nobody releases here."""
        raise NotImplementedError(Release(name))


class GivenAnswersTests(SynchronousTestCase):
    """The inviter's side alone."""

    def setUp(self) -> None:
        self.clock, self.plates, self.saved = Clock(), FakeNameplates(), 0
        clocks = self.clock, lambda: START + self.clock.seconds()
        runtime = Runtime(None, *clocks, Random(1).randbytes, list)
        self.answers = GivenAnswers(runtime, lambda _server: self.plates, self.save)

    def save(self) -> None:
        """Count."""
        self.saved += 1

    def shown(self, response: PakeResponse | None, is_completed: bool = False) -> None:
        """Let this stand at the nameplate."""
        completion = answer().completion if is_completed else None
        self.plates.state = NameplateState("s", MESSAGE, 60, response, completion)

    def asked(self) -> list[str]:
        """Return what was asked since the last time."""
        asked, self.plates.asked = self.plates.asked, []
        return asked

    def test_interface(self) -> None:
        """What these tests have for a registry provides INameplates."""
        self.assertTrue(verifyObject(INameplates, self.plates))

    def test_kept(self) -> None:
        """It is kept before it is given, until its reader is there."""
        self.answers.give(answer())
        self.assertEqual((self.asked(), self.answers.kept), (["complete"], (answer(),)))
        self.answers.arrived("somebody else")
        self.assertTrue(self.answers)
        saved = self.saved
        self.answers.arrived(BOB.peer_id)
        self.assertEqual((self.answers.kept, self.saved), ((), saved + 1))

    def test_forgotten(self) -> None:
        """What a registry forgot stands there again, and is answered for the same try alone."""
        self.answers.give(answer())
        self.asked()
        self.answers.look()
        self.assertEqual(self.asked(), ["look", "claim"])
        self.answers.look()
        self.assertEqual(self.asked(), ["look"])
        self.shown(attrs.evolve(TRY, card=b"forged"))
        self.answers.answered("000000")
        self.assertEqual(self.asked(), ["look"])
        self.shown(TRY)
        self.answers.answered("000000")
        self.assertEqual(self.asked(), ["look", "complete"])
        self.shown(TRY, is_completed=True)
        self.answers.look()
        self.assertEqual(self.asked(), ["look"])

    def test_seldom(self) -> None:
        """After a while it is looked at when a registry returns; and not after its time."""
        self.answers.restore([answer()])
        self.shown(TRY, is_completed=True)
        self.answers.look_attentively()
        self.clock.advance(ATTENTIVE + 1)
        self.assertEqual(self.asked(), ["look"])
        self.answers.look_attentively()
        self.assertEqual(self.asked(), [])
        self.answers.look()
        self.assertEqual(self.asked(), ["look"])
        self.clock.advance(3600)
        self.answers.look()
        self.assertEqual((self.asked(), self.answers.kept), ([], ()))

    def test_burnt(self) -> None:
        """The answer to a wrong try is kept until the registry has it, or has none to have."""
        burnt = answer(completion=Completion("000000"), peer_id="")
        for error, is_kept in (
            *((None, False), (RegistryError("away"), True), (RegistryError("gone", 404), False)),
            (RegistryError("busy", 429), True),
        ):
            self.plates.error = error
            self.answers.give(burnt)
            self.assertEqual(bool(self.answers), is_kept)
        self.plates.state = None
        self.answers.look()
        self.assertFalse(self.answers)

    def test_many(self) -> None:
        """The oldest of very many make room."""
        for number in range(MAX_KEPT + 1):
            self.answers.give(answer(number))
        names = [one.nameplate for one in self.answers.kept]
        self.assertEqual((len(names), names[0]), (MAX_KEPT, "000001"))
