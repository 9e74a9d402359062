"""The traversal of one socket: whom a STUN datagram concerns."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.interfaces import IMachine
from p2pchat.traversal.agent import Agent, CandidatesChanged, PathMoved, RoundEnded
from p2pchat.traversal.gathering import REFRESH_INTERVAL, Gathering
from p2pchat.traversal.punching import FIRST_ROUND, Credentials
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType

SERVER = ("203.0.113.1", 3478)
OURS, MAPPED = ("10.0.0.2", 5000), ("198.51.100.7", 4242)
THEIRS = ("198.51.100.2", 2001)
REMOTE = Candidate(CandidateType.HOST, THEIRS)
KEY = b"k" * 32
NOW = 100.0


def agent() -> Agent:
    """Return an agent of one host address."""
    random = Random(1)
    return Agent(Gathering((OURS,), random.randbytes), random.randbytes)


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
        credentials = Credentials(ours, "theirs", KEY)
        self.agent.punch(credentials, remote or (REMOTE,), NOW, False)

    def check(self, username: str, source: Address = THEIRS, key: bytes = KEY) -> None:
        """Let the agent have a check."""
        data = stun.encode(stun.request(b"t" * 12, USERNAME=username), key, fingerprint=True)
        self.agent.receive_datagram(data, source, NOW)

    def events(self) -> list[object]:
        """Return the events that wait."""
        found: list[object] = []
        while (event := self.agent.next_event()) is not None:
            found.append(event)
        return found

    def test_interface(self) -> None:
        """The agent is a machine with the five verbs."""
        self.assertTrue(verifyObject(IMachine, self.agent))
        self.assertIsNone(self.agent.get_timer())
        self.assertEqual(self.events(), [])

    def test_gathering(self) -> None:
        """The server's answer goes to gathering, and what it learned is told."""
        self.agent.gathering.set_servers([SERVER], NOW)
        ((destination, request),) = self.requests()
        self.assertEqual(destination, SERVER)
        answer = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=MAPPED))
        self.agent.receive_datagram(answer, SERVER, NOW)
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
        self.assertEqual(self.agent.attempts_hearing(source), ["two"])
        self.assertEqual(self.agent.refused, 0)

    def test_response(self) -> None:
        """A response goes to the attempt whose check it answers; the path is told once."""
        for ours in ("one", "two"):
            self.punch(ours)
        sent = dict(enumerate(self.requests()))
        _, request = sent[1]
        answer = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=OURS), KEY)
        self.agent.receive_datagram(answer, THEIRS, NOW + 0.01)
        (event,) = self.events()
        assert isinstance(event, PathMoved)
        self.assertEqual((event.ufrag, event.path.address), ("two", THEIRS))
        self.assertEqual(self.agent.attempts_hearing(THEIRS), ["two"])

    def test_newest_first(self) -> None:
        """An address of two attempts is asked about: the newer one comes first."""
        for ours in ("one", "two"):
            self.punch(ours)
            self.check(f"{ours}:theirs")
        self.assertEqual(self.agent.attempts_hearing(THEIRS), ["two", "one"])

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
        self.agent.receive_datagram(stun.encode(stun.request(b"t" * 12)), THEIRS, NOW)
        stray = stun.encode(stun.success(stun.request(b"u" * 12), XOR_MAPPED_ADDRESS=OURS))
        self.agent.receive_datagram(stray, SERVER, NOW)
        self.agent.receive_datagram(b"noise", THEIRS, NOW)
        self.assertEqual(self.agent.refused, 6)
        self.assertEqual((self.requests(), self.events()), ([], []))

    def test_forgotten(self) -> None:
        """A forgotten attempt sends nothing, answers nothing and hears nobody."""
        self.punch("one")
        self.check("one:theirs")
        self.agent.forget("one")
        self.agent.forget("one")
        self.assertEqual((self.requests(), self.agent.get_timer()), ([], None))
        self.assertEqual(self.agent.attempts_hearing(THEIRS), [])
        self.check("one:theirs")
        self.assertEqual(self.agent.refused, 1)

    def test_timer(self) -> None:
        """The earliest wish of any child is the agent's."""
        self.agent.gathering.set_servers([SERVER], NOW)
        ((_, request),) = self.requests()
        answer = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=MAPPED))
        self.agent.receive_datagram(answer, SERVER, NOW)
        self.assertEqual(self.agent.get_timer(), NOW + REFRESH_INTERVAL)
        self.punch("one")
        self.assertEqual(self.agent.get_timer(), NOW + 0.02)

    def test_ufrags_differ(self) -> None:
        """Username fragments are random enough for RFC 8445, and fit a document."""
        found = {self.agent.new_ufrag() for _ in range(100)}
        self.assertEqual(len(found), 100)
        self.assertEqual({len(one) for one in found}, {16})

    @settings(deadline=None, max_examples=200)
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
            self.agent.receive_datagram(one, THEIRS, NOW)
        self.assertEqual(self.agent.refused, before + 2)
        self.assertEqual(self.agent.attempts_hearing(THEIRS), [])
        self.assertEqual(self.events(), [])
