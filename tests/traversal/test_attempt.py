"""Two attempts with an agent each; the test carries their descriptions."""

from __future__ import annotations

from random import Random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.exchange import PeerIds
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.attempt import MAX_REPEATS, Attempt, extended
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.nat import Mapping
from p2pchat.traversal.pairs import MAX_PAIRS
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.traversal.port_guessing import FIRST_PAUSE
from p2pchat.traversal.punching import LOW_TTL
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.remote_candidates import MAX_KEPT
from p2pchat.traversal.routes import CHAT_SOCKET, Route
from p2pchat.traversal.strategy import Strategy
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    NatWords,
)
from tests.identity import people

NOW = 100.0
FORTH = PeerIds(people.ALICE.peer_id, people.BOB.peer_id)
ALICE, BOB = ("198.51.100.1", 1001), ("198.51.100.2", 2002)
OPEN = NatWords("none", "", "endpoint-independent")


def reflexive(number: int) -> Candidate:
    """Return one of many candidates."""
    return Candidate(CandidateType.SERVER_REFLEXIVE, ("203.0.113.9", 1000 + number))


def attempting(seed: int, address: Address, hint: PathHint | None = None) -> Attempt:
    """Return an attempt of somebody with one address; an odd seed makes the offer."""
    random = Random(seed)
    gathering, relays = DualGathering((address,), random.randbytes), Relays(random.randbytes)
    agent = Agent(gathering, relays, False, random.randbytes)
    peer_ids = FORTH if seed % 2 else PeerIds(FORTH.remote, FORTH.local)
    return Attempt(agent, peer_ids, "session", seed % 2 == 1, NOW, hint, random.randbytes)


class AttemptCase(SynchronousTestCase):
    """Alice offers, Bob answers."""

    def setUp(self) -> None:
        self.alice, self.bob = attempting(1, ALICE), attempting(2, BOB)

    def begin(self) -> None:
        """Let both check."""
        self.bob.agree(self.alice.describe("alice", "", NOW))
        self.alice.agree(self.bob.describe("bob", "", NOW))
        for one in (self.bob, self.alice):
            one.begin(False, (), NOW)

    def find_path(self) -> None:
        """Let both check, and carry their datagrams, until there is a path."""
        self.begin()
        for _ in range(3):
            for one, source, other in ((self.bob, BOB, self.alice), (self.alice, ALICE, self.bob)):
                for datagram in one.agent.datagrams_to_send(NOW):
                    other.agent.receive_on(CHAT_SOCKET, datagram.data, source, NOW)


class DescriptionTests(AttemptCase):
    """What an offer or answer says."""

    def test_description(self) -> None:
        """It names who, the link, our fragment, candidates and NAT."""
        described = self.alice.describe("alice", "a link", NOW)
        self.assertEqual((described.username, described.link), ("alice", "a link"))
        self.assertEqual(described.ufrag, self.alice.ufrag)
        self.assertEqual(described.candidates, (Candidate(CandidateType.HOST, ALICE),))
        self.assertEqual(described.nat, NatWords("unknown", "", "unknown"))
        self.assertEqual(self.alice.describe("alice", "a link", NOW), described)

    def test_pause(self) -> None:
        """It says how long port guessing has to wait, but for a run of this very attempt."""
        guessing, peer = self.alice.agent.guessing, self.alice.peer_ids.remote
        self.assertEqual(self.alice.describe("alice", "", NOW).pause, 0)
        guessing.take(Strategy.PORT_PROBING, self.alice.ufrag, peer, NOW)
        self.assertEqual(self.alice.describe("alice", "", NOW).pause, 0)
        guessing.give_back(self.alice.ufrag, peer, succeeded=False, keeps=False)
        self.assertGreater(self.alice.describe("alice", "", NOW + 1).pause, FIRST_PAUSE * 1000)

    def test_fresh(self) -> None:
        """Nothing of an attempt is used again in another one."""
        random = Random(3)
        agent, make = self.alice.agent, random.randbytes
        two = [Attempt(agent, FORTH, name, True, NOW, None, make) for name in "ab"]
        one, other = (attempt.describe("alice", "", NOW) for attempt in two)
        self.assertNotEqual(one.ufrag, other.ufrag)
        self.assertNotEqual(one.exchange, other.exchange)

    def test_extended(self) -> None:
        """What is added before the checks begin joins an offer: once, within its limit."""
        offer = self.alice.describe("alice", "", NOW)
        for number in (1, 1, 2):
            offer = extended(offer, Candidates("session", (reflexive(number),)))
        host = Candidate(CandidateType.HOST, ALICE)
        self.assertEqual(offer.candidates, (host, reflexive(1), reflexive(2)))
        flood = Candidates("session", tuple(reflexive(n) for n in range(1, 1 + MAX_CANDIDATES)))
        self.assertEqual(len(extended(offer, flood).candidates), MAX_CANDIDATES)

    def test_extended_words(self) -> None:
        """Their words about their NAT replace the offer's; none replace nothing."""
        offer = extended(self.alice.describe("alice", "", NOW), Candidates("session", (), nat=OPEN))
        self.assertEqual(offer.nat, OPEN)
        self.assertEqual(extended(offer, Candidates("session", ())).nat, OPEN)


class ChecksTests(AttemptCase):
    """From both descriptions to checks."""

    def test_keys_agree(self) -> None:
        """Both sides' checks are keyed alike: each accepts the other's."""
        self.begin()
        (check,) = self.alice.agent.datagrams_to_send(NOW)
        self.bob.agent.receive_on(CHAT_SOCKET, check.data, ALICE, NOW)
        checks = self.bob.agent.attempt(self.bob.ufrag)
        self.assertTrue(checks is not None and Route(ALICE) in checks.routes)

    def test_secrets_agree(self) -> None:
        """So is the handshake of the link; the checks' key isn't its secret."""
        self.begin()
        self.assertEqual(self.alice.handshake_secret, self.bob.handshake_secret)
        self.assertEqual(len(self.alice.handshake_secret), 32)

    def test_answering_side_first(self) -> None:
        """The answering side's first checks go no further than its own NAT."""
        self.begin()
        (low,) = self.bob.agent.datagrams_to_send(NOW)
        (full,) = self.alice.agent.datagrams_to_send(NOW)
        self.assertEqual((low.destination, low.ttl), (ALICE, LOW_TTL))
        self.assertEqual((full.destination, full.ttl), (BOB, None))

    def test_began(self) -> None:
        """That the offering side has begun ends the low TTL."""
        self.begin()
        self.bob.agent.datagrams_to_send(NOW)
        self.assertFalse(self.bob.add_candidates(Candidates("session", (), True), NOW))
        self.assertEqual([one.ttl for one in self.bob.agent.datagrams_to_send(NOW)], [None])

    def test_flight(self) -> None:
        """A flight follows the first check, once."""
        self.alice.agree(self.bob.describe("bob", "", NOW))
        self.alice.begin(False, (b"first", b"second"), NOW)
        check, *flight = self.alice.agent.datagrams_to_send(NOW)
        self.assertEqual([one.data for one in flight], [b"first", b"second"])
        self.assertEqual({one.destination for one in (check, *flight)}, {BOB})
        self.alice.agent.handle_timer(NOW + 0.02)
        (again,) = self.alice.agent.datagrams_to_send(NOW + 0.02)
        self.assertEqual(len(again.data), len(check.data))

    def test_unfit_key(self) -> None:
        """A key that makes no secret begins nothing; a good one may still come."""
        good = self.bob.describe("bob", "", NOW)
        bad = attrs.evolve(good, exchange=bytes(32))
        self.assertRaises(RemoteProtocolError, self.alice.agree, bad)
        self.assertEqual((self.alice.handshake_secret, self.alice.is_checking), (b"", False))
        self.alice.agree(good)
        self.alice.begin(False, (), NOW)
        self.assertTrue(self.alice.is_checking)

    def test_news(self) -> None:
        """What comes during the checks is checked at once."""
        self.begin()
        self.alice.agent.datagrams_to_send(NOW)
        self.alice.add_candidates(Candidates("session", (reflexive(1),)), NOW)
        sent = self.alice.agent.datagrams_to_send(NOW)
        self.assertEqual([one.destination for one in sent], [reflexive(1).address])

    def test_give_up(self) -> None:
        """Nothing is checked any more, nor learned."""
        self.begin()
        self.alice.give_up()
        self.assertTrue(self.alice.is_over)
        self.assertFalse(self.alice.is_checking)
        self.assertIsNone(self.alice.agent.attempt(self.alice.ufrag))
        self.assertFalse(self.alice.add_candidates(Candidates("session", (reflexive(1),)), NOW))
        self.assertIsNone(self.alice.next_hint(0.0))


class TalkativeTests(AttemptCase):
    """A peer that never stops adding candidates."""

    def test_repeats(self) -> None:
        """Ours are to be sent again for news of theirs, a few times and not for each."""
        self.begin()
        self.assertFalse(
            self.alice.add_candidates(Candidates("session", (reflexive(0),)), NOW), "no update"
        )
        self.alice.update()
        again = [
            self.alice.add_candidates(Candidates("session", (reflexive(number),)), NOW)
            for number in (1, 1, *range(2, 200))
        ]
        self.assertEqual(again[:2], [True, False], "known ones are no news")
        self.assertEqual(sum(again), MAX_REPEATS)

    def test_report(self) -> None:
        """What is reported of the attempt stays small, and names each address once."""
        self.begin()
        for number in range(200):
            news = tuple(
                Candidate(kind, ("203.0.113.9", 1000 + number % 150))
                for kind in (CandidateType.SERVER_REFLEXIVE, CandidateType.HOST)
            )
            self.alice.add_candidates(Candidates("session", news), NOW)
        report = self.alice.report(NOW)
        assert report.theirs is not None
        addresses = [one.address for one in report.theirs.candidates]
        self.assertEqual((len(addresses), len(set(addresses))), (MAX_KEPT, MAX_KEPT))
        self.assertLessEqual(len(report.pairs), MAX_PAIRS)


class ReportTests(AttemptCase):
    """What came of it."""

    def test_before_checks(self) -> None:
        """Before the answer comes, only our own side is known."""
        self.alice.describe("alice", "", NOW)
        report = self.alice.report(NOW - 1, "nobody answered")
        self.assertIsNone(report.theirs)
        self.assertEqual((report.began_ms, report.checks_began_ms), (1000.0, None))
        self.assertEqual((report.offered_by_us, report.failure), (True, "nobody answered"))
        self.assertEqual([one.address for one in report.ours.candidates], ["198.51.100.1:1001"])

    def test_path(self) -> None:
        """Both sides report what made the path, and learn it for the next time."""
        self.find_path()
        for one in (self.alice, self.bob):
            self.assertIs(one.method, PathMethod.PLAIN)
            report = one.report(NOW)
            self.assertEqual((report.means, report.checking), ("plain", True))
            learned = PathHint(PathMethod.PLAIN, Mapping.UNKNOWN, Mapping.UNKNOWN, 5.0)
            self.assertEqual(one.next_hint(5.0), learned)

    def test_hint(self) -> None:
        """A hint is reported where both NATs look as they did."""
        for mapping, word in ((Mapping.UNKNOWN, "relay"), (Mapping.DEPENDENT, "")):
            hint = PathHint(PathMethod.RELAY, mapping, Mapping.UNKNOWN, 0.0)
            self.alice = attempting(1, ALICE, hint)
            self.begin()
            self.assertEqual(self.alice.report(NOW).remembered, word)

    def test_words(self) -> None:
        """Words about their NAT that come during the checks are those that are reported."""
        self.begin()
        self.alice.add_candidates(Candidates("session", (), nat=OPEN), NOW)
        report = self.alice.report(NOW)
        assert report.theirs is not None
        self.assertEqual(report.theirs.mapping, "none")


class UpdateTests(AttemptCase):
    """What follows an offer or answer."""

    def test_update(self) -> None:
        """It has our candidates and NAT, and doesn't say that checks began."""
        expected = self.alice.describe("alice", "", NOW)
        update = self.alice.update()
        self.assertEqual(update, Candidates("session", expected.candidates, False, expected.nat))
        self.assertIsInstance(expected, Description)
