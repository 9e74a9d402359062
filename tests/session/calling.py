"""Two calls; the test carries their documents."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.exchange import PeerIds
from p2pchat.session.call import Call, CallStage
from p2pchat.session.call_events import Agreed, CallEvent, SendDocument
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.relays import Relays
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import (
    Answer,
    Candidate,
    CandidateType,
    Offer,
    PeerDocument,
)
from tests.identity import people

NOW = 100.0
ALICE, BOB = ("198.51.100.1", 1001), ("198.51.100.2", 2002)
MORE = Candidate(CandidateType.SERVER_REFLEXIVE, ("203.0.113.9", 9))
FLIGHTS = {True: (b"a" * 1200, b"b" * 1200), False: (b"c" * 1200,)}  # by who dials
PATH = Path(BOB, CandidateType.HOST, CandidateType.HOST, 0.02)


def calling(
    seed: int, address: Address, held: str = "", attempts: int = 3, patient: bool = False
) -> Call:
    """Return a call of somebody with one address."""
    random = Random(seed)
    gathering, relays = DualGathering((address,), random.randbytes), Relays(random.randbytes)
    agent = Agent(gathering, relays, False, random.randbytes)
    ids = (people.ALICE.peer_id, people.BOB.peer_id)
    peer_ids = PeerIds(*(ids if seed % 2 else reversed(ids)))
    return Call(agent, peer_ids, f"peer{seed}", held, attempts, patient, random.randbytes)


class CallCase(SynchronousTestCase):
    """Alice calls, Bob is called; the test carries their documents."""

    def setUp(self) -> None:
        self.alice, self.bob = calling(1, ALICE), calling(2, BOB)
        self._outboxes: dict[Call, tuple[list[PeerDocument], list[CallEvent]]] = {}

    def outbox(self, one: Call) -> tuple[list[PeerDocument], list[CallEvent]]:
        """
        Take what a call has to give; returns the documents and the other events that wait.

        What both agreed on is followed by the checks, with a flight.
        """
        documents, events = self._outboxes.setdefault(one, ([], []))
        while (event := one.next_event()) is not None:
            if isinstance(event, SendDocument):
                documents.append(event.body)
                continue
            if isinstance(event, Agreed):
                one.check(FLIGHTS[event.dials], NOW)
            events.append(event)
        return documents, events

    def sent(self, one: Call) -> list[PeerDocument]:
        """Return, and forget, the documents that a call sent."""
        documents, _ = self.outbox(one)
        sent = documents[:]
        documents.clear()
        return sent

    def said(self, one: Call) -> list[CallEvent]:
        """Return, and forget, the other events of a call."""
        _, events = self.outbox(one)
        said = events[:]
        events.clear()
        return said

    def offer(self, now: float = NOW) -> Offer:
        """Let Alice call; returns her offer."""
        self.alice.call(now)
        (offer,) = self.sent(self.alice)
        assert isinstance(offer, Offer)
        return offer

    def answer(self) -> Answer:
        """Let Alice call and Bob accept; returns his answer."""
        self.bob.offered(self.offer(), NOW)
        self.bob.accept(NOW)
        (answer,) = self.sent(self.bob)
        assert isinstance(answer, Answer)
        return answer

    def checking(self) -> None:
        """Let both check, their events told."""
        self.alice.receive(self.answer(), NOW)
        for one in (self.alice, self.bob):
            self.assertIs(one.stage, CallStage.CHECKING)
            self.said(one)

    def ignoring(self, one: Call, body: PeerDocument) -> None:
        """This document changes nothing and is answered by nothing."""
        before = (one.stage, one.session, one.get_timer())
        one.receive(body, NOW + 1)
        self.assertEqual((one.stage, one.session, one.get_timer()), before)
        self.assertEqual((self.sent(one), self.said(one)), ([], []))
