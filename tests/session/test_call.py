"""One call: each arrow of its picture."""

from __future__ import annotations

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.call import (
    ANSWER_PAUSE,
    ANSWER_TIMEOUT,
    ANSWER_TRIPS,
    MAX_ANSWERS,
    PAUSES,
    RING_TIMEOUT,
    STREAM_RENEWAL,
    CallStage,
)
from p2pchat.session.call_events import (
    Agreed,
    AttemptBegan,
    CallEnded,
    ChecksBegan,
    DeliveryFailure,
    PathReady,
    PeerRings,
    StreamDoubted,
)
from p2pchat.session.retry_after import JITTER
from p2pchat.traversal.attempt import MAX_REPEATS
from p2pchat.wire.documents import (
    Candidate,
    Candidates,
    CandidateType,
    Offer,
    PeerDocument,
    Refusal,
    Ringing,
)
from tests.cases import each
from tests.session.calling import (
    ALICE,
    BOB,
    FLIGHTS,
    NOW,
    PATH,
    CallCase,
    calling,
)


class CallingTests(CallCase):
    """The caller's side."""

    def test_offer(self) -> None:
        """idle to offering: the offer says who, where and how; the attempt is told."""
        offer = self.offer()
        self.assertIs(self.alice.stage, CallStage.OFFERING)
        alice = offer.description
        self.assertEqual((alice.username, alice.link), ("peer1", ""))
        self.assertEqual(alice.candidates, (Candidate(CandidateType.HOST, ALICE),))
        self.assertEqual((offer.session, alice.ufrag), (self.alice.session, self.alice.ufrag))
        self.assertEqual(self.said(self.alice), [AttemptBegan(1)])
        self.assertTrue(self.alice.is_calling)

    def test_answer(self) -> None:
        """offering to checking: checks go out at full TTL and the other side is told so."""
        self.alice.receive(self.answer(), NOW)
        self.assertIs(self.alice.stage, CallStage.CHECKING)
        self.assertEqual(self.sent(self.alice), [Candidates(self.alice.session, (), True)])
        check, *flight = self.alice.agent.datagrams_to_send(NOW)
        self.assertEqual((check.destination, check.ttl), (BOB, None))
        self.assertEqual(tuple(one.data for one in flight), FLIGHTS[False])
        self.assertEqual(self.said(self.alice)[2:], [ChecksBegan(("198.51.100.2:2002",))])
        self.assertIsNone(self.alice.get_timer())

    def test_ringing(self) -> None:
        """offering to ringing: a person has RING_TIMEOUT to decide; then the offer goes."""
        offer = self.offer()
        self.alice.receive(Ringing(offer.session), NOW + 1)
        self.assertIs(self.alice.stage, CallStage.RINGING)
        self.assertEqual(self.said(self.alice)[1:], [PeerRings()])
        self.assertEqual(self.alice.get_timer(), NOW + 1 + RING_TIMEOUT)
        self.alice.handle_timer(NOW + 1 + RING_TIMEOUT)
        self.assertEqual(self.sent(self.alice), [Refusal(offer.session, "cancelled")])
        (failed,) = self.said(self.alice)
        assert isinstance(failed, CallEnded)
        self.assertEqual((failed.reason, self.alice.stage), ("no-answer", CallStage.ENDED))

    def test_answer_after_ringing(self) -> None:
        """ringing to checking."""
        answer = self.answer()
        self.alice.receive(Ringing(answer.session), NOW)
        self.alice.receive(answer, NOW + 60)
        self.assertIs(self.alice.stage, CallStage.CHECKING)

    def test_path(self) -> None:
        """checking to settled, on the link that is named by the session."""
        self.checking()
        self.alice.path_found(PATH)
        self.assertEqual(self.said(self.alice), [PathReady(self.alice.session, PATH, False)])
        self.assertTrue(self.alice.is_over)
        self.alice.path_found(PATH)
        self.alice.round_failed(NOW)
        self.assertEqual(self.said(self.alice), [])

    def test_retries(self) -> None:
        """No answer: makes the same offer again after each pause; then it has failed."""
        offers: list[PeerDocument] = []
        now = NOW
        for pause in (*PAUSES[:2], None):
            offers.append(self.offer(now) if not offers else self.sent(self.alice)[0])
            self.assertEqual(self.said(self.alice), [AttemptBegan(len(offers))])
            self.assertEqual(self.alice.get_timer(), now + ANSWER_TIMEOUT)
            now += ANSWER_TIMEOUT
            self.alice.handle_timer(now)
            if pause is not None:
                self.assertIs(self.alice.stage, CallStage.PAUSING)
                self.assertEqual(self.alice.get_timer(), now + pause)
                now += pause
                self.alice.handle_timer(now)
        (failed,) = self.said(self.alice)
        assert isinstance(failed, CallEnded)
        self.assertEqual((failed.reason, self.alice.get_timer()), ("no-answer", None))
        described = [one.description for one in offers if isinstance(one, Offer)]
        self.assertEqual(len({one.session for one in offers}), 1)
        self.assertEqual(len({one.exchange for one in described}), 1)
        self.assertEqual(len({one.ufrag for one in described}), 1)

    def test_attempt_anew(self) -> None:
        """No path: offers again after a pause, all of it new."""
        first = self.offer()
        self.bob.offered(first, NOW)
        self.bob.accept(NOW)
        (answer,) = self.sent(self.bob)
        self.alice.receive(answer, NOW)
        self.sent(self.alice)
        self.alice.round_failed(NOW + 5)
        self.alice.handle_timer(NOW + 5 + PAUSES[0])
        (second,) = self.sent(self.alice)
        assert isinstance(second, Offer)
        self.assertNotEqual(second.session, first.session)
        self.assertNotEqual(second.description.exchange, first.description.exchange)
        self.assertNotEqual(second.description.ufrag, first.description.ufrag)

    @each((0.0,), (PAUSES[0],))
    def test_late_answer(self, later: float) -> None:
        """An answer that comes in the pause, or after the offer was repeated, is as good."""
        answer = self.answer()
        self.alice.handle_timer(NOW + ANSWER_TIMEOUT)
        self.alice.handle_timer(NOW + ANSWER_TIMEOUT + later)
        self.alice.receive(answer, NOW + ANSWER_TIMEOUT + later)
        self.assertIs(self.alice.stage, CallStage.CHECKING)
        self.assertEqual(len([one for one in self.said(self.alice) if isinstance(one, Agreed)]), 1)

    def test_answered_again(self) -> None:
        """Who has answered the same offer already answers again, with more time for its checks."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        self.bob.accept(NOW)
        (first,) = self.sent(self.bob)
        self.bob.offered_again(offer, NOW + ANSWER_PAUSE / 2)  # on its way twice
        self.assertEqual(self.sent(self.bob), [])
        self.bob.offered_again(offer, NOW + ANSWER_TIMEOUT)
        (second,) = self.sent(self.bob)
        self.assertEqual(second, first)
        for _ in range(2 * MAX_REPEATS):
            self.bob.offered_again(offer, NOW + 100)
        self.assertLess(len(self.sent(self.bob)), MAX_REPEATS)

    def test_asked_again(self) -> None:
        """Who is asking its person says so again; who has declined does."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        self.bob.ask(NOW)
        self.sent(self.bob)
        self.bob.offered_again(offer, NOW + 4)
        self.assertEqual(self.sent(self.bob), [Ringing(offer.session)])
        self.bob.cancel("declined")
        refused = self.sent(self.bob)
        self.bob.offered_again(offer, NOW + 8)
        self.assertEqual(self.sent(self.bob), refused)

    def test_far_registry(self) -> None:
        """Where the registry is far an answer has longer; so it has after a slow delivery."""
        self.alice.rtt = lambda: 2.0
        offer = self.offer()
        self.assertEqual(self.alice.get_timer(), NOW + ANSWER_TRIPS * 2.0)
        self.assertEqual(offer.description.rtt, 2000)
        self.alice.delivered(offer.session, NOW + 4)
        self.assertEqual(self.alice.get_timer(), NOW + ANSWER_TRIPS * 4.0)

    def test_doubted_stream(self) -> None:
        """Where the registry took an offer that nobody answers the stream is doubted, once."""
        offer, now = self.offer(), NOW
        for _ in range(3):
            self.alice.delivered(offer.session, now)
            now = self.alice.get_timer() or 0.0
            self.alice.handle_timer(now)
            now = self.alice.get_timer() or 0.0
            self.alice.handle_timer(now)
        said = self.said(self.alice)
        self.assertEqual(said.count(StreamDoubted()), 1)
        self.assertIsInstance(said[-1], CallEnded)

    @each((1, 0.02), (3, 0.02), (3, 0.7))
    def test_blame(self, attempts: int, trip: float) -> None:
        """The last offer has time for a dead stream to be renewed; then it may have been that."""
        self.alice.attempts, self.alice.rtt = attempts, lambda: trip
        offer, now = self.offer(), NOW
        while self.alice.stage is not CallStage.ENDED:
            self.alice.delivered(offer.session, now)
            now = self.alice.get_timer() or 0.0
            self.alice.handle_timer(now)
        self.assertGreaterEqual(now, NOW + STREAM_RENEWAL + 6 * trip)
        self.assertLess(now, NOW + 20)
        *_, failed = self.said(self.alice)
        assert isinstance(failed, CallEnded)
        self.assertIn("their connection to the registry is dead", failed.explanation)

    def test_blame_of_the_registry(self) -> None:
        """Where the registry took nothing nobody else is blamed."""
        self.alice.attempts = 1
        self.offer()
        self.alice.handle_timer(NOW + ANSWER_TIMEOUT)
        *_, failed = self.said(self.alice)
        assert isinstance(failed, CallEnded)
        self.assertIn("the registry hasn't taken the offer", failed.explanation)

    def test_undelivered(self) -> None:
        """Where nothing says that it did, it isn't."""
        self.offer()
        self.alice.handle_timer(NOW + ANSWER_TIMEOUT)
        self.assertNotIn(StreamDoubted(), self.said(self.alice))

    def test_long_patience(self) -> None:
        """After the last of PAUSES it repeats."""
        self.alice.attempts = 100
        self.offer()
        pauses = []
        for _ in range(len(PAUSES) + 2):
            now = self.alice.get_timer() or 0.0
            self.alice.handle_timer(now)
            pauses.append(round((self.alice.get_timer() or 0.0) - now, 6))
            self.alice.handle_timer(self.alice.get_timer() or 0.0)
        self.assertEqual(pauses, [*PAUSES, PAUSES[-1], PAUSES[-1]])

    def test_no_path(self) -> None:
        """checking to pausing: a failed round is followed by a fresh offer, its checks end."""
        self.checking()
        ufrag = self.alice.ufrag
        self.alice.round_failed(NOW + 5)
        self.assertIs(self.alice.stage, CallStage.PAUSING)
        self.assertIsNone(self.alice.agent.attempt(ufrag))
        self.alice.handle_timer(NOW + 5 + PAUSES[0])
        self.assertEqual(self.said(self.alice), [AttemptBegan(2)])
        first, second = self.alice.reports()
        self.assertEqual((first.failure, second.failure), ("no check got through", ""))
        self.assertGreater(second.began_ms, first.began_ms + 5000)

    @each(
        ("declined", "", "they declined"),
        ("busy", "", "they are busy"),
        ("busy", "on another call", "they are busy: on another call"),
        ("no-answer", "", "nobody answered"),
    )
    def test_refused(self, reason: str, detail: str, explanation: str) -> None:
        """A refusal ends it from any stage, with our sentence for its word, and theirs behind."""
        offer = self.offer()
        self.alice.receive(Refusal(offer.session, reason, detail), NOW)
        self.assertEqual(self.said(self.alice)[1:], [CallEnded(reason, explanation)])
        self.assertEqual(self.sent(self.alice), [])

    def test_hung_up(self) -> None:
        """A refusal while checks are under way isn't the network's fault, whatever its word."""
        self.checking()
        self.said(self.alice)
        self.alice.receive(Refusal(self.alice.session, "cancelled"), NOW)
        self.assertIs(self.alice.stage, CallStage.ENDED)
        (failed,) = self.said(self.alice)
        assert isinstance(failed, CallEnded)
        self.assertEqual(failed.reason, "declined")
        self.assertIn("hung up", failed.explanation)

    @each("cancelled", "closed", "lost", "no-path", "peer-offline", "moonlight")
    def test_words_of_ours(self, word: str) -> None:
        """No refusal claims what only this side, or the registry, can know."""
        offer = self.offer()
        self.alice.receive(Refusal(offer.session, word), NOW)
        self.assertEqual(self.said(self.alice)[1:], [CallEnded("declined", "they declined")])

    def test_undeliverable(self) -> None:
        """An unknown peer ends it at once; trouble, offline included, is tried again."""
        for reason, patient, expected in (
            ("unknown-peer", False, CallStage.ENDED),
            ("peer-offline", False, CallStage.PAUSING),
            ("unknown-peer", True, CallStage.PAUSING),
            ("peer-offline", True, CallStage.PAUSING),
            ("registry", False, CallStage.PAUSING),
        ):
            self.alice = calling(1, ALICE, patient=patient)
            offer = self.offer()
            stray = attrs.evolve(offer, session="another")
            self.alice.undeliverable(DeliveryFailure(stray, reason, "no"), NOW)
            self.assertIs(self.alice.stage, CallStage.OFFERING)
            self.alice.undeliverable(DeliveryFailure(offer, reason, "no such peer"), NOW)
            self.assertIs(self.alice.stage, expected)
            failure = "no such peer" if reason == "registry" else "they aren't online"
            self.assertIn(failure, self.alice.reports()[0].failure)

    def refuse(self, retry_after: float | None, now: float = NOW) -> None:
        """Let the registry refuse Alice's offer, and ask for so many seconds."""
        document = Candidates(self.alice.session, ())
        self.alice.undeliverable(
            DeliveryFailure(document, "too-many-requests", "slow down", retry_after), now
        )

    def test_asked_to_wait(self) -> None:
        """The next offer comes no sooner than the registry asks, and soon after that."""
        for retry_after in (1.0, 2.0, PAUSES[-1]):
            self.alice = calling(1, ALICE)
            self.offer()
            self.refuse(retry_after)
            self.assertIs(self.alice.stage, CallStage.PAUSING)
            wait = (self.alice.get_timer() or 0.0) - NOW
            self.assertGreaterEqual(wait, retry_after)
            self.assertLessEqual(wait, retry_after * (1 + JITTER))
            self.alice.handle_timer(NOW + wait)
            self.assertIs(self.alice.stage, CallStage.OFFERING)

    def test_asked_for_less(self) -> None:
        """Our own pause is kept where it is longer than what the registry asks for."""
        self.offer()
        self.refuse(0.0)
        self.assertEqual(self.alice.get_timer(), NOW + PAUSES[0])

    def test_asked_for_too_long(self) -> None:
        """A person who waits for the call is told at once; a rescue waits, however long it is."""
        for patient, stage in ((False, CallStage.ENDED), (True, CallStage.PAUSING)):
            self.alice = calling(1, ALICE, patient=patient)
            self.offer()
            self.said(self.alice)
            self.refuse(60.0)
            self.assertIs(self.alice.stage, stage)
            told = [CallEnded("too-many-requests", "slow down")]
            self.assertEqual(self.said(self.alice), [] if patient else told)
        self.assertGreaterEqual(self.alice.get_timer() or 0.0, NOW + 60)

    def test_asked_late(self) -> None:
        """A refusal may come when we have given the registry up: it counts all the same."""
        for retry_after, stage in ((6.0, CallStage.PAUSING), (60.0, CallStage.ENDED)):
            self.alice = calling(1, ALICE)
            self.offer()
            self.alice.handle_timer(NOW + ANSWER_TIMEOUT)
            self.assertIs(self.alice.stage, CallStage.PAUSING)
            self.refuse(retry_after, NOW + ANSWER_TIMEOUT)
            self.assertIs(self.alice.stage, stage)
            self.assertEqual(len(self.alice.reports()), 1)
            if stage is CallStage.PAUSING:
                self.assertGreaterEqual(self.alice.get_timer() or 0.0, NOW + ANSWER_TIMEOUT + 6)

    def test_hurry(self) -> None:
        """A network that is back ends a pause; but not the time that the registry asked for."""
        for retry_after in (None, 6.0):
            self.alice = calling(1, ALICE)
            self.offer()
            self.refuse(retry_after)
            self.alice.hurry(NOW + 0.1)
            paused = CallStage.OFFERING if retry_after is None else CallStage.PAUSING
            self.assertIs(self.alice.stage, paused)
        self.assertGreaterEqual(self.alice.get_timer() or 0.0, NOW + 6)
        self.alice.hurry(NOW + 6 * (1 + JITTER))
        self.assertIs(self.alice.stage, CallStage.OFFERING)

    def test_cancel(self) -> None:
        """Taking the offer back tells the other side, and nobody here."""
        offer = self.offer()
        self.said(self.alice)
        self.alice.cancel("cancelled")
        self.alice.cancel("cancelled")
        self.assertEqual(self.sent(self.alice), [Refusal(offer.session, "cancelled")])
        self.assertEqual((self.said(self.alice), self.alice.get_timer()), ([], None))

    def test_withdraw(self) -> None:
        """An offer that gives way to theirs goes without a word."""
        self.offer()
        self.alice.withdraw()
        self.assertEqual((self.sent(self.alice), self.alice.stage), ([], CallStage.ENDED))

    def test_unfit_key(self) -> None:
        """An answer whose key makes no secret is refused; a good one may still come."""
        answer = self.answer()
        unfit = attrs.evolve(answer.description, exchange=bytes(32))
        bad = attrs.evolve(answer, description=unfit)
        self.assertRaises(RemoteProtocolError, self.alice.receive, bad, NOW)
        self.alice.receive(answer, NOW)
        self.assertIs(self.alice.stage, CallStage.CHECKING)


class CalledTests(CallCase):
    """The called side."""

    def test_ask(self) -> None:
        """idle to asking: the caller hears that it rings; nothing is sent to its addresses."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        self.bob.ask(NOW)
        self.assertEqual(self.sent(self.bob), [Ringing(offer.session)])
        self.assertEqual(self.bob.get_timer(), NOW + RING_TIMEOUT)
        self.assertEqual(self.bob.agent.datagrams_to_send(NOW), [])
        self.assertFalse(self.bob.is_calling or self.bob.is_over)

    def test_accept(self) -> None:
        """asking to checking: checks go out first with a low TTL, and the answer follows."""
        answer = self.answer()
        self.assertEqual(answer.session, self.alice.session)
        self.assertEqual(answer.description.candidates, (Candidate(CandidateType.HOST, BOB),))
        (sent,) = self.bob.agent.datagrams_to_send(NOW)
        self.assertEqual(sent.destination, ALICE)
        self.assertIsNotNone(sent.ttl)
        self.bob.path_found(PATH)
        self.assertEqual(self.said(self.bob)[-1], PathReady(answer.session, PATH, False))

    def test_caller_began(self) -> None:
        """The caller's CANDIDATES ends the low TTL."""
        self.checking()
        self.bob.agent.datagrams_to_send(NOW)
        self.bob.receive(self.sent(self.alice)[0], NOW)
        self.assertEqual([one.ttl for one in self.bob.agent.datagrams_to_send(NOW)], [None])

    def test_accept_nothing(self) -> None:
        """Accepting without an offer, or twice, does nothing."""
        self.bob.accept(NOW)
        self.assertIs(self.bob.stage, CallStage.IDLE)
        self.answer()
        self.bob.accept(NOW)
        self.assertEqual(self.sent(self.bob), [])

    def test_expired(self) -> None:
        """asking to ended: after RING_TIMEOUT the caller is told that nobody answered."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        self.bob.ask(NOW)
        self.bob.handle_timer(NOW + RING_TIMEOUT)
        self.assertEqual(self.sent(self.bob)[1:], [Refusal(offer.session, "no-answer")])
        self.assertIs(self.bob.stage, CallStage.ENDED)

    def test_gone(self) -> None:
        """checking to ended: the caller isn't there for our answer, nor a moment later."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        self.bob.accept(NOW)
        (answer,) = self.sent(self.bob)
        self.said(self.bob)
        lost, now = DeliveryFailure(answer, "peer-offline", "offline"), NOW
        for _ in range(MAX_ANSWERS):
            self.bob.undeliverable(lost, now)
            self.assertEqual(self.said(self.bob), [])
            now += ANSWER_PAUSE
            self.bob.handle_timer(now)
        self.assertEqual(self.sent(self.bob), MAX_ANSWERS * [answer], "the same one, again")
        self.bob.undeliverable(attrs.evolve(lost, body=Candidates(offer.session, ())), now)
        self.assertEqual(self.said(self.bob), [], "another document than the answer")
        self.bob.undeliverable(lost, now)
        (failed,) = self.said(self.bob)
        assert isinstance(failed, CallEnded)
        self.assertEqual(failed.reason, "peer-offline")
        self.assertIn("they are gone", failed.explanation)

    def test_taken_back(self) -> None:
        """asking to ended: the caller took the offer back."""
        offer = self.offer()
        self.bob.offered(offer, NOW)
        self.bob.receive(Refusal(offer.session, "cancelled"), NOW)
        self.assertEqual(self.said(self.bob), [CallEnded("cancelled", "they took the offer back")])

    def test_no_path(self) -> None:
        """checking to ended: it is the caller who offers afresh."""
        self.checking()
        self.bob.round_failed(NOW + 5)
        (failed,) = self.said(self.bob)
        assert isinstance(failed, CallEnded)
        self.assertEqual((failed.reason, self.bob.stage), ("no-path", CallStage.ENDED))
        self.assertEqual((self.bob.get_timer(), self.sent(self.bob)), (None, []))

    def test_unfit_key(self) -> None:
        """An offer whose key makes no secret can't be accepted."""
        offer = self.offer()
        unfit = attrs.evolve(offer.description, exchange=bytes(32))
        self.bob.offered(attrs.evolve(offer, description=unfit), NOW)
        self.assertRaises(RemoteProtocolError, self.bob.accept, NOW)
        self.assertEqual(self.sent(self.bob), [])


class KnownTests(CallCase):
    """What the checks are told of the peer."""

    def test_known(self) -> None:
        """Whether the peer is known is the attempt's, too, of both who calls and who is called."""
        self.alice.has_priority = self.bob.has_priority = True
        self.checking()
        for one in (self.alice, self.bob):
            attempt = one.agent.attempt(one.ufrag)
            assert attempt is not None
            self.assertTrue(attempt.has_priority)
