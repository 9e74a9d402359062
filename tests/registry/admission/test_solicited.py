"""Who has called or answered whom."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.sealing import OVERHEAD, SHORTER, STEP
from p2pchat.registry.admission.rates import UNSOLICITED, Rate, Rates
from p2pchat.registry.admission.solicited import (
    KEPT,
    Correspondents,
    Shares,
    solicits,
    span,
)
from p2pchat.registry.registry import Settings
from p2pchat.wire.documents import (
    MAX_CIPHERTEXT,
    Body,
    Document,
    Registration,
    Sealed,
    Subscription,
)
from tests.registry.http.test_resource import ALICE, BOB, ResourceCase
from tests.registry.web import Web, identity

OFFER = Sealed(bytes(OVERHEAD + STEP))  # with a dozen candidates, and padded
LONGEST = Sealed(bytes(OVERHEAD + 12 * STEP))  # with as much in it as there may be
LONG = Sealed(bytes(OVERHEAD + 3 * STEP - SHORTER))  # a refusal with as many words


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

    def test_lengths(self) -> None:
        """What is as long as offers are makes a correspondent, and nothing of other lengths."""
        others = (*map(Sealed, map(bytes, (0, OVERHEAD, OVERHEAD + STEP - 1))), LONG)
        bodies: tuple[Body, ...] = (OFFER, LONGEST, *others, Registration("x"))
        documents = [Document("a", "b", 0.0, "n", one) for one in bodies]
        self.assertEqual([solicits(one) for one in documents], [True] * 2 + [False] * 5)


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
        for number in range(400):
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
        for body in (OFFER, LONG):
            token = self.web.signed(ALICE, body, BOB.peer_id)
            self.assertEqual(self.web.post(f"/deliver/{BOB.peer_id}", token).status, 202)

    def test_one_key(self) -> None:
        """Refusals of one key, as many as it has taken, keep out no offer of a forgotten friend."""
        self.web.register(identity(100))
        taken = sum(bool(self.send(0)) for _ in range(100))
        self.assertLess(taken, 20)
        for body in (*[LONGEST] * 4, LONG):
            token = self.web.signed(ALICE, body, BOB.peer_id)
            answer = self.web.post(f"/deliver/{BOB.peer_id}", token)
            self.assertEqual(answer.status, 202 if body is LONGEST else 429)
        self.assertEqual(self.send(0), 0)

    def test_answer(self) -> None:
        """The longest of all passes where its reader asked for it, whatever strangers sent."""
        for number in range(100):
            self.web.register(identity(100 + number))
            self.send(number)
        offer = self.web.signed(BOB, OFFER, ALICE.peer_id)
        self.assertEqual(self.web.post(f"/deliver/{ALICE.peer_id}", offer).status, 202)
        answer = self.web.signed(ALICE, Sealed(bytes(MAX_CIPHERTEXT)), BOB.peer_id)
        self.assertGreater(len(answer), 9_600)
        self.assertEqual(self.web.post(f"/deliver/{BOB.peer_id}", answer).status, 202)
