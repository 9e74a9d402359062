"""
Invitations over a registry whose requests and answers get lost, between programs that are started
again at any time: whoever is met is the right one, and whoever can be met is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import InvitationRefused, P2PChatError, RegistryError
from p2pchat.identity.keys import Identity
from p2pchat.interfaces import INameplates
from p2pchat.peer.invitations import Acquaintance, InvitationContext, Invitations
from p2pchat.peer.kept_invitations import KeptInvitations
from p2pchat.registry.store.nameplate_table import Nameplate, NameplateOutcome, NameplateTable
from p2pchat.runtime import Runtime
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import Card
from p2pchat.wire.nameplates import Claim, Completion, NameplateState, PakeResponse
from p2pchat.wire.strict_json import dumps, loads
from tests.identity.people import ALICE, BOB

SERVER = "http://registry.test:8000"
FATES = ("good", "lost", "unanswered", "twice", "slow", "late")
SLOW = 4.0  # seconds that what goes wrong takes
START = 1_800_000_000.0  # wall time when the clock is at 0
FORGED = PakeResponse(b"B" + bytes(32), bytes(32), b"x" * 100)
STATUS = {
    NameplateOutcome.UNKNOWN: 404,
    NameplateOutcome.NOT_YOURS: 403,
    NameplateOutcome.TAKEN: 409,
    NameplateOutcome.USED: 409,
    NameplateOutcome.UNANSWERED: 409,
}


def good() -> Iterator[str]:
    """Let every request succeed."""
    while True:
        yield "good"


@implementer(INameplates)
@attrs.define(eq=False)
class LossyNameplates:
    """
    The nameplates of a registry for one peer; what becomes of each request is ``fates``' to say.

    :ivar runs: how often the peer's program was started.
    :ivar fates: ``good``, ``lost`` before it was done, ``unanswered``, done ``twice``, ``slow`` to
        be answered, or ``late``: done when the peer has given it up.
    """

    table: NameplateTable
    clock: Clock
    peer_id: str
    fates: Iterator[str]
    runs: int = 1

    def _do(self, act: Callable[[float], Any]) -> Deferred[Any]:
        fate = next(self.fates, "good")
        if fate in {"lost", "late"}:
            if fate == "late":
                self.clock.callLater(SLOW, self._attempt, act)
            return fail(RegistryError(fate))
        result = self._attempt(act)
        if fate == "twice":
            self._attempt(act)
        if fate == "unanswered" and not isinstance(result, RegistryError):
            result = RegistryError("unanswered")
        answer: Deferred[Any] = Deferred()
        if fate == "slow":
            self.clock.callLater(SLOW, self._answer, answer, result, self.runs)
        else:
            self._answer(answer, result, self.runs)
        return answer

    def _attempt(self, act: Callable[[float], Any]) -> Any:
        """Do something; returns the result, or why it was refused."""
        try:
            return act(self.clock.seconds())
        except RegistryError as error:
            return error

    def _answer(self, answer: Deferred[Any], result: Any, run: int) -> None:
        if run != self.runs:
            return  # the program that asked has ended
        if isinstance(result, RegistryError):
            answer.errback(result)
        else:
            answer.callback(result)

    def _outcome(self, outcome: NameplateOutcome) -> None:
        if outcome is not NameplateOutcome.DONE:
            reason = "nameplate-taken" if outcome is NameplateOutcome.TAKEN else "other"
            raise RegistryError(outcome.value, STATUS[outcome], reason)

    def claim(self, claim: Claim) -> Deferred[Any]:
        """Claim."""
        wanted = Nameplate(claim.nameplate, self.peer_id, "s", SERVER, encode_bytes(claim.message))
        return self._do(
            lambda now: self._outcome(self.table.claim(wanted, now + claim.lifetime, now))
        )

    def look(self, name: str) -> Deferred[NameplateState]:
        """Look."""
        return self._do(lambda now: self._state(self.table.find(name, now)))

    def _state(self, found: tuple[Nameplate, float] | None) -> NameplateState:
        if found is None:
            raise RegistryError("unknown", 404)
        plate, left = found
        response, completion = plate.response, plate.completion
        return NameplateState(
            plate.origin,
            decode_bytes(plate.message),
            int(left),
            PakeResponse.from_json(loads(response.encode())) if response else None,
            Completion.from_json(loads(completion.encode())) if completion else None,
        )

    def respond(self, name: str, response: PakeResponse) -> Deferred[Any]:
        """Respond."""
        text = dumps(response.to_json()).decode()
        return self._do(lambda now: self._outcome(self.table.respond(name, text, now)))

    def complete(self, completion: Completion) -> Deferred[Any]:
        """Complete."""
        text, name = dumps(completion.to_json()).decode(), completion.nameplate
        return self._do(
            lambda now: self._outcome(self.table.complete(name, self.peer_id, text, now))
        )

    def release(self, name: str) -> Deferred[Any]:
        """Release."""
        return self._do(lambda now: self._outcome(self.table.release(name, self.peer_id, now)))


@attrs.define(eq=False)
class Person:
    """One side: its invitations, over restarts, and whom it met."""

    identity: Identity
    name: str
    nameplates: LossyNameplates
    random: Random
    met: list[str] = attrs.Factory(list)
    told: list[Any] = attrs.Factory(list)
    kept: KeptInvitations = attrs.Factory(KeptInvitations)
    call: Callable[[str], None] = lambda _peer_id: None
    invitations: Invitations = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the program, with what it kept."""
        clock = self.nameplates.clock
        runtime = Runtime(None, clock, lambda: START + clock.seconds(), self.random.randbytes, list)
        self.invitations = Invitations(
            InvitationContext(
                *(runtime, self.identity, lambda: (SERVER,), lambda _server: self.nameplates),
                *(lambda: Card(self.name), lambda: succeed(None), self._meet),
                *(self.told.append, self._keep),
            )
        )
        self.invitations.restore(self.kept)

    def _meet(self, met: Acquaintance) -> None:
        self.met.append(met.partner.peer_id)
        if not met.invited:
            self.call(self.identity.peer_id)

    def _keep(self, kept: KeptInvitations) -> Deferred[None]:
        self.kept = kept
        return succeed(None)

    def restart(self) -> None:
        """End the program and start it again."""
        self.invitations.stop()
        self.nameplates.runs += 1
        self.start()


class LossTests(SynchronousTestCase):
    """Alice invites, Bob joins."""

    def setUp(self) -> None:
        self.begin(good())

    def begin(self, fates: Iterator[str]) -> None:
        """Let Alice have an invitation, while every request succeeds."""
        self.clock, self.table = Clock(), NameplateTable()
        people = []
        for number, (identity, name) in enumerate(((ALICE, "alice"), (BOB, "bob"))):
            nameplates = LossyNameplates(self.table, self.clock, identity.peer_id, good())
            people.append(Person(identity, name, nameplates, Random(number)))
        self.alice, self.bob = people
        self.bob.call = self.call
        info = self.successResultOf(self.alice.invitations.invite("", 3600, False))
        self.line, self.place = info.line, info.nameplate
        for one in people:
            one.nameplates.fates = fates

    def call(self, peer_id: str) -> None:
        """Let Bob call Alice, whose program may be another by now."""
        self.alice.invitations.arrived(peer_id)

    def join(self) -> list[Any]:
        """Let Bob join; returns what comes of it."""
        outcome: list[Any] = []
        self.bob.invitations.join(self.line).addBoth(outcome.append)
        return outcome

    def pass_time(self, seconds: int) -> None:
        """Turn the clock."""
        self.clock.pump([1.0] * seconds)

    def test_interface(self) -> None:
        """What these tests have for a registry provides INameplates."""
        self.assertTrue(verifyObject(INameplates, self.alice.nameplates))

    def test_unanswered_try(self) -> None:
        """A try whose answer was lost is no reason to give up."""
        self.bob.nameplates.fates = iter(["good", "good", "unanswered"])
        self.join()
        self.pass_time(60)
        self.assertEqual((self.alice.met, self.bob.met), ([BOB.peer_id], [ALICE.peer_id]))

    def test_twice(self) -> None:
        """Who joins twice at the same time is told so, and loses nothing."""
        self.alice.invitations.stop()
        first, second = self.join(), self.join()
        self.pass_time(3)
        self.assertEqual(first, [])
        self.assertIn("wait for who made it", second[0].getErrorMessage())
        self.alice.start()
        self.pass_time(60)
        self.assertEqual(first, [ALICE.peer_id])

    def test_taken_back(self) -> None:
        """What was taken back while the inviter was away ends for the joiner, too, before long."""
        self.alice.invitations.stop()
        outcome = self.join()
        self.pass_time(20)
        self.table.release(self.place, ALICE.peer_id, self.clock.seconds())
        self.pass_time(200)
        self.assertEqual(outcome[0].type, InvitationRefused)
        self.assertEqual(self.bob.kept.tries, ())

    def test_forgotten_answer(self) -> None:
        """A registry that forgets between both answers leaves nobody with half a contact."""
        outcome = self.join()
        self.bob.invitations.stop()  # before he has looked
        self.alice.invitations.answered(self.place)
        self.assertEqual((self.alice.met, self.bob.met), ([BOB.peer_id], []))
        self.forget()
        self.alice.restart()
        self.pass_time(3600 // 2)
        self.forget()
        self.bob.start()
        self.pass_time(60)
        self.assertEqual((self.alice.met, self.bob.met), ([BOB.peer_id], [ALICE.peer_id]))
        for one in (self.alice, self.bob):
            self.assertEqual(one.kept, KeptInvitations())
        self.assertEqual(len(outcome), 1)

    def test_somebody_else_answers(self) -> None:
        """After a restart of the registry another try gets no answer: the invitation is used."""
        self.join()
        self.bob.invitations.stop()
        self.alice.invitations.answered(self.place)
        self.forget()
        self.pass_time(5)
        forged = dumps(FORGED.to_json()).decode()
        self.table.respond(self.place, forged, self.clock.seconds())
        self.pass_time(100)
        found = self.table.find(self.place, self.clock.seconds())
        assert found is not None
        self.assertEqual(found[0].completion, "")
        self.assertEqual(self.alice.met, [BOB.peer_id])

    def test_never_arrives(self) -> None:
        """An answer is kept for as long as the invitation lives; later it is looked at seldom."""
        self.join()
        self.bob.invitations.stop()
        self.alice.invitations.answered(self.place)
        self.pass_time(700)
        self.asked = 0
        self.alice.nameplates.fates = self.counted()
        self.pass_time(600)
        self.assertEqual(self.asked, 0)
        self.alice.invitations.look()
        self.assertEqual(self.asked, 1)
        self.pass_time(3000)
        self.alice.invitations.look()
        self.assertEqual(self.alice.kept, KeptInvitations())

    def counted(self) -> Iterator[str]:
        """Let every request succeed, and count them."""
        while True:
            self.asked += 1
            yield "good"

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(st.sampled_from(FATES), max_size=30),
        st.lists(st.sampled_from(["wait", "alice", "bob", "join", "registry"]), max_size=12),
        st.booleans(),
    )
    def test_anything(self, fates: list[str], steps: list[str], is_forged: bool) -> None:
        """Each meets the other, once, or nobody; both do, where nobody forges a try."""
        self.begin(iter(fates))
        if is_forged:
            forged = dumps(FORGED.to_json()).decode()
            self.table.respond(self.place, forged, self.clock.seconds())
        for step in ("join", *steps):
            if not (is_forged and step == "registry"):  # which would forget that
                self.step(step)
        for one in (self.alice, self.bob):
            one.nameplates.fates = good()
        for _ in range(3):  # whoever was told that the registry can't be asked tries again
            self.pass_time(150)
            if not self.bob.met and not self.bob.kept.tries:
                self.step("join")
        self.pass_time(150)
        met = ([], []) if is_forged else ([BOB.peer_id], [ALICE.peer_id])
        self.assertEqual((self.alice.met, self.bob.met), met)
        if is_forged:
            ended = [
                one.reason for one in self.alice.told if isinstance(one, events.InvitationEnded)
            ]
            self.assertEqual(ended, ["burnt"])
        self.clock.pump([60.0] * 61)  # until no invitation lives, whatever was done late
        for one in (self.alice, self.bob):
            one.invitations.look()
            self.assertEqual(one.kept, KeptInvitations())
            one.invitations.stop()
        self.assertEqual(self.flushLoggedErrors(), [])

    def step(self, step: str) -> None:
        """Do something, at a time that nobody chose."""
        match step:
            case "wait":
                self.pass_time(7)
            case "alice":
                self.alice.restart()
            case "bob":
                self.bob.restart()
            case "join":
                joined = self.bob.invitations.join(self.line)
                joined.addErrback(lambda failure: failure.trap(P2PChatError))
            case "registry":
                self.forget()

    def forget(self) -> None:
        """Start the registry again: it has forgotten all, and its peers register anew."""
        self.table = NameplateTable()
        for one in (self.alice, self.bob):
            one.nameplates.table = self.table
            one.invitations.look()
