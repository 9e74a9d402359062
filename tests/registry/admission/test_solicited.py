"""Who has called or answered whom."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.rates import UNSOLICITED, Rate, Rates
from p2pchat.registry.admission.solicited import (
    KEPT,
    SOLICITING,
    Correspondents,
    Shares,
    solicits,
    span,
)
from p2pchat.registry.registry import Settings
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Answer,
    Body,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    Offer,
    Refusal,
    Ringing,
    Sealed,
    Subscription,
)
from tests.registry.http.test_resource import ALICE, BOB, ResourceCase
from tests.registry.web import Web, identity

OFFER = Offer("s", Description("x", bytes(32), "ufrag", ()))
CANDIDATES = tuple(
    Candidate(CandidateType.SERVER_REFLEXIVE, (f"2001:db8:1:2:3:4:5:{number:x}", 40000))
    for number in range(1, MAX_CANDIDATES + 1)
)
LONG = Refusal("s", "declined", "x" * 512)


class CorrespondentsTests(SynchronousTestCase):
    """The memory of pairs."""

    def test_one_way(self) -> None:
        """That one wrote to another doesn't mean that the other wrote back."""
        pairs = Correspondents()
        pairs.wrote("a", "b", 0.0)
        self.assertTrue(pairs.has_written("a", "b", 1.0))
        self.assertFalse(pairs.has_written("b", "a", 1.0))
        self.assertFalse(pairs.has_written("a", "c", 1.0))

    def test_expires(self) -> None:
        """A pair is kept for so long after the last time, and then leaves nothing."""
        pairs = Correspondents()
        for at in (0.0, 10.0):
            pairs.wrote("a", "b", at)
        pairs.wrote("a", "c", 20.0)
        self.assertTrue(pairs.has_written("a", "b", KEPT + 9))
        self.assertFalse(pairs.has_written("a", "b", KEPT + 10))
        pairs.expire(KEPT + 10)
        self.assertEqual(len(pairs), 1)
        pairs.expire(KEPT + 20)
        self.assertEqual(len(pairs), 0)

    def test_bounded(self) -> None:
        """There are no more than so many; the one renewed longest ago goes."""
        pairs = Correspondents(capacity=2)
        for name in ("b", "c", "b", "d"):
            pairs.wrote("a", name, 0.0)
        self.assertEqual([pairs.has_written("a", one, 1.0) for one in "bcd"], [True, False, True])

    def test_kinds(self) -> None:
        """Only what a person meant makes a correspondent: not that a program rang or refused."""
        meant: list[Body] = [OFFER, Answer("s", Description("x", bytes(32), "ufrag", ()))]
        others: list[Body] = [Ringing("s"), Refusal("s", "busy"), Candidates("s", ())]
        meant.append(Sealed(bytes(SOLICITING)))
        others.append(Sealed(bytes(SOLICITING - 1)))
        self.assertEqual([solicits(one) for one in (*meant, *others)], [True] * 3 + [False] * 4)


class SharesTests(SynchronousTestCase):
    """The memory of what each author had."""

    def test_apart(self) -> None:
        """Authors count apart, and so do recipients."""
        shares = Shares(10.0)
        for size in (5, 6):
            shares.take("a", "b", 0.0, size)
        had = [shares.had(one[0], one[1], 1.0) for one in ("ab", "ba", "ac", "cb")]
        self.assertEqual(had, [11, 0, 0, 0])

    def test_begins_anew(self) -> None:
        """It counts for a span after the first document, and leaves nothing."""
        shares = Shares(10.0)
        shares.take("a", "b", 0.0, 5)
        shares.take("a", "b", 9.0, 5)
        shares.take("a", "c", 9.0, 5)
        self.assertEqual(shares.had("a", "b", 9.9), 10)
        self.assertEqual(shares.had("a", "b", 10.0), 0)
        shares.take("a", "b", 11.0, 7)
        shares.expire(19.0)
        self.assertEqual(len(shares), 1)
        self.assertEqual(shares.had("a", "b", 20.9), 7)
        shares.expire(21.0)
        self.assertEqual(len(shares), 0)

    def test_bounded(self) -> None:
        """There are no more than so many; the one that began first begins anew."""
        shares = Shares(10.0, 2)
        for name in "bcbd":
            shares.take("a", name, 0.0, 1)
        self.assertEqual([shares.had("a", name, 1.0) for name in "bcd"], [0, 1, 1])

    def test_span(self) -> None:
        """It is in proportion to the time in which the budget fills; without one it is 0."""
        self.assertEqual(span(UNSOLICITED), 64.0)
        self.assertEqual(span(Rate(0, 0)), 0.0)


class FloodTests(ResourceCase):
    """Strangers and friends, over HTTP."""

    def setUp(self) -> None:
        self.web = Web(Settings(rates=Rates(keys=Rate(0, 0), documents=Rate(0, 0))))
        for who in (ALICE, BOB):
            self.web.register(who)
            self.web.subscribe(who, self.web.signed(who, Subscription()))

    def send(self, author: int, body: Body = LONG) -> int:
        """Let one of many strangers send Bob a document; return how many bytes were taken."""
        stranger = identity(100 + author)
        token = self.web.signed(stranger, body, BOB.peer_id)
        answer = self.web.post(f"/deliver/{BOB.peer_id}", token)
        if answer.status == 202:
            return len(token)
        self.assertRefused(answer, 429, "too-many-strangers")
        self.assertEqual(answer.headers["retry-after"], "4")
        return 0

    def test_throw_away_keys(self) -> None:
        """However many strangers there are, a peer is sent no more; a friend gets through."""
        for number in range(200):
            self.web.register(identity(100 + number))
        taken = sum(self.send(number) for number in range(100))
        self.assertTrue(0.8 * UNSOLICITED.burst < taken <= UNSOLICITED.burst, taken)
        self.web.pass_time(10)
        later = sum(self.send(number) for number in range(100, 200))
        self.assertGreater(later, 0)
        self.assertLessEqual(taken + later, UNSOLICITED.burst + 10 * UNSOLICITED.rate)
        self.assertEqual(self.send(0), 0)
        offer = self.web.signed(BOB, OFFER, ALICE.peer_id)
        self.assertEqual(self.web.post(f"/deliver/{ALICE.peer_id}", offer).status, 202)
        for body in (
            Answer("s", Description("x", bytes(32), "ufrag", ())),
            Candidates("s", ()),
            LONG,
        ):
            token = self.web.signed(ALICE, body, BOB.peer_id)
            self.assertEqual(self.web.post(f"/deliver/{BOB.peer_id}", token).status, 202)

    def test_one_key(self) -> None:
        """Refusals of one key, as many as it has taken, keep out no offer of a forgotten friend."""
        self.web.register(identity(100))
        taken = sum(bool(self.send(0)) for _ in range(100))
        self.assertLess(taken, 20)
        longest = Offer("s", Description("x", bytes(32), "ufrag", CANDIDATES))
        for _ in range(3):
            token = self.web.signed(ALICE, longest, BOB.peer_id)
            answer = self.web.post(f"/deliver/{BOB.peer_id}", token)
            self.assertEqual(answer.status, 202)
        self.assertEqual(self.send(0), 0)
