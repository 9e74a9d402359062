"""Why there is the path that there is, and what helps."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.connection_report import (
    Advice,
    ConnectionReport,
    Diagnosis,
    Evidence,
    Reason,
    diagnose,
)
from p2pchat.session.explanation import judgement
from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.report import (
    AttemptReport,
    CandidateReport,
    NatReport,
    PairReport,
    RelayReport,
)

REFLEXIVE = CandidateReport("srflx", "203.0.113.7:7")
RELAYED = CandidateReport("relay", "203.0.113.9:9")
EASY = NatReport("endpoint-independent", "one", "unknown", "unknown", False, (REFLEXIVE,))
RANDOM = attrs.evolve(EASY, mapping="address-or-port-dependent", allocation="random")
BLOCKED = attrs.evolve(EASY, mapping="unknown", allocation="unknown", udp_blocked=True)
OTHER_FAMILY = attrs.evolve(EASY, candidates=(CandidateReport("host", "[2001:db8::7]:7"),))
SILENT = attrs.evolve(EASY, mapping="unknown", allocation="unknown", candidates=())
SERVED = RelayReport("turn:relay.example", 0.0, 20.0, "203.0.113.9:9", "", ())
REFUSED = attrs.evolve(SERVED, allocated_ms=None, address="", failure="relay: no quota")


def surmise(ours: NatReport = EASY, theirs: NatReport | None = EASY, **known: Any) -> Evidence:
    """Return what is known of an attempt that came to nothing."""
    last = AttemptReport(ours, theirs, True, 0.0, 1.0, failure="no check got through")
    return attrs.evolve(Evidence(last, None, True, (SERVED,), False), **known)


class VerdictTests(SynchronousTestCase):
    """The judgement of each situation."""

    def assert_judged(self, known: Evidence, reason: Reason, *advice: Advice) -> None:
        """This is the diagnosis, and there is a sentence for each of its words."""
        diagnosis = diagnose(known)
        self.assertEqual(diagnosis, Diagnosis(reason.value, tuple(one.value for one in advice)))
        self.assertEqual(len(judgement(ConnectionReport(verdict=diagnosis))), 1 + len(advice))

    def test_direct(self) -> None:
        """A direct path needs no excuse, however it came about."""
        for means in set(PathMethod) - {PathMethod.RELAY}:
            self.assert_judged(surmise(RANDOM, RANDOM, means=means), Reason.DIRECT)

    def test_fragments(self) -> None:
        """A direct path in fragments is one, and what passes whole is named."""
        pair = PairReport("", "srflx", "203.0.113.7:1", 0.0, 9, 9, 1.0, 1.0, "fragmented", 1200)
        last = attrs.evolve(surmise().last or self.fail(), pairs=(pair,))
        found = diagnose(surmise(last=last, means=PathMethod.PLAIN, fragmented=True))
        self.assertEqual((found.reason, found.packet), ("direct-in-fragments", 1200))
        report = ConnectionReport((last,), verdict=found)
        self.assertIn("the largest that pass whole have 1,200 bytes", judgement(report)[0])
        self.assertIn(
            "pass in fragments only",
            judgement(attrs.evolve(report, verdict=attrs.evolve(found, packet=0)))[0],
        )

    def test_before(self) -> None:
        """Nothing is judged of what hasn't been tried, or is being tried."""
        self.assert_judged(surmise(last=None), Reason.NOTHING_TRIED)
        running = attrs.evolve(surmise().last or self.fail(), failure="", checking=True)
        self.assert_judged(surmise(last=running), Reason.UNDER_WAY)
        self.assert_judged(surmise(last=running, means=PathMethod.RELAY), Reason.UNDER_WAY)

    def test_not_answered(self) -> None:
        """Where no description of theirs came, NATs aren't to blame."""
        self.assert_judged(surmise(theirs=None), Reason.NOT_ANSWERED)
        known = surmise(theirs=None, means=PathMethod.RELAY)
        self.assert_judged(known, Reason.NOT_REACHED)

    def test_obstacles(self) -> None:
        """What stands between two, with a relay in use and without."""
        told_relay = attrs.evolve(EASY, candidates=(RELAYED,))
        for ours, theirs, reason, *advice in (
            (RANDOM, RANDOM, Reason.BOTH_RANDOM, Advice.FORWARD_PORT),
            (RANDOM, EASY, Reason.NOT_MET, Advice.CALL_AGAIN, Advice.FORWARD_PORT),
            (EASY, RANDOM, Reason.NOT_MET, Advice.CALL_AGAIN, Advice.FORWARD_PORT),
            (EASY, EASY, Reason.FILTERED, Advice.ALLOW_UDP),
            (BLOCKED, RANDOM, Reason.UDP_BLOCKED, Advice.ALLOW_UDP),
            (EASY, told_relay, Reason.NO_CANDIDATES, Advice.ASK_THEM),
            (EASY, SILENT, Reason.NO_CANDIDATES, Advice.ASK_THEM),
            (EASY, OTHER_FAMILY, Reason.NO_FAMILY, Advice.HAVE_BOTH),
            (OTHER_FAMILY, RANDOM, Reason.NO_FAMILY, Advice.HAVE_BOTH),
            (SILENT, SILENT, Reason.NO_STUN, Advice.RUN_STUN),
        ):
            for means in (None, PathMethod.RELAY):
                self.assert_judged(surmise(ours, theirs, means=means), reason, *advice)

    def test_relay_only(self) -> None:
        """The person's own wish comes first."""
        known = surmise(BLOCKED, RANDOM, relay_only=True)
        self.assert_judged(known, Reason.RELAY_ONLY, Advice.DROP_RELAY_ONLY)

    def test_relays(self) -> None:
        """Without any path, a relay that is missing or refuses is named; with one it isn't."""
        none = surmise(RANDOM, RANDOM, knows_relays=False, relays=())
        self.assert_judged(none, Reason.BOTH_RANDOM, Advice.FORWARD_PORT, Advice.NAME_RELAY)
        refused = surmise(RANDOM, RANDOM, relays=(REFUSED,))
        self.assert_judged(refused, Reason.BOTH_RANDOM, Advice.FORWARD_PORT, Advice.MEND_RELAY)
        used = attrs.evolve(refused, means=PathMethod.RELAY)
        self.assert_judged(used, Reason.BOTH_RANDOM, Advice.FORWARD_PORT)

    def test_sentences(self) -> None:
        """Each word has a sentence of its own."""
        for reason in Reason:
            diagnosis = Diagnosis(reason.value, tuple(one.value for one in Advice))
            said = judgement(ConnectionReport(verdict=diagnosis))
            self.assertEqual(len(set(said)), 1 + len(Advice))
