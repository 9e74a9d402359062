"""What peers, strangers and accepted ones, can make an agent send, keep and do."""

from __future__ import annotations

import gc
import sys
from bisect import bisect_right
from random import Random
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.agent import Agent, LinkDatagrams, SocketsReleased
from p2pchat.traversal.attempt_events import RoundEnded
from p2pchat.traversal.check_slots import KEPT, LONGEST_WAIT, MAX_CHECKING
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.traversal.pairs import MAX_PAIRS
from p2pchat.traversal.port_guessing import FIRST_PAUSE, LEAST, PROBES
from p2pchat.traversal.punching import FIRST_ROUND, AttemptPhase, Punching
from p2pchat.traversal.relays import KEPT_HOSTS, Relays
from p2pchat.traversal.remote_candidates import MAX_AT_RELAY, MAX_KEPT
from p2pchat.traversal.routes import CHAT_SOCKET, Datagram
from p2pchat.traversal.send_budget import (
    BURST,
    BYTES,
    KEPT_PACKETS,
    PACKETS,
    RATE,
    STRANGERS,
    AmplificationLimit,
)
from p2pchat.traversal.turn_permissions import CHANNEL_BIND, CREATE_PERMISSION, MAX_HOSTS
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate, CandidateType
from tests.traversal.hard_wire import easy_agent, hard_agent
from tests.traversal.relaying import FIRST, RelaysCase

OURS, PEER, FRIEND = ("10.0.0.2", 5000), ("198.51.100.2", 2001), ("198.51.100.3", 3001)
VICTIM = "203.0.113.66"
KEY = b"k" * 32
QUIC = b"\x40" + bytes(30)
NOW = 100.0
MOST = AmplificationLimit().room(VICTIM, STRANGERS, NOW)  # of BURST, for strangers


def reflexive(*addresses: Address) -> tuple[Candidate, ...]:
    """Return candidates as an attacker tells them."""
    return tuple(Candidate(CandidateType.SERVER_REFLEXIVE, address) for address in addresses)


def spread(number: int, count: int = MAX_CANDIDATES) -> tuple[Candidate, ...]:
    """Return candidates at hosts that no other number has."""
    return reflexive(*((f"203.{number}.{n // 250}.{n % 250 + 1}", 9) for n in range(count)))


class CostCase(SynchronousTestCase):
    """One agent; the test plays everybody else."""

    def setUp(self) -> None:
        self.random = Random(1).randbytes
        gathering = DualGathering((OURS,), self.random)
        self.agent = Agent(gathering, Relays(self.random), False, self.random)
        self.now = NOW
        self.sent: list[tuple[float, Datagram]] = []
        self.told: list[object] = []

    def punch(
        self,
        ufrag: str,
        candidates: tuple[Candidate, ...] = (),
        has_priority: bool = False,
        peer_id: str = STRANGERS,
    ) -> Punching:
        """Begin an attempt with a peer whose fragment is ``theirs``."""
        ours, nat = CheckCredentials(ufrag, "theirs", KEY), NatTraits()
        return self.agent.punch(
            *(ours, candidates, nat, self.now, False), has_priority=has_priority, peer_id=peer_id
        )

    def check(self, ufrag: str, source: Address) -> None:
        """Let an authentic check come from there, or seem to."""
        request = stun.request(self.random(12), USERNAME=f"{ufrag}:theirs")
        data = stun.encode(request, KEY, fingerprint=True)
        self.agent.receive_on(CHAT_SOCKET, data, source, self.now)

    def flush(self, *answering: Address) -> list[Datagram]:
        """Take what goes out; these addresses answer checks."""
        sent = list(self.agent.datagrams_to_send(self.now))
        self.sent += [(self.now, one) for one in sent]
        while (event := self.agent.next_event()) is not None:
            self.told.append(event)
        for one in sent:
            message = stun.decode(one.data)
            if message.message_class is stun.MessageClass.REQUEST and one.destination in answering:
                padded = len(one.data) if "PADDING" in message.attributes else 0
                data = CheckCredentials("theirs", "", KEY).response(message, OURS, padded)
                self.agent.receive_on(CHAT_SOCKET, data, one.destination, self.now)
                self.flush(*answering)
        return sent

    def run_until(self, end: float, *answering: Address) -> None:
        """Let time pass."""
        self.flush(*answering)
        while (wanted := self.agent.get_timer()) is not None and wanted <= end:
            self.now = max(wanted, self.now)
            self.agent.handle_timer(self.now)
            self.flush(*answering)
        self.now = end

    def assert_within_budget(self) -> None:
        """No second saw more packets or bytes than may go to all hosts."""
        times = [when for when, _ in self.sent]
        sizes = [len(one.data) for _, one in self.sent]
        for index, when in enumerate(times):
            last = slice(bisect_right(times, when - 1), index + 1)
            self.assertLessEqual(len(times[last]), PACKETS)
            self.assertLessEqual(sum(sizes[last]), BYTES)


class ForgedSourceTests(CostCase):
    """An accepted peer has the key, and UDP sources can be forged."""

    def test_victim(self) -> None:
        """What seems to come from a host that never answers frees it from no allowance."""
        self.punch("ours", reflexive(PEER))
        for port in range(1, MAX_PAIRS):
            self.check("ours", (VICTIM, port))
        for _ in range(700):
            self.run_until(self.now + 0.17)
            self.check("ours", (VICTIM, 1))
        sent = [one for _, one in self.sent if one.destination[0] == VICTIM]
        self.assertGreater(len(sent), MOST)
        self.assertLessEqual(len(sent), MOST + RATE * (self.now - NOW))

    def test_responses(self) -> None:
        """Nor is it sent answers beyond that, however many checks seem to come from there."""
        self.punch("ours", reflexive(PEER))
        self.run_until(NOW + 1, PEER)
        for number in range(4 * BURST):
            self.now = NOW + 1 + number / 900
            self.check("ours", (VICTIM, 7))
            self.flush()
        sent = [one for _, one in self.sent if one.destination[0] == VICTIM]
        self.assertGreater(len(sent), MOST)
        self.assertLessEqual(len(sent), MOST + RATE * (self.now - NOW))

    def test_answered(self) -> None:
        """Where checks of ours are answered, all that is asked for goes on being answered."""
        self.punch("ours", reflexive(PEER))
        self.run_until(NOW + 1, PEER)
        self.sent.clear()
        for number in range(2 * BURST):
            self.now = NOW + 1 + number / 500
            self.check("ours", PEER)
            self.flush(PEER)
        self.assertEqual(len(self.sent), 2 * BURST)

    def test_friend(self) -> None:
        """What a friend sends is the friend's, though others' checks seem to come from there."""
        self.punch("friend", reflexive(FRIEND))
        self.run_until(NOW + 1, FRIEND)
        self.punch("mallory", reflexive(PEER))
        self.check("mallory", FRIEND)
        self.run_until(self.now + 1, PEER)
        self.told.clear()
        self.agent.receive_on(CHAT_SOCKET, QUIC, FRIEND, self.now)
        self.flush()
        (event,) = [one for one in self.told if isinstance(one, LinkDatagrams)]
        self.assertEqual(event.ufrag, "friend")


class LinkDatagramTests(CostCase):
    """What a datagram of a link costs, which is most of what comes."""

    def calls(self) -> int:
        """Return how many functions are called for one of them, from here and back."""
        count = 0

        def called(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal count
            count += event == "call"

        gc.collect()
        gc.disable()  # what it calls isn't ours
        sys.setprofile(called)
        try:
            self.agent.receive_on(CHAT_SOCKET, QUIC, PEER, self.now)
            self.agent.datagrams_to_send(self.now)
        finally:
            sys.setprofile(None)
            gc.enable()
        self.assertIsInstance(self.agent.next_event(), LinkDatagrams)
        return count

    def test_no_polls(self) -> None:
        """No machine below the agent is asked for anything, however many there are."""
        self.agent.gathering.set_servers([(VICTIM, 3478)], self.now)
        self.punch("ours", reflexive(PEER))
        self.run_until(NOW + 10, PEER)
        alone = self.calls()
        self.assertLess(alone, 20)
        for number in range(20):
            self.punch(f"other {number}", reflexive((PEER[0], 100 + number)))
            self.run_until(self.now + 1, (PEER[0], 100 + number))
        self.run_until(self.now + FIRST_ROUND)
        self.assertEqual(self.calls(), alone)


class TurnTests(CostCase):
    """How many attempts check at a time."""

    def phases(self, *ufrags: str) -> list[AttemptPhase]:
        """Return where attempts stand."""
        found = [self.agent.attempt(ufrag) for ufrag in ufrags]
        return [one.phase for one in found if one is not None]

    def fill(self) -> None:
        """Let strangers have all turns that they may have."""
        for number in range(MAX_CHECKING - KEPT):
            self.punch(f"stranger {number}", spread(number))

    def test_strangers(self) -> None:
        """A stranger too many waits, sends nothing, and checks when another's round is over."""
        self.fill()
        self.flush()
        self.sent.clear()
        self.now += FIRST_ROUND - 1
        late = self.punch("late", reflexive(PEER))
        self.flush()
        self.assertEqual((late.phase, self.sent), (AttemptPhase.QUEUED, []))
        self.run_until(NOW + FIRST_ROUND + 0.1, PEER)
        self.assertIs(late.phase, AttemptPhase.CHECKING)
        self.assertTrue(late.is_direct)

    def test_too_late(self) -> None:
        """One that has waited for too long has failed, and is told so."""
        self.fill()
        self.punch("late", reflexive(PEER))
        self.run_until(NOW + LONGEST_WAIT)
        self.assertIn(RoundEnded("late", False), self.told)
        self.assertEqual(self.phases("late"), [AttemptPhase.FAILED])

    def test_friend(self) -> None:
        """A friend's checks go out at once, whatever strangers do."""
        self.fill()
        self.run_until(NOW + 1)
        friend = self.punch("friend", reflexive(FRIEND), has_priority=True)
        self.flush(FRIEND)
        self.assertTrue(friend.is_direct)

    def test_completed(self) -> None:
        """Who only keeps a path takes nobody's turn; who looks at it again waits for one."""
        completed = [self.punch(f"completed {n}", reflexive((PEER[0], 100 + n))) for n in range(20)]
        answering = [(PEER[0], 100 + n) for n in range(20)]
        for _ in range(8):
            self.run_until(self.now + 0.5, *answering)
        self.assertEqual({one.phase for one in completed}, {AttemptPhase.COMPLETED})
        for one in completed:
            one.check_again(self.now)
        self.flush(*answering)
        checking = [one for one in completed if one.phase is AttemptPhase.CHECKING]
        self.assertEqual(len(checking), MAX_CHECKING - KEPT)
        self.told.clear()
        self.run_until(self.now + 3, *answering)
        ends = {one for one in self.told if isinstance(one, RoundEnded)}
        self.assertEqual(ends, {RoundEnded(f"completed {n}", True) for n in range(20)})

    def test_own_calls(self) -> None:
        """A round that has a path gives way to a friend's that has none."""
        for number in range(MAX_CHECKING):
            relayed = Candidate(CandidateType.RELAYED, (PEER[0], 100 + number))
            self.punch(f"friend {number}", (relayed,), has_priority=True)
        answering = [(PEER[0], 100 + n) for n in range(MAX_CHECKING)]
        self.run_until(NOW + 2, *answering)
        self.punch("one more", reflexive(FRIEND), has_priority=True)
        self.flush(FRIEND)
        self.assertEqual(
            self.phases("friend 0", "one more"), [AttemptPhase.COMPLETED, AttemptPhase.CHECKING]
        )

    def test_room(self) -> None:
        """Strangers find no room when enough of them wait; friends do."""
        begun = 0
        while self.agent.has_room(False, self.now) and begun < 100:
            self.punch(f"stranger {begun}")
            begun += 1
        self.assertLess(begun, 30)
        self.assertTrue(self.agent.has_room(True, self.now))


class BudgetTests(CostCase):
    """What goes to all hosts together."""

    def flood(self, seconds: float) -> None:
        """Let ever new strangers begin attempts as full as can be, where there is room."""
        end, number = self.now + seconds, 0
        while self.now < end:
            if self.agent.has_room(False, self.now):
                self.punch(f"stranger {number}", spread(number % 200))
                number += 1
            self.run_until(self.now + 0.05)

    def test_flood(self) -> None:
        """Strangers' checks fill what strangers may have, and no second sees more."""
        self.flood(10)
        self.assert_within_budget()
        self.assertGreater(len(self.sent), 5 * (PACKETS - KEPT_PACKETS))

    def test_friend(self) -> None:
        """Meanwhile a friend's checks go out as if nobody else were there."""
        alone = self.punch("alone", spread(250, 9), has_priority=True)
        self.run_until(NOW + 1)
        expected = sum(one.checks_sent for one in alone.checklist.reports(NOW))
        self.flood(5)
        friend = self.punch("friend", spread(251, 9), has_priority=True)
        self.flood(1)
        self.assertEqual(sum(one.checks_sent for one in friend.checklist.reports(NOW)), expected)
        self.assert_within_budget()

    def test_told(self) -> None:
        """What isn't sent isn't told to be."""
        attempts = [self.punch(f"stranger {n}", spread(n)) for n in range(MAX_CHECKING - KEPT)]
        self.run_until(NOW + 2)
        told = [pair for one in attempts for pair in one.checklist.reports(NOW)]
        self.assertEqual(sum(pair.checks_sent for pair in told), len(self.sent))

    def test_fair(self) -> None:
        """Of several strangers, and of one's pairs, none goes without for another."""
        attempts = [self.punch(f"stranger {n}", spread(n)) for n in range(MAX_CHECKING - KEPT)]
        self.run_until(NOW + 3)
        for attempt in attempts:
            checks = [pair.checks_sent for pair in attempt.checklist.reports(NOW)]
            self.assertGreater(min(checks), 5)
            self.assertLessEqual(max(checks) - min(checks), 2)


class VictimTests(CostCase):
    """One host that others name, again and again."""

    def attack(self, peer_id: str, *answering: Address) -> int:
        """Make 100 attempts of a peer, all of its ports the victim's; returns packets to it."""
        has_priority = peer_id != STRANGERS
        for number in range(100):
            named = [(VICTIM, 1000 + n) for n in range(MAX_CANDIDATES - len(answering))]
            ufrag = f"{peer_id} {number}"
            self.punch(ufrag, reflexive(*answering, *named), has_priority, peer_id)
            self.run_until(self.now + 0.7, *answering)
            self.agent.forget(ufrag)
            self.run_until(self.now + 0.1)
        return len([one for _, one in self.sent if one.destination[0] == VICTIM])

    def assert_bounded(self, sent: int, least: int) -> None:
        """It is no more than may be, and so much that there was danger."""
        self.assertGreaterEqual(sent, least)
        self.assertLessEqual(sent, BURST + RATE * (self.now - NOW))

    def test_strangers(self) -> None:
        """100 offers of strangers who name one host: their part of what may go there."""
        sent = self.attack(STRANGERS)
        self.assert_bounded(sent, MOST)
        self.assertLessEqual(sent, MOST + RATE * (self.now - NOW))

    def test_contact(self) -> None:
        """100 offers of one accepted contact: a peer's part."""
        sent = self.attack("carol")
        self.assert_bounded(sent, MOST)
        most = AmplificationLimit().room(VICTIM, "carol", NOW)
        self.assertLessEqual(sent, most + RATE * (self.now - NOW))

    def test_contacts(self) -> None:
        """So from ten accepted contacts, one after the other: all that may go there."""
        for number in range(10):
            sent = self.attack(f"contact {number}")
        self.assert_bounded(sent, BURST)

    def test_neighbour(self) -> None:
        """Nor is more had by one who answers at that very host, from a port of its own."""
        self.assert_bounded(self.attack("carol", (VICTIM, 9)), MOST)

    def test_elsewhere(self) -> None:
        """Nor by one who answers from another host."""
        self.assert_bounded(self.attack("carol", PEER), MOST)

    def test_friend(self) -> None:
        """Whatever strangers named, checks of a friend at that host go out, and are answered."""
        self.attack(STRANGERS)
        friend = self.punch("friend", reflexive((VICTIM, 9)), True, "bob")
        self.run_until(self.now + 0.1, (VICTIM, 9))
        self.assertIsNotNone(friend.path)

    def test_given_back(self) -> None:
        """What an address got that answers in the end counts against nobody."""
        for number in range(400):
            self.punch(str(number), reflexive((VICTIM, 9)), True, "bob")
            self.run_until(self.now + 0.3)
            self.run_until(self.now + 0.3, (VICTIM, 9))
            attempt = self.agent.attempt(str(number))
            self.assertTrue(attempt is not None and attempt.path, number)
            self.agent.forget(str(number))


class CandidateTests(CostCase):
    """A peer that never stops telling candidates."""

    def test_again(self) -> None:
        """The same ones 2,000 times are kept once, and cost no time."""
        attempt = self.punch("ours", reflexive(PEER))
        told = spread(1)
        for _ in range(2000):
            attempt.add_candidates(told, self.now)
        self.assertEqual(len(attempt.checklist.remote.kept), 1 + MAX_CANDIDATES)

    def test_ever_new(self) -> None:
        """Of 64,000 new ones, before and after the path is found, MAX_KEPT are kept."""
        attempt = self.punch("ours", reflexive(PEER))
        for number in range(2000):
            if number == 100:
                self.run_until(NOW + 5, PEER)
                self.assertIs(attempt.phase, AttemptPhase.COMPLETED)
            host = f"198.18.{number // 250}.{number % 250}"
            attempt.add_candidates(reflexive(*((host, 1 + n) for n in range(32))), self.now)
        self.assertEqual(len(attempt.checklist.remote.kept), MAX_KEPT)
        self.assertLessEqual(len(attempt.checklist.pairs), MAX_PAIRS)
        self.assertLessEqual(len(attempt.checklist.reports(NOW)), MAX_PAIRS)

    def test_named_anew(self) -> None:
        """The type that an address was told to be of first stays."""
        attempt = self.punch("ours", reflexive(PEER))
        attempt.add_candidates([Candidate(CandidateType.HOST, PEER)], self.now)
        self.assertEqual(attempt.checklist.remote.kept, reflexive(PEER))


class GuessingTests(SynchronousTestCase):
    """Probing and many sockets, which strangers can ask for."""

    def began(
        self, agent: Agent, ufrag: str, theirs: Mapping, has_priority: bool, now: float
    ) -> bool:
        """Begin an attempt; tells whether it guesses ports."""
        where = reflexive((f"198.51.100.{len(ufrag)}", 9))
        attempt = agent.punch(
            CheckCredentials(ufrag, "theirs", KEY),
            where,
            NatTraits(theirs),
            now,
            False,
            has_priority=has_priority,
            peer_id=ufrag,
        )
        return attempt.guessing is not None

    def test_probing(self) -> None:
        """Strangers whose probing fails, again and again, delay no friend's."""
        agent, now = easy_agent(1), NOW
        for number in range(10):
            self.began(agent, "s" * (number + 1), Mapping.DEPENDENT, False, now)
            agent.forget("s" * (number + 1))
            now += 3
        self.assertFalse(self.began(agent, "stranger", Mapping.DEPENDENT, False, now))
        self.assertTrue(self.began(agent, "friend", Mapping.DEPENDENT, True, now))

    def test_sockets(self) -> None:
        """Strangers open many sockets one after the other, a friend at once."""
        agent, easy = hard_agent(1), Mapping.ENDPOINT_INDEPENDENT
        self.assertTrue(self.began(agent, "a", easy, False, NOW))
        self.assertFalse(self.began(agent, "bb", easy, False, NOW + FIRST_PAUSE))
        self.assertTrue(self.began(agent, "friend", easy, True, NOW))
        agent.forget("a")
        self.assertTrue(self.began(agent, "ccc", easy, False, NOW + FIRST_PAUSE))

    def test_probing_beside_strangers(self) -> None:
        """A friend's whole run goes out in its round though strangers fill their share."""
        agent, now = easy_agent(1), NOW
        for number in range(MAX_CHECKING - KEPT):
            credentials = CheckCredentials(f"stranger {number}", "theirs", KEY)
            agent.punch(credentials, spread(number), NatTraits(), now, False)
        self.began(agent, "friend", Mapping.DEPENDENT, True, now)
        friend = agent.attempt("friend")
        assert friend is not None and friend.guessing is not None
        while (wanted := agent.get_timer()) is not None and wanted < NOW + FIRST_ROUND:
            now = max(wanted, now)
            agent.handle_timer(now)
            agent.datagrams_to_send(now)
        self.assertEqual(friend.guessing.sent, PROBES)

    def test_friends_at_one_address(self) -> None:
        """One friend's run that fails delays no other's, and leaves it enough to be met."""
        agent = easy_agent(1)
        for name, least in (("first", PROBES), ("second", 2 * LEAST)):
            credentials = CheckCredentials(name, "theirs", KEY)
            where, nat = reflexive((VICTIM, 9)), NatTraits(Mapping.DEPENDENT)
            friend = agent.punch(
                *(credentials, where, nat, NOW, False), has_priority=True, peer_id=name
            )
            self.play(agent, FIRST_ROUND)
            assert friend.guessing is not None
            self.assertGreaterEqual(friend.guessing.sent, least)

    @staticmethod
    def play(agent: Agent, seconds: float) -> None:
        """Let time pass; nobody answers."""
        now = NOW
        while (wanted := agent.get_timer()) is not None and wanted < NOW + seconds:
            now = max(wanted, now)
            agent.handle_timer(now)
            agent.datagrams_to_send(now)

    def test_sockets_close(self) -> None:
        """When the round is over, all that nothing came through are closed."""
        agent, now = hard_agent(1), NOW
        self.began(agent, "a", Mapping.ENDPOINT_INDEPENDENT, False, now)
        told: list[object] = []
        while (wanted := agent.get_timer()) is not None and wanted <= NOW + FIRST_ROUND:
            now = max(wanted, now)
            agent.handle_timer(now)
            agent.datagrams_to_send(now)
            while (event := agent.next_event()) is not None:
                told.append(event)
        self.assertIn(SocketsReleased("a", frozenset()), told)


class RelayTests(RelaysCase):
    """What peers can make us ask of our relay."""

    def test_hosts(self) -> None:
        """A peer names a few IP addresses to it, whatever it tells; they go with the attempt."""
        alice = self.agent(f"turn:{FIRST}")
        for number in range(20):
            alice.punch(f"alice {number}", "bob", False, *spread(number))
            self.internet.run(1)
            (allocation,) = self.first.allocations.values()
            self.assertEqual(len(allocation.permissions), MAX_AT_RELAY * (number + 1))
            alice.agent.forget(f"alice {number}")
        attempt = alice.punch("alice", "bob", False, *reflexive(self.peer_address))
        self.internet.run(1)
        self.assertIn(self.peer_address[0], allocation.permissions)
        self.assertEqual(attempt.checklist.remote.at_relay, (self.peer_address,))

    def test_kept_hosts(self) -> None:
        """Strangers who stay take no friend's place there."""
        alice = self.agent(f"turn:{FIRST}")
        for number in range(20):
            alice.punch(f"alice {number}", "bob", False, *spread(number))
            self.internet.run(1)
        credentials = CheckCredentials("friend", "bob", KEY)
        there = reflexive(self.peer_address)
        alice.agent.punch(credentials, there, NatTraits(), alice.now, False, has_priority=True)
        alice.driver.step()
        self.internet.run(1)
        (allocation,) = self.first.allocations.values()
        self.assertIn(self.peer_address[0], allocation.permissions)
        self.assertLessEqual(len(allocation.permissions), MAX_HOSTS - KEPT_HOSTS + 1)

    def test_no_channels(self) -> None:
        """Checks bind no channel, however many go to one address."""
        alice = self.agent(f"turn:{FIRST}")
        alice.punch("alice", "bob", False, *reflexive(("203.0.113.50", 9)))
        self.internet.run(FIRST_ROUND)
        self.assertIn(CREATE_PERMISSION, self.first.requests)
        self.assertNotIn(CHANNEL_BIND, self.first.requests)
