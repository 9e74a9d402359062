"""Tests of :mod:`p2pchat.traversal.pairs`."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.pairs import RESEND_AFTER, Checklist, Pair, Path
from p2pchat.traversal.remote_candidates import RemoteCandidates
from p2pchat.traversal.routes import CHAT_SOCKET, RELAYS, Route
from p2pchat.wire.addresses import Family
from p2pchat.wire.documents import Candidate, CandidateType

ADDRESS = ("198.51.100.2", 2001)
DIRECT, OVER_RELAY = Route(ADDRESS), Route(ADDRESS, f"{RELAYS}1")
REFLEXIVE, RELAYED = CandidateType.SERVER_REFLEXIVE, CandidateType.RELAYED
NOW = 100.0


class PairTests(SynchronousTestCase):
    """When a pair is checked, and when it is valid."""

    def test_resent(self) -> None:
        """Checks go out fast at first, and in each round anew."""
        pair = Pair(DIRECT, REFLEXIVE)
        for start in (NOW, NOW + 50):
            pair.begin_round(start)
            times = [start]
            while len(times) <= len(RESEND_AFTER) + 1:
                pair.check_sent(times[-1])
                times.append(pair.due or 0.0)
            waits = [round(later - earlier, 6) for earlier, later in pairwise(times)]
            self.assertEqual(waits, [*RESEND_AFTER, RESEND_AFTER[-1]])

    def test_not_before(self) -> None:
        """No round begins before checks may begin; a later one isn't held up."""
        pair = Pair(OVER_RELAY, REFLEXIVE, not_before=NOW + 0.5)
        for now, due in ((NOW, NOW + 0.5), (NOW + 1, NOW + 1)):
            pair.begin_round(now)
            self.assertEqual(pair.due, due)

    def test_valid(self) -> None:
        """An answer makes the pair valid for its round, and ends the checks on it."""
        pair = Pair(DIRECT, REFLEXIVE)
        pair.begin_round(NOW)
        pair.check_answered(0.02, NOW, NOW + 0.1)
        self.assertTrue(pair.is_valid(NOW))
        self.assertFalse(pair.is_valid(NOW + 0.2))
        self.assertIsNone(pair.due)

    def test_round_trip_time(self) -> None:
        """It is the shortest of the round; an older round's says nothing of this one."""
        pair = Pair(DIRECT, REFLEXIVE)
        for rtt, started, expected in (
            *((0.03, NOW, 0.03), (0.02, NOW, 0.02), (0.05, NOW, 0.02)),
            *((0.05, NOW + 10, 0.05), (0.04, NOW + 10, 0.04)),
        ):
            pair.check_answered(rtt, started, started + 1)
            self.assertEqual(pair.rtt, expected)

    def test_nomination(self) -> None:
        """A nomination is checked until it is answered, whatever else is."""
        pair = Pair(DIRECT, REFLEXIVE)
        pair.check_answered(0.02, NOW, NOW)
        pair.nominate(1, NOW)
        pair.check_answered(0.02, NOW, NOW)
        self.assertEqual(pair.due, NOW)
        pair.nominating = False
        pair.check_answered(0.02, NOW, NOW)
        self.assertIsNone(pair.due)

    def test_report(self) -> None:
        """What became of it is reported in milliseconds since a time."""
        pair = Pair(DIRECT, REFLEXIVE)
        pair.check_sent(NOW)
        pair.check_answered(0.02, NOW, NOW + 0.02)
        report = pair.report(NOW - 1)
        self.assertEqual((report.first_sent_ms, report.confirmed_ms), (1000.0, 1020.0))
        self.assertEqual((report.checks_sent, report.rtt_ms), (1, 20.0))


class ChecklistTests(SynchronousTestCase):
    """Which pairs there are, and whose check is due."""

    def setUp(self) -> None:
        bases = (CHAT_SOCKET, f"{RELAYS}1")
        self.checklist = Checklist(RemoteCandidates(False), frozenset({Family.IPV4}), bases)

    def test_reached(self) -> None:
        """A candidate is paired with the bases from which it can be reached."""
        private, ipv6 = ("192.168.1.2", 1), ("2001:db8::1", 1)
        told = [Candidate(REFLEXIVE, address) for address in (ADDRESS, private, ipv6)]
        self.checklist.add(told, NOW)
        self.assertEqual(set(self.checklist.pairs), {DIRECT, OVER_RELAY, Route(private)})

    def test_relays(self) -> None:
        """The pairs of a relay go with it; a new one has none until it is paired."""
        self.checklist.add([Candidate(REFLEXIVE, ADDRESS)], NOW)
        new = self.checklist.set_relays((f"{RELAYS}2",))
        self.assertEqual((new, set(self.checklist.pairs)), ([f"{RELAYS}2"], {DIRECT}))
        self.checklist.pair_with(new, NOW)
        self.assertEqual(set(self.checklist.pairs), {DIRECT, Route(ADDRESS, f"{RELAYS}2")})

    def test_told_later(self) -> None:
        """A source that no candidate named yet is peer-reflexive until one does."""
        pair = self.checklist.pair_of(DIRECT, CandidateType.PEER_REFLEXIVE, NOW)
        assert pair is not None
        self.checklist.add([Candidate(REFLEXIVE, ADDRESS)], NOW)
        self.assertIs(self.checklist.pairs[DIRECT], pair)
        self.assertIs(pair.type, REFLEXIVE)

    def test_due(self) -> None:
        """Of the pairs that are due, the least checked come first."""
        others = [(ADDRESS[0], port) for port in (1, 2)]
        self.checklist.add([Candidate(REFLEXIVE, one) for one in (ADDRESS, *others)], NOW)
        self.checklist.pairs[DIRECT].check_sent(NOW)
        due = [pair.route for pair in self.checklist.due(NOW + RESEND_AFTER[0])]
        self.assertEqual(due, [*(Route(one) for one in others), DIRECT])


class PathTests(SynchronousTestCase):
    """The pair in use."""

    def test_relayed(self) -> None:
        """A path is relayed if a relay carries it, ours or theirs."""
        direct, relayed = Pair(DIRECT, REFLEXIVE), Pair(DIRECT, RELAYED)
        over_ours = Pair(OVER_RELAY, REFLEXIVE, local=RELAYED)
        for pair, expected in ((direct, False), (relayed, True), (over_ours, True)):
            self.assertEqual(Path.of(pair).is_relayed, expected)
            self.assertEqual(Path.of(pair).route, pair.route)
