"""An agent and its relay: when it is asked for, what it carries, and when it is let go."""

from __future__ import annotations

from random import Random

from p2pchat.traversal.agent import RELAY_DELAY, RELAY_GRACE, LinkDatagrams
from p2pchat.traversal.attempt_events import PathMoved, RoundEnded
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.gathering import CandidatesChanged
from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.traversal.punching import FIRST_ROUND
from p2pchat.traversal.routes import RELAYS, Datagram
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate, CandidateType
from tests.simulation.link import Link
from tests.traversal.hard_wire import gathering_seen_at
from tests.traversal.relaying import FIRST, KEY, LATENCY, AgentEnd, RelaysCase

UDP = f"turn:{FIRST}"
NOWHERE = Candidate(CandidateType.HOST, ("203.0.113.99", 9))  # nobody is there
MORE = Candidate(CandidateType.HOST, ("203.0.113.98", 9))
QUIC = b"\x40" + bytes(40)


def at(end: AgentEnd) -> Candidate:
    """Return somebody's host candidate."""
    return Candidate(CandidateType.HOST, end.address)


class Case(RelaysCase):
    """Alice, who knows a relay, and Bob, who knows none."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.agent(UDP), self.agent()

    def begin(self, *bobs: Candidate) -> None:
        """Let both check; Alice is told these addresses of Bob's, Bob hears of nobody."""
        self.alice.punch("alice", "bob", False, *bobs)
        self.bob.punch("bob", "alice", True)

    def moves(self, end: AgentEnd) -> list[PathMoved]:
        """Return the paths that somebody chose."""
        return end.events(PathMoved)


class WhenTests(Case):
    """When a relay is asked for."""

    def test_direct(self) -> None:
        """Where a direct path is there before RELAY_DELAY, no relay is troubled."""
        self.begin(at(self.bob))
        self.internet.run(RELAY_DELAY)
        self.assertTrue(self.moves(self.alice) and self.moves(self.bob))
        self.internet.run(60)
        self.assertEqual(self.first.requests, [])
        self.assertFalse(self.alice.agent.relays.is_wanted)

    def test_no_direct(self) -> None:
        """Where there is none, it is asked after RELAY_DELAY, not before."""
        self.begin(NOWHERE)
        self.internet.run(RELAY_DELAY - 0.001)
        self.assertFalse(self.alice.agent.relays.is_wanted)
        self.assertEqual(self.first.requests, [])
        before = self.alice.events(CandidatesChanged)  # this machine's addresses became known
        self.internet.run(10 * LATENCY)
        self.assertEqual(len(self.first.allocations), 1)
        told = self.alice.agent.candidates()
        self.assertEqual([one.type for one in told][-1], CandidateType.RELAYED)
        self.assertEqual(self.alice.events(CandidatesChanged), [*before, CandidatesChanged()])

    def test_hopeless(self) -> None:
        """Where both mappings are random, at once."""
        mapped = [("198.51.100.1", port) for port in (2000, 60_000, 30_000)]
        random = Random(1).randbytes
        ours = gathering_seen_at(random, self.alice.address, mapped, self.alice.now)
        self.alice.agent.gathering = ours
        theirs, credentials = NatTraits(Mapping.DEPENDENT), CheckCredentials("alice", "bob", KEY)
        self.alice.agent.punch(credentials, (NOWHERE,), theirs, self.alice.now, False)
        self.assertTrue(self.alice.agent.relays.is_wanted)

    def test_remembered(self) -> None:
        """Where a relay was all there was the last time, at once, beside plain checks."""
        unknown, easy = Mapping.UNKNOWN, Mapping.ENDPOINT_INDEPENDENT
        for means, theirs, wanted in (
            (PathMethod.RELAY, unknown, True),
            (PathMethod.RELAY, easy, False),
            (PathMethod.PLAIN, unknown, False),
        ):
            end = self.agent(UDP)
            hint = PathHint(means, end.agent.gathering.traits().mapping, theirs, 0.0)
            credentials, now = CheckCredentials("alice", "bob", KEY), end.now
            attempt = end.agent.punch(credentials, (NOWHERE,), NatTraits(), now, False, hint=hint)
            self.assertEqual(end.agent.relays.is_wanted, wanted)
            self.assertTrue(all(pair.checks_sent for pair in attempt.checklist.pairs.values()))

    def test_candidates_fit(self) -> None:
        """However many addresses we have, the relayed one finds its place."""
        self.begin(NOWHERE)
        self.internet.run(1)
        many = tuple((f"198.51.100.{number}", 9) for number in range(100))
        self.alice.agent.gathering.set_host_addresses(many, self.alice.now)
        told = self.alice.agent.candidates()
        self.assertLessEqual(len(told), MAX_CANDIDATES)
        self.assertIs(told[-1].type, CandidateType.RELAYED)

    def test_prepared(self) -> None:
        """Who may use nothing else asks as soon as the call begins."""
        end = self.agent(UDP, relay_only=True)
        end.agent.prepare(end.now)
        end.driver.step()
        self.internet.run(1)
        self.assertEqual(len(self.first.allocations), 1)
        self.alice.agent.prepare(self.alice.now)
        self.alice.driver.step()
        self.internet.run(1)
        self.assertEqual(len(self.first.allocations), 1)


class CarryTests(Case):
    """What goes over a relay."""

    def relayed(self) -> None:
        """Let both find each other over Alice's relay."""
        self.begin(NOWHERE)
        self.internet.run(0.5)
        attempt = self.bob.agent.attempt("bob")
        assert attempt is not None
        attempt.add_candidates(self.alice.agent.relays.candidates(), self.bob.now)
        self.alice.agent.relays.permit([at(self.bob).address], self.alice.now)
        self.alice.driver.step()
        self.bob.driver.step()
        self.internet.run_until(lambda: self.moves(self.alice) and self.moves(self.bob), 3)

    def test_path(self) -> None:
        """Both have a path, and both know that a relay carries it."""
        self.relayed()
        alice, bob = self.moves(self.alice)[-1].path, self.moves(self.bob)[-1].path
        self.assertTrue(alice.is_relayed and bob.is_relayed)
        self.assertTrue(alice.base.startswith(RELAYS))
        self.assertEqual((alice.local, bob.remote), (CandidateType.RELAYED,) * 2)
        (relayed,) = self.alice.agent.relays.candidates()
        self.assertEqual((alice.address, bob.address), (at(self.bob).address, relayed.address))

    def test_link_datagrams(self) -> None:
        """QUIC goes over it both ways."""
        self.relayed()
        alice, bob = self.moves(self.alice)[-1].path, self.moves(self.bob)[-1].path
        self.alice.agent.send_relayed(Datagram(QUIC, alice.address, None, alice.base), 0.0)
        self.alice.driver.step()
        self.bob.sockets.send([Datagram(QUIC, bob.address)])
        self.internet.run(1)
        (there,), (back,) = self.bob.events(LinkDatagrams), self.alice.events(LinkDatagrams)
        self.assertEqual((there.datagrams, back.datagrams), ((QUIC,), (QUIC,)))

    def test_direct_is_better(self) -> None:
        """A direct pair is taken as soon as there is one, however slow; the relay is let go."""
        self.relayed()
        self.internet.link = Link(latency=0.15)
        attempt = self.alice.agent.attempt("alice")
        assert attempt is not None
        attempt.add_candidates([at(self.bob)], self.alice.now)
        attempt.check_again(self.alice.now)
        self.alice.driver.step()
        self.internet.run(2)
        for end in (self.alice, self.bob):
            self.assertFalse(self.moves(end)[-1].path.is_relayed)
        self.internet.run(2 * RELAY_GRACE + 1)
        self.assertEqual(self.first.allocations, {})
        self.assertEqual(self.moves(self.alice)[-1].path.address, at(self.bob).address)

    def test_relay_goes(self) -> None:
        """A relay that is gone takes its pairs with it."""
        self.relayed()
        self.first.quota = 0
        self.first.forget()
        self.alice.agent.relays.refresh(self.alice.now)
        self.alice.driver.step()
        self.internet.run(1)
        attempt = self.alice.agent.attempt("alice")
        assert attempt is not None
        self.assertFalse([one for one in attempt.checklist.pairs if one.is_relayed])
        self.assertFalse([one for one in attempt.checklist.bases if one.startswith(RELAYS)])


class RelayOnlyTests(Case):
    """Who wants nothing but relays."""

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.agent(UDP, relay_only=True)

    def test_tells_nothing_else(self) -> None:
        """No address of ours is told, before there is a relay and after."""
        self.assertEqual(self.alice.agent.candidates(), ())
        self.begin(at(self.bob))
        self.internet.run(1)
        self.assertEqual(
            {one.type for one in self.alice.agent.candidates()}, {CandidateType.RELAYED}
        )
        self.assertEqual(len(self.alice.agent.candidates()), 1)

    def test_sends_nothing_else(self) -> None:
        """
        No datagram goes from us to anybody but the relay, and the path is there.

        The other side, who wasn't told our relayed address, knows it for one from our check.
        """
        self.internet.trace = []
        self.begin(at(self.bob))
        self.internet.run(FIRST_ROUND)
        ours = self.alice.address[0]
        sent = {to[0] for _, source, to, *_ in self.internet.trace if source[0] == ours}
        self.assertEqual(sent, {FIRST})
        self.assertTrue(self.moves(self.alice)[-1].path.is_relayed)
        self.assertTrue(self.moves(self.bob)[-1].path.is_relayed)

    def test_answers_nothing_else(self) -> None:
        """A check that comes straight to our socket isn't answered, authentic or not."""
        self.alice.punch("alice", "bob", False)
        self.internet.trace = []
        self.bob.punch("bob", "alice", False, at(self.alice))
        self.internet.run(FIRST_ROUND + 1)
        ours, theirs = self.alice.address[0], self.bob.address[0]
        passed = {(source[0], to[0]) for _, source, to, *_ in self.internet.trace}
        self.assertIn((theirs, ours), passed)
        self.assertNotIn((ours, theirs), passed)
        self.assertGreater(self.alice.agent.refused, 3)
        self.assertEqual(self.bob.events(RoundEnded), [RoundEnded("bob", False)])

    def test_no_guessing(self) -> None:
        """Nor is anybody probed, or a socket opened."""
        for traits in (NatTraits(Mapping.DEPENDENT), NatTraits(Mapping.ENDPOINT_INDEPENDENT)):
            credentials = CheckCredentials(f"ours {traits.mapping}", "theirs", KEY)
            now = self.alice.now
            attempt = self.alice.agent.punch(credentials, (NOWHERE,), traits, now, False)
            self.assertFalse(attempt.guessing)


class ReleaseTests(Case):
    """How long a relay is kept."""

    def kept(self) -> None:
        """Let Alice have a relay for an attempt that finds nobody."""
        self.begin(NOWHERE)
        self.internet.run(1)
        self.assertEqual(len(self.first.allocations), 1)

    def test_grace(self) -> None:
        """After the attempt is over, it is kept for RELAY_GRACE, for the next one."""
        self.kept()
        self.alice.agent.forget("alice")
        self.alice.driver.step()
        self.internet.run(RELAY_GRACE - 2)
        self.assertEqual(len(self.first.allocations), 1)
        self.internet.run(RELAY_GRACE + 3)
        self.assertEqual(self.first.allocations, {})
        self.assertEqual(self.alice.agent.get_timer(), None)
        self.assertFalse(self.alice.agent.relays.is_wanted)

    def test_needed(self) -> None:
        """As long as an attempt has no direct path, it is kept."""
        self.kept()
        self.internet.run(10 * RELAY_GRACE)
        self.assertEqual(len(self.first.allocations), 1)

    def test_next_attempt(self) -> None:
        """The next attempt within the grace has the relay from the first check."""
        self.kept()
        self.alice.agent.forget("alice")
        self.internet.run(5)
        asked = len(self.first.requests)
        attempt = self.alice.punch("again", "bob", False, MORE)
        self.assertEqual(len(attempt.checklist.bases), 2)
        self.assertEqual(
            {route.base for route in attempt.checklist.pairs}, set(attempt.checklist.bases)
        )
        self.internet.run(1)
        self.assertEqual(len(self.first.allocations), 1)
        self.assertLess(len(self.first.requests) - asked, 4)
