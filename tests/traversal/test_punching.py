"""One attempt to join two sockets: from candidates to a path, kept or moved."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.checks import REFLEXIVE_PREFERENCE, RELAYED_PREFERENCE, CheckCredentials
from p2pchat.traversal.pairs import RELAY_WAIT, RESEND_AFTER
from p2pchat.traversal.punching import (
    FIRST_ROUND,
    IMPROVE_INTERVAL,
    LATER_ROUND,
    LOW_TTL,
    LOW_TTL_PHASE,
    AttemptPhase,
)
from p2pchat.traversal.routes import RELAYS, Route
from p2pchat.traversal.selection import FAIR_RTTS, FAIR_WAIT
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType
from tests.cases import each
from tests.traversal.attempt_ends import (
    A1,
    A2,
    B1,
    B2,
    ELSEWHERE,
    KEY,
    End,
    PunchingCase,
    end,
    host,
)
from tests.traversal.fake_wire import Link
from tests.traversal.outboxes import checks_of

RELAY = f"{RELAYS}1"
THEIRS = CheckCredentials("bbbb", "aaaa", KEY)


class FirstRoundTests(PunchingCase):
    """From candidates to a path, or to none."""

    def test_joins(self) -> None:
        """Both have the path after a round trip or two, and know its type and time."""
        self.wire.link(A1, B1)
        self.begin(B1)
        spent = self.wire.run_until(lambda: self.alice.moves and self.bob.moves)
        self.assertLess(spent, 0.041)
        (path,) = self.alice.moves
        self.assertEqual((path.address, path.local, path.remote), (B1, *[CandidateType.HOST] * 2))
        self.assertAlmostEqual(path.rtt, 0.02)
        self.assertEqual(self.path(self.bob), A1)

    def test_completes(self) -> None:
        """The round ends, and then there is silence."""
        self.joined()
        self.wire.run(1)
        self.assertEqual(
            (self.alice.ends, self.bob.ends), ([AttemptPhase.COMPLETED], [AttemptPhase.COMPLETED])
        )
        self.assertIsNone(self.alice.get_timer())
        sent = len(self.alice.sent)
        self.wire.run(100)
        self.assertEqual(len(self.alice.sent), sent)

    @each(*range(20))
    def test_loss(self, seed: int) -> None:
        """A third of all datagrams lost and the rest shuffled cost less than a second."""
        self.lay(seed)
        self.joined(Link(loss=0.33, jitter=0.02, twice=0.2))
        self.assertLess(self.wire.now - 100, 1)

    def test_resent_fast(self) -> None:
        """A check that isn't answered is sent again after the times of RESEND_AFTER."""
        self.alice.punching.begin(host(B1), 100.0, False)
        times: list[float] = []
        now = 100.0
        while len(times) < len(RESEND_AFTER) + 2:
            times += [now] * len(checks_of(self.alice.punching))
            now = self.alice.get_timer() or 0.0
            self.alice.handle_timer(now)
        waits = [round(b - a, 6) for a, b in itertools.pairwise(times)]
        self.assertEqual(waits, [*RESEND_AFTER, RESEND_AFTER[-1]])

    def test_nobody_there(self) -> None:
        """Without an answer the attempt fails after FIRST_ROUND, and says what it tried."""
        self.begin(B1)
        self.wire.run(FIRST_ROUND + 0.1)
        self.assertEqual(self.alice.ends, [AttemptPhase.FAILED])
        self.assertEqual(self.alice.moves, [])
        (told,) = self.alice.punching.checklist.reports(self.wire.now)
        self.assertEqual((told.type, told.address), ("host", f"{B1[0]}:{B1[1]}"))
        self.assertGreater(told.checks_sent, 5)
        self.assertLess(told.first_sent_ms or 0.0, -FIRST_ROUND * 1000)
        self.assertEqual((told.checks_received, told.confirmed_ms, told.rtt_ms), (0, None, None))

    def test_trickled(self) -> None:
        """A candidate that comes later is checked at once."""
        self.wire.link(A2, B2)
        self.begin(B1)
        self.wire.run(1)
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.assertLess(self.wire.run_until(lambda: self.alice.moves and self.bob.moves), 0.1)
        self.assertEqual(self.path(self.bob), A2)

    def test_one_side_knows(self) -> None:
        """Bob, told no address, learns one from Alice's check: peer-reflexive, checked back."""
        self.wire.link(A1, B1)
        self.alice.punching.begin(host(B1), self.wire.now, False)
        self.bob.punching.begin([], self.wire.now, True)
        self.wire.run_until(lambda: self.bob.moves)
        self.assertEqual(self.bob.moves[0].remote, CandidateType.PEER_REFLEXIVE)

    @each(
        ((A1,), (), CandidateType.HOST),
        ((A2,), (A1,), CandidateType.SERVER_REFLEXIVE),
        ((A2,), (("203.0.113.9", 999),), CandidateType.PEER_REFLEXIVE),
    )
    def test_local_types(
        self,
        hosts: tuple[Address, ...],
        reflexive: tuple[Address, ...],
        expected: CandidateType,
    ) -> None:
        """Our end is named by where the other side saw us."""
        self.alice.punching.host_addresses = hosts
        self.alice.punching.reflexive_addresses = reflexive
        self.joined()
        self.assertIs(self.alice.moves[0].local, expected)


class LowTtlTests(PunchingCase):
    """The side that checks first opens its own NAT and reaches nobody."""

    def test_answering_side(self) -> None:
        """Bob's first checks have LOW_TTL, until Alice says that she began."""
        self.bob.punching.begin(host(A1, A2), self.wire.now, True)
        self.assertEqual({one.ttl for one in checks_of(self.bob.punching)}, {LOW_TTL})
        self.bob.punching.remote_began(self.wire.now + 0.01)
        again = checks_of(self.bob.punching)
        self.assertEqual([(one.destination, one.ttl) for one in again], [(A1, None), (A2, None)])
        self.bob.punching.remote_began(self.wire.now + 0.02)
        self.assertEqual(checks_of(self.bob.punching), [])

    def test_offering_side(self) -> None:
        """Alice's checks have the system's TTL from the first."""
        self.alice.punching.begin(host(B1), self.wire.now, False)
        self.assertEqual([one.ttl for one in checks_of(self.alice.punching)], [None])

    def test_phase_ends(self) -> None:
        """Without a word from Alice full TTL begins after LOW_TTL_PHASE."""
        self.bob.punching.begin(host(A1), self.wire.now, True)
        self.wire.run(LOW_TTL_PHASE - 0.001)
        self.assertEqual({one.ttl for one in self.bob.checks()}, {LOW_TTL})
        self.wire.run(1)
        self.assertEqual({one.ttl for one in self.bob.checks()}, {None})

    def test_check_ends_phase(self) -> None:
        """An authentic check shows that Alice began."""
        self.wire.link(A1, B1)
        self.begin(B1, low_ttl=True)
        self.wire.run_until(lambda: self.bob.moves)
        self.assertLess(self.wire.now - 100, 0.05)


class ChoiceTests(PunchingCase):
    """The shortest round-trip time wins, and keeps winning against small differences."""

    def test_better_path(self) -> None:
        """The path that answers first is left for a clearly faster one of the same round."""
        self.wire.link(A1, B1, Link(latency=0.08))
        self.begin(B1)
        self.wire.run_until(lambda: self.alice.moves)
        self.wire.link(A2, B2, Link(latency=0.005))
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.wire.run(1)
        self.assertEqual([move.address for move in self.alice.moves], [B1, B2])
        self.assertEqual([move.address for move in self.bob.moves], [A1, A2])

    def test_hysteresis(self) -> None:
        """A path that is a little faster isn't worth a move."""
        self.wire.link(A1, B1, Link(latency=0.010))
        self.wire.link(A2, B2, Link(latency=0.009))
        self.begin(B1)
        self.wire.run_until(lambda: self.alice.moves and self.bob.moves)
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.bob.punching.add_candidates(host(A2), self.wire.now)
        self.wire.run(1)
        self.assertLess(*(self.alice.punching.checklist.pairs[Route(one)].rtt for one in (B2, B1)))
        self.assertEqual((len(self.alice.moves), len(self.bob.moves)), (1, 1))


class NominationTests(PunchingCase):
    """The side that made the offer says which pair it is, and both use it."""

    def nominations(self, one: End) -> list[Address]:
        """Return where somebody's checks with USE-CANDIDATE went."""
        checks = [(sent.destination, stun.decode(sent.data).attributes) for sent in one.checks()]
        return [where for where, attributes in checks if "USE-CANDIDATE" in attributes]

    @each(*range(30))
    def test_same_pair(self, seed: int) -> None:
        """However alike the pairs, and whatever is lost, both end on the same one."""
        loss, jitter = (0.2, 0.02) if seed % 2 else (0.0, 0.004)
        self.lay(seed)
        self.wire.link(A1, B1, Link(0.01, jitter, loss))
        self.wire.link(A2, B2, Link(0.01, jitter, loss))
        self.begin(B1, B2)
        self.wire.run(FIRST_ROUND + 1)
        self.assertIn((self.path(self.alice), self.path(self.bob)), ((B1, A1), (B2, A2)))

    @each(0.02, 0.03, 0.05, 0.08, 0.12)
    def test_overtaken(self, slow: float) -> None:
        """A nomination that arrives after the next one doesn't count any more."""
        self.wire.link(A1, B1, Link(slow))
        self.begin(B1)
        self.wire.run_until(lambda: self.alice.moves)
        self.wire.link(A2, B2, Link(0.005))
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.wire.run(FIRST_ROUND)
        self.assertEqual((self.path(self.alice), self.path(self.bob)), (B2, A2))

    def test_who_nominates(self) -> None:
        """Alice, who offered, nominates the pair that she uses; Bob nominates none."""
        self.joined()
        self.wire.run(1)
        self.assertEqual(set(self.nominations(self.alice)), {B1})
        self.assertEqual(self.nominations(self.bob), [])

    def test_lost_nomination(self) -> None:
        """A nomination is sent again until it is answered."""
        link = self.joined()
        link.loss = 1.0
        self.alice.checks()
        self.wire.run(0.1)
        sent = self.nominations(self.alice)
        self.assertGreaterEqual(len(sent), 2)
        link.loss = 0.0
        self.wire.run(0.1)
        self.nominations(self.alice)
        self.wire.run(1)
        self.assertEqual(self.nominations(self.alice), [])

    def test_controlled_obeys(self) -> None:
        """Bob follows a nomination, also to a pair that is slower as he sees it."""
        self.wire.link(A1, B1, Link(0.01))
        self.wire.link(A2, B2, Link(0.05))
        self.begin(B1, B2)
        self.wire.run_until(lambda: self.bob.moves)
        self.wire.run(0.15)
        number = REFLEXIVE_PREFERENCE << 24 | 99  # a later nomination than any before
        check = stun.request(b"n" * 12, USERNAME="bbbb:aaaa", PRIORITY=number, USE_CANDIDATE=None)
        message = stun.decode(stun.encode(check, KEY, fingerprint=True))
        self.bob.punching.receive_request(message, Route(A2), self.wire.now)
        self.assertEqual(self.path(self.bob), A2)

    def test_controlling_is_not_told(self) -> None:
        """Nobody nominates for Alice."""
        self.wire.link(A1, B1, Link(0.01))
        self.wire.link(A2, B2, Link(0.05))
        self.begin(B1, B2)
        self.wire.run_until(lambda: self.alice.moves)
        self.wire.run(0.15)
        check = stun.request(b"n" * 12, USERNAME="aaaa:bbbb", USE_CANDIDATE=None)
        message = stun.decode(stun.encode(check, KEY, fingerprint=True))
        self.assertTrue(self.alice.punching.receive_request(message, Route(B2), self.wire.now))
        self.assertEqual(self.path(self.alice), B1)


class FairWaitTests(PunchingCase):
    """In a later round the path in use has the time to answer, too."""

    def begin_again(self, latency: float, other: Link) -> float:
        """Let a path be in use, join another pair, and check again; returns the time."""
        self.joined(Link(latency))
        self.wire.run(1)
        self.wire.link(A2, B2, other)
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.alice.moves.clear()
        self.alice.punching.check_again(self.wire.now)
        return self.wire.now

    def test_dead_path(self) -> None:
        """Dead, it is left after FAIR_WAIT, not before."""
        started = self.begin_again(0.005, Link(0.004))
        self.wire.cut(A1, B1)
        self.wire.run_until(lambda: self.alice.moves)
        self.assertAlmostEqual(self.wire.now - started, FAIR_WAIT)
        self.assertEqual(self.path(self.alice), B2)

    def test_slow_path(self) -> None:
        """A slow one has FAIR_RTTS of its round-trip times."""
        started = self.begin_again(0.05, Link(0.004))
        self.wire.cut(A1, B1)
        self.wire.run_until(lambda: self.alice.moves)
        self.assertAlmostEqual(self.wire.now - started, FAIR_RTTS * 0.1)

    def test_lost_answer(self) -> None:
        """One lost check doesn't cost it its place."""
        self.begin_again(0.005, Link(0.0045))
        self.wire.cut(A1, B1)
        self.wire.run(0.015)
        self.wire.link(A1, B1, Link(0.005))
        self.wire.run(1)
        self.assertEqual((self.alice.moves, self.path(self.alice)), ([], B1))


class CheckAgainTests(PunchingCase):
    """A path that is in doubt is verified, moved, or given up."""

    def setUp(self) -> None:
        super().setUp()
        self.joined()
        self.wire.run(1)

    def test_same(self) -> None:
        """A path that still works stays, without a word."""
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(LATER_ROUND + 0.1)
        self.assertEqual((len(self.alice.moves), self.alice.ends[-1]), (1, AttemptPhase.COMPLETED))

    def test_moves(self) -> None:
        """Where the path is dead and another pair works, the path moves, on both sides."""
        self.wire.cut(A1, B1)
        self.wire.link(A2, B2)
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(LATER_ROUND + 0.1)
        self.assertEqual((self.path(self.alice), self.path(self.bob)), (B2, A2))
        self.assertEqual(
            (self.alice.ends[-1], self.bob.ends[-1]),
            (AttemptPhase.COMPLETED, AttemptPhase.COMPLETED),
        )

    def test_fails(self) -> None:
        """Where nothing answers, the round ends in failure after LATER_ROUND."""
        self.wire.cut(A1, B1)
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(LATER_ROUND - 0.01)
        self.assertEqual(self.alice.punching.phase, AttemptPhase.CHECKING)
        self.wire.run(0.02)
        self.assertEqual(self.alice.ends, [AttemptPhase.COMPLETED, AttemptPhase.FAILED])

    def test_repeated_doubt(self) -> None:
        """Doubt during a round doesn't make it longer."""
        self.wire.cut(A1, B1)
        for _ in range(10):
            self.alice.punching.check_again(self.wire.now)
            self.wire.run(0.1)
        self.wire.run(LATER_ROUND - 1.0 + 0.01)
        self.assertEqual(self.alice.ends[-1], AttemptPhase.FAILED)

    def test_hysteresis(self) -> None:
        """A later round too leaves a path that works only for a clearly faster one."""
        self.wire.link(A2, B2, Link(latency=0.009))
        self.alice.punching.add_candidates(host(B2), self.wire.now)
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(LATER_ROUND + 0.1)
        self.assertEqual([move.address for move in self.alice.moves], [B1])
        self.wire.link(A2, B2, Link(latency=0.002))
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(LATER_ROUND + 0.1)
        self.assertEqual([move.address for move in self.alice.moves], [B1, B2])

    def test_failed_comes_back(self) -> None:
        """An attempt given up is revived by the other side's authentic check."""
        self.wire.cut(A1, B1)
        self.alice.punching.check_again(self.wire.now)
        self.wire.run(2)
        self.wire.link(A1, B1)
        self.bob.punching.check_again(self.wire.now)
        self.wire.run(2)
        self.assertEqual(self.alice.ends[-1], AttemptPhase.COMPLETED)

    def test_not_before_the_first_path(self) -> None:
        """Doubt before there is a path changes nothing."""
        fresh = end(5, "cccc", "dddd", ()).punching
        fresh.begin(host(B1), 100.0, False)
        fresh.check_again(100.01)
        self.assertEqual(len(checks_of(fresh)), 1)


class RelayWaitTests(SynchronousTestCase):
    """Our relay leaves the other side's NAT alone until its own checks have opened it."""

    def setUp(self) -> None:
        self.punching = end(1, "aaaa", "bbbb", (A1,)).punching
        self.now = 100.0

    def relayed(self, until: float) -> list[tuple[float, Address]]:
        """Let time pass; returns when checks left our relay, and to whom, since 100.0."""
        sent = []
        while True:
            for one in checks_of(self.punching):
                kind = stun.decode(one.data).message_class
                if one.base == RELAY and kind is stun.MessageClass.REQUEST:
                    sent.append((round(self.now - 100.0, 6), one.destination))
            due = self.punching.get_timer()
            if due is None or due > until:
                self.now = until
                return sent
            self.now = max(due, self.now)
            self.punching.handle_timer(self.now)

    def begin(self, *candidates: Candidate, low_ttl: bool = False) -> None:
        """Begin with our relay there from the first."""
        self.punching.checklist.bases = (*self.punching.checklist.bases, RELAY)
        self.punching.begin(candidates, self.now, low_ttl)

    def hear(self, source: Address) -> None:
        """Let an authentic check of theirs come to our relay."""
        check = stun.request(b"n" * 12, USERNAME="aaaa:bbbb", PRIORITY=REFLEXIVE_PREFERENCE << 24)
        message = stun.decode(stun.encode(check, KEY, fingerprint=True))
        self.assertTrue(self.punching.receive_request(message, Route(source, RELAY), self.now))

    @each(CandidateType.HOST, CandidateType.SERVER_REFLEXIVE)
    def test_not_before(self, kind: CandidateType) -> None:
        """A candidate that is no relay's is checked from ours after RELAY_WAIT, not before."""
        self.begin(Candidate(kind, B1))
        self.assertEqual(self.relayed(100.0 + RELAY_WAIT - 0.001), [])
        self.assertEqual(self.relayed(100.0 + RELAY_WAIT + 0.001), [(RELAY_WAIT, B1)])

    def test_answering_side(self) -> None:
        """So it is for the side that answered, whose other checks have a low TTL."""
        self.begin(*host(B1), low_ttl=True)
        self.assertEqual(self.relayed(100.0 + RELAY_WAIT - 0.001), [])
        self.assertEqual(self.relayed(100.0 + RELAY_WAIT + 0.001), [(RELAY_WAIT, B1)])

    def test_relayed_at_once(self) -> None:
        """Their relay is no NAT: it is checked at once."""
        self.begin(Candidate(CandidateType.RELAYED, B1))
        self.assertEqual(self.relayed(100.0), [(0.0, B1)])

    def test_side_by_side(self) -> None:
        """Each candidate waits for itself; the direct checks never do."""
        self.begin(*host(B1), Candidate(CandidateType.RELAYED, ELSEWHERE))
        direct = [one for one in checks_of(self.punching) if one.base != RELAY]
        self.assertEqual([one.destination for one in direct], [B1, ELSEWHERE])
        early = {where for _, where in self.relayed(100.0 + RELAY_WAIT - 0.001)}
        self.assertEqual(early, {ELSEWHERE})

    def test_relay_comes_later(self) -> None:
        """From a relay that comes later the wait begins when the relay is there."""
        self.punching.begin(host(B1), self.now, False)
        self.relayed(101.0)
        self.punching.set_relays((RELAY,), self.now)
        self.assertEqual(self.relayed(101.0 + RELAY_WAIT - 0.001), [])
        sent = self.relayed(101.0 + RELAY_WAIT + 0.001)
        self.assertEqual(sent, [(1.0 + RELAY_WAIT, B1)])

    def test_candidate_comes_later(self) -> None:
        """For a candidate that is told later it begins when it is told."""
        self.begin()
        self.relayed(101.0)
        self.punching.add_candidates(host(B1), self.now)
        self.assertEqual(self.relayed(101.0 + RELAY_WAIT - 0.001), [])
        self.assertTrue(self.relayed(101.0 + RELAY_WAIT + 0.001))

    def test_began_shortens_nothing(self) -> None:
        """That the other side began ends the low TTL, not the wait."""
        self.begin(*host(B1), low_ttl=True)
        self.relayed(100.1)
        self.punching.remote_began(self.now)
        self.assertEqual(self.relayed(100.0 + RELAY_WAIT - 0.001), [])

    def test_their_check_ends_it(self) -> None:
        """Their check over our relay shows that the NAT is open: it is checked back at once."""
        self.begin(*host(B1))
        self.relayed(100.1)
        self.hear(B1)
        self.assertEqual(self.relayed(100.1), [(0.1, B1)])

    def test_unknown_source(self) -> None:
        """So it is for an address that nobody told, which a symmetric NAT may have."""
        self.begin(*host(B1))
        self.relayed(100.1)
        self.hear(ELSEWHERE)
        self.assertEqual(self.relayed(100.1), [(0.1, ELSEWHERE)])
        self.assertEqual({where for _, where in self.relayed(100.4)}, {ELSEWHERE})

    def test_later_rounds(self) -> None:
        """In a later round, long after the wait, our relay checks at once."""
        self.begin(*host(B1))
        self.relayed(100.0 + FIRST_ROUND + 1)
        self.punching.check_again(self.now)
        self.assertEqual(self.relayed(self.now), [(FIRST_ROUND + 1, B1)])


class JoinIntervalTests(SynchronousTestCase):
    """On a relayed path the other side's checks begin a round of ours, now and then."""

    def setUp(self) -> None:
        self.punching = end(1, "aaaa", "bbbb", (A1,)).punching
        self.punching.begin((), 100.0, False)

    def hear(self, now: float) -> None:
        """Let a check come from their relay, and answer ours."""
        check = stun.request(b"n" * 12, USERNAME="aaaa:bbbb", PRIORITY=RELAYED_PREFERENCE << 24)
        message = stun.decode(stun.encode(check, KEY, fingerprint=True))
        self.assertTrue(self.punching.receive_request(message, Route(B1), now))
        self.answer(now)

    def answer(self, now: float) -> None:
        """Answer all checks that went out, and those that follow."""
        while sent := checks_of(self.punching):
            for one in sent:
                message = stun.decode(one.data)
                if message.message_class is stun.MessageClass.REQUEST:
                    answer = THEIRS.response(message, A1, len(one.data))
                    self.punching.receive_response(stun.decode(answer), Route(B1), now)
            self.punching.handle_timer(now)

    def quiet(self) -> float:
        """Let the first round end on a relayed path; returns when."""
        self.hear(100.1)
        self.answer(100.1)
        self.punching.handle_timer(100.0 + FIRST_ROUND)
        self.assertIs(self.punching.phase, AttemptPhase.COMPLETED)
        assert self.punching.path is not None
        self.assertTrue(self.punching.path.is_relayed)
        return 100.0 + FIRST_ROUND

    def test_joins(self) -> None:
        """IMPROVE_INTERVAL after the last round began, a check of theirs begins one."""
        began = self.quiet() + 0.1
        self.hear(began)
        self.assertIs(self.punching.phase, AttemptPhase.CHECKING)
        self.punching.handle_timer(began + LATER_ROUND)
        self.assertIs(self.punching.phase, AttemptPhase.COMPLETED)
        self.hear(began + IMPROVE_INTERVAL - 0.1)
        self.assertIs(self.punching.phase, AttemptPhase.COMPLETED)
        self.hear(began + IMPROVE_INTERVAL + 0.1)
        self.assertIs(self.punching.phase, AttemptPhase.CHECKING)
