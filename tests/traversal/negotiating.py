"""Two negotiations; the test carries their documents."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.agent import Agent
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.negotiation import (
    Negotiation,
    NegotiationEvent,
    Stage,
)
from p2pchat.traversal.punching import Path
from p2pchat.traversal.relays import Relays
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import (
    Answer,
    Candidate,
    CandidateType,
    Delivered,
    Offer,
)

NOW = 100.0
ALICE, BOB = ("198.51.100.1", 1001), ("198.51.100.2", 2002)
MORE = Candidate(CandidateType.SERVER_REFLEXIVE, ("203.0.113.9", 9))
PATH = Path(BOB, CandidateType.HOST, CandidateType.HOST, 0.02)


def negotiation(
    seed: int, address: Address, held: str = "", attempts: int = 3, patient: bool = False
) -> Negotiation:
    """Return a negotiation of somebody with one address."""
    random = Random(seed)
    gathering, relays = DualGathering((address,), random.randbytes), Relays(random.randbytes)
    agent = Agent(gathering, relays, False, random.randbytes)
    return Negotiation(agent, f"peer{seed}", held, attempts, patient, random.randbytes)


def said(one: Negotiation) -> list[NegotiationEvent]:
    """Return the events that wait."""
    found = []
    while (event := one.next_event()) is not None:
        found.append(event)
    return found


class NegotiationCase(SynchronousTestCase):
    """Alice calls, Bob is called; the test carries their documents."""

    def setUp(self) -> None:
        self.alice, self.bob = negotiation(1, ALICE), negotiation(2, BOB)

    def offer(self, now: float = NOW) -> Offer:
        """Let Alice call; returns her offer."""
        self.alice.call(now)
        (offer,) = self.alice.take_documents()
        assert isinstance(offer, Offer)
        return offer

    def answer(self) -> Answer:
        """Let Alice call and Bob accept; returns his answer."""
        self.bob.offered(self.offer(), NOW)
        self.bob.accept(NOW)
        (answer,) = self.bob.take_documents()
        assert isinstance(answer, Answer)
        return answer

    def checking(self) -> None:
        """Let both check, their events told."""
        self.alice.receive(self.answer(), NOW)
        for one in (self.alice, self.bob):
            self.assertIs(one.stage, Stage.CHECKING)
            said(one)

    def ignoring(self, one: Negotiation, body: Delivered) -> None:
        """This document changes nothing and is answered by nothing."""
        before = (one.stage, one.session, one.get_timer())
        one.receive(body, NOW + 1)
        self.assertEqual((one.stage, one.session, one.get_timer()), before)
        self.assertEqual((one.take_documents(), said(one)), ([], []))
