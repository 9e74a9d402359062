"""Documents of a call that come late, twice, or from elsewhere; held links."""

from __future__ import annotations

import attrs

from p2pchat.session.call import ANSWER_TIMEOUT, CallStage
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Candidate,
    Candidates,
    CandidateType,
    NatWords,
    PeerDocument,
    Refusal,
    Ringing,
)
from tests.cases import each
from tests.session.calling import (
    ALICE,
    BOB,
    MORE,
    NOW,
    PATH,
    CallCase,
    calling,
)


class HeldLinkTests(CallCase):
    """Whether a new path continues the link of before."""

    def test_matrix(self) -> None:
        """It does exactly where both hold the same one, and both sides see it alike."""
        for ours, theirs in (("", ""), ("x", ""), ("", "x"), ("x", "y"), ("x", "x")):
            with self.subTest(ours=ours, theirs=theirs):
                self.alice = calling(1, ALICE, held=ours)
                self.bob = calling(2, BOB, held=theirs)
                self.checking()
                both = bool(ours) and ours == theirs
                self.assertEqual((self.alice.continues, self.bob.continues), (both, both))


class TrickleTests(CallCase):
    """Candidates that come after the offer or the answer."""

    def test_told(self) -> None:
        """News go to the other side while an offer is out or checks are on, and only then."""
        self.alice.candidates_changed()
        self.assertEqual(self.sent(self.alice), [])
        offer = self.offer()
        self.alice.candidates_changed()
        where = (Candidate(CandidateType.HOST, ALICE),)
        expected = [Candidates(offer.session, where, nat=NatWords("unknown", "", "unknown"))]
        self.assertEqual(self.sent(self.alice), expected)
        self.alice.cancel("cancelled")
        self.sent(self.alice)
        self.alice.candidates_changed()
        self.assertEqual(self.sent(self.alice), [])

    def test_repeated(self) -> None:
        """News of theirs makes ours go out again if there were any, until the checks are over."""
        self.checking()
        session = self.alice.session
        for number, changed, path in ((1, False, False), (2, True, False), (3, False, True)):
            if changed:
                self.alice.candidates_changed()
            if path:
                self.alice.path_found(PATH)
            self.sent(self.alice)
            news = Candidate(CandidateType.SERVER_REFLEXIVE, ("203.0.113.9", number))
            self.alice.receive(Candidates(session, (news,)), NOW)
            repeated = [one for one in self.sent(self.alice) if isinstance(one, Candidates)]
            self.assertEqual(len(repeated), number > 1, (number, changed, path))
        self.alice.attempt.give_up()
        self.alice.candidates_changed()
        self.assertEqual(self.sent(self.alice), [])

    def test_while_asking(self) -> None:
        """What comes while the person is asked is checked once they accept; within limits."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        flood = tuple(Candidate(CandidateType.HOST, ("203.0.113.1", n)) for n in range(1, 33))
        for batch in ((MORE,), (MORE,), flood, flood):
            self.bob.receive(Candidates(offer.session, batch), NOW)
        self.assertEqual(self.bob.agent.datagrams_to_send(NOW), [])
        self.bob.accept(NOW)
        self.sent(self.bob)
        sent = [one.destination for one in self.bob.agent.datagrams_to_send(NOW)]
        self.assertEqual(sent[:2], [ALICE, MORE.address])
        self.assertEqual(len(sent), MAX_CANDIDATES)


class StrayDocumentTests(CallCase):
    """Late, foreign and duplicate documents are ignored."""

    def strays(self, session: str) -> list[PeerDocument]:
        """Return a document of each type for a session; nobody has called yet."""
        answer = attrs.evolve(self.answer(), session=session)
        self.alice, self.bob = calling(1, ALICE), calling(2, BOB)
        return [
            answer,
            Ringing(session),
            Refusal(session, "declined"),
            Candidates(session, (MORE,)),
        ]

    @each("offering", "checking")
    def test_foreign(self, stage: str) -> None:
        """Documents of another session move nothing, whatever the stage."""
        strays = self.strays("another")
        self.offer() if stage == "offering" else self.checking()
        self.sent(self.alice)
        self.said(self.alice)
        for body in strays:
            self.ignoring(self.alice, body)

    def test_old_attempt(self) -> None:
        """The answer to an attempt that was given up comes too late, also during the pause."""
        answer = self.answer()
        self.alice.receive(answer, NOW)
        self.alice.round_failed(NOW + ANSWER_TIMEOUT)
        self.sent(self.alice)
        self.said(self.alice)
        self.ignoring(self.alice, answer)
        self.ignoring(self.alice, Ringing(answer.session))
        self.alice.handle_timer(NOW + ANSWER_TIMEOUT + 1)
        self.sent(self.alice)
        self.said(self.alice)
        self.ignoring(self.alice, answer)

    def test_duplicates(self) -> None:
        """An answer or RINGING that comes again, once the checks are on, is ignored."""
        answer = self.answer()
        self.alice.receive(answer, NOW)
        self.sent(self.alice)
        self.said(self.alice)
        self.ignoring(self.alice, answer)
        self.ignoring(self.alice, Ringing(answer.session))

    def test_called_side(self) -> None:
        """Who was asked takes no answer and no RINGING for an offer that wasn't theirs."""
        strays = self.strays("another")
        self.bob.offered(self.offer(), NOW)
        for body in strays[:2]:
            self.ignoring(self.bob, attrs.evolve(body, session=self.bob.session))

    def test_idle(self) -> None:
        """Nothing but a call or an offer moves a call that has neither."""
        for act in (
            lambda: self.alice.ask(NOW),
            lambda: self.alice.accept(NOW),
            lambda: self.alice.cancel("cancelled"),
            self.alice.candidates_changed,
            lambda: self.alice.repeat(NOW),
            lambda: self.alice.hurry(NOW),
            lambda: self.alice.path_found(PATH),
            lambda: self.alice.round_failed(NOW),
            lambda: self.alice.receive(Ringing(""), NOW),
        ):
            act()
            self.assertIs(self.alice.stage, CallStage.IDLE)
        self.assertEqual((self.sent(self.alice), self.said(self.alice)), ([], []))
        self.assertEqual((self.alice.reports(), self.alice.get_timer()), ((), None))

    def test_over(self) -> None:
        """Nothing moves what is over."""
        self.checking()
        self.alice.path_found(PATH)
        self.sent(self.alice)
        self.said(self.alice)
        for body in (Refusal(self.alice.session, "declined"), Ringing(self.alice.session)):
            self.ignoring(self.alice, body)
        self.alice.cancel("cancelled")
        self.assertIs(self.alice.stage, CallStage.SETTLED)
