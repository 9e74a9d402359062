"""The traversal of one peer: whom a datagram concerns, whatever base it came in on."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.agent import (
    EARLY_CHECKS,
    OVERTAKING,
    RELAY_DELAY,
    Agent,
    LinkDatagrams,
)
from p2pchat.traversal.attempt_events import PathMoved, RoundEnded
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.gathering import REFRESH_INTERVAL, CandidatesChanged, NetworkReturned
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.punching import FIRST_ROUND
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.routes import CHAT_SOCKET
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType

SERVER = ("203.0.113.1", 3478)
OURS, MAPPED = ("10.0.0.2", 5000), ("198.51.100.7", 4242)
THEIRS = ("198.51.100.2", 2001)
REMOTE = Candidate(CandidateType.HOST, THEIRS)
KEY = b"k" * 32
QUIC = b"\x40" + bytes(30)
NOW = 100.0


def agent() -> Agent:
    """Return an agent of one host address."""
    random = Random(1)
    gathering, relays = DualGathering((OURS,), random.randbytes), Relays(random.randbytes)
    return Agent(gathering, relays, False, random.randbytes)


class AgentTests(SynchronousTestCase):
    """One agent, its STUN server, and peers, all played by the test."""

    def setUp(self) -> None:
        self.agent = agent()

    def requests(self, now: float = NOW) -> list[tuple[Address, stun.Message]]:
        """Return what the agent asks, and whom."""
        sent = self.agent.datagrams_to_send(now)
        return [(one.destination, stun.decode(one.data)) for one in sent]

    def punch(self, ours: str = "ours", *remote: Candidate) -> None:
        """Begin an attempt with a peer whose fragment is ``theirs``."""
        credentials = CheckCredentials(ours, "theirs", KEY)
        self.agent.punch(credentials, remote or (REMOTE,), NatTraits(), NOW, False)

    def check(self, username: str, source: Address = THEIRS, key: bytes = KEY) -> None:
        """Let the agent have a check."""
        data = stun.encode(stun.request(b"t" * 12, USERNAME=username), key, fingerprint=True)
        self.agent.receive_on(CHAT_SOCKET, data, source, NOW)

    def hearing(self, source: Address = THEIRS, base: str = "") -> list[str]:
        """Return the attempts to which a QUIC datagram from there goes."""
        self.agent.receive_on(base, QUIC, source, NOW)
        told = [one for one in self.events() if isinstance(one, LinkDatagrams)]
        for one in told:
            self.assertEqual(one.datagrams, (QUIC,))
        return [one.ufrag for one in told]

    def events(self) -> list[object]:
        """Return the events that wait."""
        found: list[object] = []
        while (event := self.agent.next_event()) is not None:
            found.append(event)
        return found

    def test_beginning(self) -> None:
        """An agent begins with nothing to do."""
        self.assertIsNone(self.agent.get_timer())
        self.assertEqual(self.events(), [])

    def test_gathering(self) -> None:
        """The server's answer goes to gathering, and what it learned is told."""
        self.agent.gathering.set_servers([SERVER], NOW)
        ((destination, request),) = self.requests()
        self.assertEqual(destination, SERVER)
        answer = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=MAPPED))
        self.agent.receive_on(CHAT_SOCKET, answer, SERVER, NOW)
        self.assertEqual(self.events(), [CandidatesChanged()])
        self.assertEqual(self.agent.gathering.reflexive_addresses, (MAPPED,))
        self.assertEqual(self.agent.refused, 0)

    def test_request(self) -> None:
        """A check goes to the attempt that it is addressed to, and to no other."""
        for ours in ("one", "two"):
            self.punch(ours)
        self.requests()
        source = ("203.0.113.50", 50)
        self.check("two:theirs", source)
        self.assertEqual(self.hearing(source), ["two"])
        self.assertEqual(self.agent.refused, 0)

    def test_response(self) -> None:
        """A response goes to the attempt whose check it answers; the path is told once."""
        for ours in ("one", "two"):
            self.punch(ours)
        sent = dict(enumerate(self.requests()))
        _, request = sent[1]
        answer = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=OURS), KEY)
        self.agent.receive_on(CHAT_SOCKET, answer, THEIRS, NOW + 0.01)
        (event,) = self.events()
        assert isinstance(event, PathMoved)
        self.assertEqual((event.ufrag, event.path.address), ("two", THEIRS))
        self.assertEqual(self.hearing(), ["two"])

    def test_newest_first(self) -> None:
        """A link datagram from an address of two attempts is the newer one's."""
        for ours in ("one", "two"):
            self.punch(ours)
            self.check(f"{ours}:theirs")
        self.assertEqual(self.hearing(), ["two"])
        self.agent.forget("two")
        self.assertEqual(self.hearing(), ["one"])

    def test_overtaking(self) -> None:
        """QUIC that overtook the check of its route waits for it, a few datagrams in all."""
        self.punch("one")
        sent = [QUIC + bytes([number]) for number in range(OVERTAKING + 4)]
        for data in sent:
            self.agent.receive_on(CHAT_SOCKET, data, THEIRS, NOW)
        self.agent.receive_on(CHAT_SOCKET, QUIC, ("203.0.113.66", 6), NOW)
        self.assertEqual(self.events(), [])
        self.check("one:theirs")
        expected = [LinkDatagrams("one", tuple(sent[5:]))]
        self.assertEqual(self.events(), expected)
        self.check("one:theirs")
        self.assertEqual(self.events(), [])

    def test_route(self) -> None:
        """QUIC counts only over the very route of a check: address, port and base."""
        self.punch("one")
        self.check("one:theirs")
        self.assertEqual(self.hearing(), ["one"])
        before = self.agent.refused
        for source, base in (
            *(((THEIRS[0], 1), ""), (THEIRS, "socket/one/3"), (THEIRS, "relay/1")),
            *((THEIRS, "stream/1"), (("203.0.113.66", THEIRS[1]), "")),
        ):
            self.assertEqual(self.hearing(source, base), [])
        self.assertEqual(self.agent.refused, before + 5)

    def test_network_returns(self) -> None:
        """That the server answers again, after it didn't, is told once."""
        self.agent.gathering.set_servers([SERVER], NOW)
        while not self.agent.gathering.is_complete:
            self.agent.handle_timer(self.agent.get_timer() or 0.0)
        self.requests()
        self.assertEqual(set(self.events()), {CandidatesChanged()})
        self.agent.handle_timer(self.agent.get_timer() or 0.0)
        while not (asked := self.requests()):
            self.agent.handle_timer(self.agent.get_timer() or 0.0)
        answer = stun.encode(stun.success(asked[0][1], XOR_MAPPED_ADDRESS=MAPPED))
        self.agent.receive_on(CHAT_SOCKET, answer, SERVER, NOW)
        self.assertEqual(self.events(), [CandidatesChanged(), NetworkReturned()])

    def test_round_ends(self) -> None:
        """The end of a round is told, with what came of it."""
        self.punch("one")
        self.agent.handle_timer(NOW + FIRST_ROUND)
        self.assertEqual(self.events(), [RoundEnded("one", False)])

    def test_refused(self) -> None:
        """What concerns nobody is counted and not answered."""
        self.punch("one")
        self.requests()
        self.check("none:theirs")
        self.check("one:theirs", key=b"x")
        self.check("")
        self.agent.receive_on(CHAT_SOCKET, stun.encode(stun.request(b"t" * 12)), THEIRS, NOW)
        stray = stun.encode(stun.success(stun.request(b"u" * 12), XOR_MAPPED_ADDRESS=OURS))
        self.agent.receive_on(CHAT_SOCKET, stray, SERVER, NOW)
        self.agent.receive_on(CHAT_SOCKET, b"noise", THEIRS, NOW)
        self.assertEqual(self.agent.refused, 6)
        self.assertEqual((self.requests(), self.events()), ([], []))

    def test_forgotten(self) -> None:
        """A forgotten attempt sends nothing, answers nothing and hears nobody."""
        self.punch("one")
        self.check("one:theirs")
        self.agent.forget("one")
        self.agent.forget("one")
        self.agent.handle_timer(NOW + RELAY_DELAY)
        self.assertEqual((self.requests(), self.agent.get_timer()), ([], None))
        self.assertFalse(self.agent.relays.is_wanted)
        self.assertEqual(self.hearing(), [])
        before = self.agent.refused
        self.check("one:theirs")
        self.assertEqual(self.agent.refused, before + 1)

    def test_timer(self) -> None:
        """The earliest wish of any child is the agent's."""
        self.agent.gathering.set_servers([SERVER], NOW)
        ((_, request),) = self.requests()
        answer = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=MAPPED))
        self.agent.receive_on(CHAT_SOCKET, answer, SERVER, NOW)
        self.assertEqual(self.agent.get_timer(), NOW + REFRESH_INTERVAL)
        self.punch("one")
        self.assertEqual(self.agent.get_timer(), NOW + 0.02)

    def test_ufrags_differ(self) -> None:
        """Username fragments are random enough for RFC 8445, and fit a document."""
        found = {self.agent.new_ufrag() for _ in range(100)}
        self.assertEqual(len(found), 100)
        self.assertEqual({len(one) for one in found}, {16})

    def test_early_checks(self) -> None:
        """Checks that come before the answer are judged, and answered, when there is a key."""
        ours = self.agent.new_ufrag()
        self.check(f"{ours}:theirs")
        self.check(f"{ours}:theirs", OURS, b"x" * 32)
        self.check(f"{self.agent.new_ufrag()}:theirs")
        self.assertEqual(self.requests(), [])
        self.punch(ours, Candidate(CandidateType.HOST, ("198.51.100.3", 9)))
        answered = [
            destination
            for destination, message in self.requests()
            if message.message_class is stun.MessageClass.SUCCESS
        ]
        self.assertEqual(answered, [THEIRS])

    def test_many_early_checks(self) -> None:
        """However many come, few are kept; of an attempt that never begins, none."""
        ours, given_up = self.agent.new_ufrag(), self.agent.new_ufrag("carol")
        self.assertEqual((self.agent.peer_of(ours), self.agent.peer_of(given_up)), ("", "carol"))
        for port in range(1, 100):
            self.check(f"{ours}:theirs", (THEIRS[0], port))
            self.check(f"{given_up}:theirs", (THEIRS[0], port))
        self.agent.forget(given_up)
        self.assertEqual(self.agent.peer_of(given_up), "")
        for ufrag in (ours, given_up):
            self.punch(ufrag)
        answered = [
            destination[1]
            for destination, message in self.requests()
            if message.message_class is stun.MessageClass.SUCCESS
        ]
        self.assertEqual(answered, list(range(100 - EARLY_CHECKS, 100)))

    @settings(max_examples=200)
    @given(
        st.binary(max_size=100),
        st.sampled_from([0x0001, 0x0011, 0x0101, 0x0111, 0x0003]),
        st.lists(st.tuples(st.sampled_from([0x0006, 0x0008, 0x0020, 0x8028]), st.binary())),
    )
    def test_any_bytes(self, data: bytes, kind: int, attributes: list[tuple[int, bytes]]) -> None:
        """Any bytes from anywhere, STUN or nearly so, never raise, and move nothing."""
        self.punch("one")
        body = b"".join(
            number.to_bytes(2, "big")
            + len(value).to_bytes(2, "big")
            + value
            + bytes(-len(value) % 4)
            for number, value in attributes
        )
        header = kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
        before = self.agent.refused
        for one in (data, header + b"t" * 12 + body):
            self.agent.receive_on(CHAT_SOCKET, one, THEIRS, NOW)
        self.assertEqual(self.agent.refused, before + 2)
        self.assertEqual(self.events(), [])
        self.assertEqual(self.hearing(), [])
