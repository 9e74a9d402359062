"""What ``/why`` tells of whole calls: the facts, the judgement, and the sentences."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.connection_report import Advice, ConnectionReport, Reason
from p2pchat.session.explanation import sentences
from p2pchat.ui.json_form import encode, fields_of
from p2pchat.ui.results import Explanation
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.nat import Nat
from tests.simulation.world import RELAY, Person, World

OVER = 30.0  # seconds after which three attempts have come to nothing, or a path is settled


class StoryCase(SynchronousTestCase):
    """Alice calls Bob, once."""

    world: World
    alice: Person
    bob: Person

    def call(self, left: str, right: str, relay: bool = False, **settings: Any) -> ConnectionReport:
        """Let it run its course; returns Alice's report."""
        self.world = World(3, relay=relay)
        self.alice, self.bob = self.world.couple(self.nat(left), self.nat(right), **settings)
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.internet.run(OVER)
        return self.alice.node.why(self.bob.node.peer_id)

    def nat(self, kind: str) -> Nat | None:
        """Return a NAT: ``cone``, ``symmetric``, or ``blocked``, without UDP."""
        known = SYMMETRIC if kind == "symmetric" else PORT_RESTRICTED_CONE
        return self.world.nat(known, udp=kind != "blocked")

    def assert_diagnosis(self, report: ConnectionReport, reason: Reason, *advice: Advice) -> None:
        """This is the verdict."""
        self.assertEqual(report.verdict.reason, reason.value)
        self.assertEqual(report.verdict.advice, tuple(one.value for one in advice))


class PathTests(StoryCase):
    """Calls that end in a conversation."""

    def test_facts(self) -> None:
        """Both NATs, all candidates, checks with times and counts, and the path."""
        report = self.call("cone", "cone")
        (attempt,) = report.attempts
        assert attempt.theirs is not None and report.path is not None
        self.assertEqual(attempt.ours.mapping, "endpoint-independent")
        self.assertEqual(attempt.theirs.mapping, "endpoint-independent")
        self.assertEqual(attempt.ours.filtering, "address-and-port-dependent")
        for side in (attempt.ours, attempt.theirs):
            self.assertEqual([one.type for one in side.candidates], ["host", "srflx"])
        private, reflexive = sorted(attempt.pairs, key=lambda one: one.type)
        self.assertEqual((private.type, private.confirmed_ms), ("host", None))
        times = (reflexive.first_sent_ms, reflexive.confirmed_ms, attempt.checks_began_ms)
        first, confirmed, began = (time or 0.0 for time in times)
        self.assertTrue(0 < began <= first < confirmed < 1000)
        self.assertGreater(min(reflexive.checks_sent, reflexive.checks_received), 0)
        self.assertEqual((attempt.means, attempt.volley, attempt.failure), ("plain", None, ""))
        self.assertEqual((report.path.address, report.path.remote), (reflexive.address, "srflx"))
        self.assert_diagnosis(report, Reason.DIRECT)

    def test_relay(self) -> None:
        """Both mappings random: a relay, when it was asked and there, and what would help."""
        report = self.call("symmetric", "symmetric", relay=True)
        self.assert_diagnosis(report, Reason.BOTH_RANDOM, Advice.FORWARD_PORT)
        assert report.path is not None
        self.assertTrue(report.path.is_relayed)
        (relay,) = report.relays
        self.assertTrue(0 < relay.asked_ms < (relay.allocated_ms or 0) < 1000)
        self.assertEqual((relay.server, relay.failure), (f"turn:{RELAY}:3478", ""))
        self.assertTrue(relay.address.startswith(RELAY))
        self.assertEqual(report.attempts[0].means, "relay")

    def test_blocked(self) -> None:
        """UDP blocked here: said here; over there it shows that no address was told."""
        report = self.call("blocked", "cone", relay=True)
        self.assert_diagnosis(report, Reason.UDP_BLOCKED, Advice.ALLOW_UDP)
        theirs = self.bob.node.why(self.alice.node.peer_id)
        self.assert_diagnosis(theirs, Reason.NO_CANDIDATES, Advice.ASK_THEM)

    def test_rescue(self) -> None:
        """A path that was lost and found anew is told with what came before."""
        self.call("cone", "cone")
        for nat in self.world.internet.nats:
            nat.reboot()
        self.world.internet.run(OVER)
        report = self.alice.node.why(self.bob.node.peer_id)
        self.assertGreater(len(report.attempts), 1)
        self.assertEqual(len(report.paths), 2)
        self.assertTrue(any("checks on the path" in note.text for note in report.notes))
        self.assert_diagnosis(report, Reason.DIRECT)

    def test_next_call(self) -> None:
        """The next call, or offer, is a report of its own."""
        self.call("cone", "cone")
        self.alice.node.disconnect(self.bob.node.peer_id)
        self.world.internet.run(5)
        self.world.connect(self.bob, self.alice)
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            (attempt,) = one.node.why(other.node.peer_id).attempts
            self.assertEqual((attempt.offered_by_us, attempt.began_ms), (one is self.bob, 0.0))


class FailureTests(StoryCase):
    """Calls that come to nothing say why, and what to do."""

    def explanation(self) -> str:
        """Return what Alice was told."""
        (failed,) = self.alice.events(events.CallFailed)
        self.assertEqual(failed.reason, "no-path")
        return failed.explanation

    def test_hopeless(self) -> None:
        """Both random and no relay: a port forward, or the registry's operator."""
        report = self.call("symmetric", "symmetric")
        self.assert_diagnosis(report, Reason.BOTH_RANDOM, Advice.FORWARD_PORT, Advice.NAME_RELAY)
        self.assertEqual(len(report.attempts), 3)
        self.assertTrue(all(one.failure for one in report.attempts))
        for words in ("both NATs", "forward UDP port", "--turn", "checks sent", "none answered"):
            self.assertIn(words, self.explanation())

    def test_broken_relay(self) -> None:
        """A relay that doesn't serve is named with its reason."""
        self.world = World(3, relay=True)
        assert self.world.relay is not None
        self.world.relay.quota = 0
        self.alice, self.bob = self.world.couple(self.nat("symmetric"), self.nat("symmetric"))
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.internet.run(OVER)
        report = self.alice.node.why(self.bob.node.peer_id)
        self.assert_diagnosis(report, Reason.BOTH_RANDOM, Advice.FORWARD_PORT, Advice.MEND_RELAY)
        self.assertIn("quota", self.explanation())

    def test_relay_only(self) -> None:
        """Whoever wants relays only is told that this is the reason."""
        report = self.call("cone", "cone", relay_only=True)
        self.assert_diagnosis(report, Reason.RELAY_ONLY, Advice.DROP_RELAY_ONLY, Advice.NAME_RELAY)

    def test_declined(self) -> None:
        """A call that wasn't accepted blames no NAT."""
        self.call("cone", "cone")
        self.world.result(self.bob.node.stop())
        self.world.internet.run(5)
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.internet.run(5)
        failed = self.alice.events(events.CallFailed)[-1]
        self.assertNotIn("NAT", failed.explanation)
        report = self.alice.node.why(self.bob.node.peer_id)
        self.assert_diagnosis(report, Reason.NOT_ANSWERED)


class TellingTests(StoryCase):
    """The same for people and for bots."""

    def test_sentences(self) -> None:
        """Nothing that the facts have is left out of the sentences."""
        report = self.call("symmetric", "cone")
        told = "\n".join(sentences(report))
        (attempt,) = report.attempts
        assert attempt.theirs is not None and attempt.volley is not None
        candidates = (*attempt.ours.candidates, *attempt.theirs.candidates)
        self.assertTrue(all(f"{one.type} {one.address}" in told for one in candidates))
        for pair in attempt.pairs:
            self.assertIn(f"{pair.type} {pair.address}: {pair.checks_sent} checks sent", told)
        self.assertIn(f"{attempt.volley.packets_sent} packets sent", told)
        self.assertIn("made by many sockets", told)
        self.assertIn("the path is direct\nin use: ", told)

    def test_json(self) -> None:
        """The facts go through JSON as they are."""
        report = self.call("symmetric", "symmetric", relay=True)
        answer = Explanation(self.bob.node.peer_id, "bob", tuple(sentences(report)), report)
        line = json.loads(encode(answer.NAME, 0.0, fields_of(answer)))
        self.assertEqual(line["story"], list(answer.story))
        self.assertEqual(line["facts"]["verdict"]["reason"], "both-mappings-random")
        self.assertEqual(line["facts"]["attempts"][0]["ours"]["allocation"], "random")
        self.assertEqual(line["facts"]["relays"][0]["server"], f"turn:{RELAY}:3478")
