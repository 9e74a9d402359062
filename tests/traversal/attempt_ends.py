"""Two attempts on a fake wire, no NAT but the wire's links."""

from __future__ import annotations

from random import Random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.attempt_events import PathMoved, RoundEnded
from p2pchat.traversal.checks import MAX_PADDED, CheckCredentials
from p2pchat.traversal.pairs import Checklist, Path
from p2pchat.traversal.punching import AttemptPhase, Punching
from p2pchat.traversal.reachability import families
from p2pchat.traversal.remote_candidates import RemoteCandidates
from p2pchat.traversal.routes import Datagram, Route
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType
from tests.traversal.fake_wire import FakeWire, Link
from tests.traversal.outboxes import checks_of, take

KEY = b"k" * 32
MAX_PACKET = 200  # bytes; no check, and no answer to one, has more
A1, A2 = ("198.51.100.1", 1001), ("10.0.0.1", 1002)
B1, B2 = ("198.51.100.2", 2001), ("10.0.0.2", 2002)
ELSEWHERE = ("203.0.113.66", 666)


def host(*addresses: Address) -> list[Candidate]:
    """Return host candidates."""
    return [Candidate(CandidateType.HOST, address) for address in addresses]


@attrs.define(eq=False)
class End:
    """A `Station` with one attempt, and what it told and sent."""

    punching: Punching
    refused: int = 0
    sent: list[Datagram] = attrs.Factory(list)
    moves: list[Path] = attrs.Factory(list)
    ends: list[AttemptPhase] = attrs.Factory(list)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        message = stun.decode(data, most=MAX_PADDED)
        is_request = message.message_class is stun.MessageClass.REQUEST
        one = self.punching
        take = one.receive_request if is_request else one.receive_response
        self.refused += not take(message, Route(source), now)
        self._note()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.punching.handle_timer(now)
        self._note()

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return self.punching.get_timer()

    def outgoing(self, _now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        outgoing = checks_of(self.punching)
        self.sent += outgoing
        return outgoing

    def checks(self) -> list[Datagram]:
        """Return the requests sent so far, and forget them."""
        sent, self.sent = self.sent, []
        request = stun.MessageClass.REQUEST
        read = [(one, stun.decode(one.data, most=MAX_PADDED)) for one in sent]
        return [one for one, message in read if message.message_class is request]

    def _note(self) -> None:
        self.moves += [one.path for one in take(self.punching, PathMoved)]
        ends = {True: AttemptPhase.COMPLETED, False: AttemptPhase.FAILED}
        self.ends += [ends[one.succeeded] for one in take(self.punching, RoundEnded)]


def end(seed: int, ours: str, theirs: str, hosts: tuple[Address, ...], key: bytes = KEY) -> End:
    """Make one end of an attempt; the one with the lower fragment made the offer."""
    credentials, controlling = CheckCredentials(ours, theirs, key), ours < theirs
    checklist = Checklist(RemoteCandidates(False), families(hosts))
    return End(Punching(credentials, controlling, checklist, hosts, (), Random(seed).randbytes))


class PunchingCase(SynchronousTestCase):
    """Alice offers, Bob answers; both have two addresses, joined pairwise or not."""

    def setUp(self) -> None:
        self.alice = end(1, "aaaa", "bbbb", (A1, A2))
        self.bob = end(2, "bbbb", "aaaa", (B1, B2))
        self.lay(seed=3)

    def lay(self, seed: int) -> None:
        """Lay a new wire between them; the seed decides what it loses and delays."""
        self.wire = FakeWire(seed)
        self.wire.attach(self.alice, A1, A2)
        self.wire.attach(self.bob, B1, B2)

    def begin(self, *candidates: Address, low_ttl: bool = False) -> None:
        """Let both begin; Alice knows these of Bob's addresses, Bob the ones they pair with."""
        theirs = [{B1: A1, B2: A2}[address] for address in candidates]
        self.alice.punching.begin(host(*candidates), self.wire.now, False)
        self.bob.punching.begin(host(*theirs), self.wire.now, low_ttl)

    def joined(self, link: Link | None = None) -> Link:
        """Join both by one link and wait for the path."""
        joining = self.wire.link(A1, B1, link)
        self.begin(B1)
        self.wire.run_until(lambda: self.alice.moves and self.bob.moves)
        return joining

    def path(self, one: End) -> Address | None:
        """Return the address of the path in use."""
        return None if one.punching.path is None else one.punching.path.address
