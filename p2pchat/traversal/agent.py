"""
The traversal of one peer: gathering, relays, and any number of attempts side by side.

Owns the way of a datagram to what it concerns, whatever base it came in on: relayed data is
unwrapped first; a STUN request goes by the username fragment that it is addressed to, a response
by its transaction; QUIC goes to the attempt that its route belongs to, as :class:`LinkDatagram`.
Everything else is refused and counted.  An attempt is named by our username fragment.  Checks
that come before the answer does, which has the key to judge them by, wait for it, EARLY_CHECKS of
them: from behind a NAT that maps by destination they alone say where to answer.

Owns what attempts share: one run of port probing at a time, and the relay, which is asked for
where plain checks have had RELAY_DELAY in vain, or at once where they can't help, or didn't help
the last time (:mod:`p2pchat.traversal.memory`).  And the allowance
(:mod:`p2pchat.traversal.allowance`): what goes to addresses that others name.  With ``relay_only``
no local or server-reflexive address is told, sent from or sent to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.interfaces import IMachine
from p2pchat.traversal import hard_nats
from p2pchat.traversal.allowance import Allowance
from p2pchat.traversal.behaviour import Mapping, NatTraits, Strategy, choose, easy_side, takes_long
from p2pchat.traversal.datagrams import CHAT_SOCKET, RELAYS, Datagram, Route
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.hard_nats import HARD_DELAY, OPEN_DELAY, ProbingBudget, Volley
from p2pchat.traversal.memory import Memory
from p2pchat.traversal.punching import LOW_TTL, Credentials, Path, Phase, Punching
from p2pchat.traversal.relays import Relays, StreamChange
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.demultiplexing import Kind, classify
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate


@attrs.frozen
class CandidatesChanged:
    """Gathering learned something new, or completed."""


@attrs.frozen
class NetworkReturned:
    """The STUN service answers again after it didn't."""


@attrs.frozen
class PathMoved:
    """An attempt chose a path."""

    ufrag: str
    path: Path


@attrs.frozen
class RoundEnded:
    """An attempt stopped checking; ``confirmed`` says whether it has a path."""

    ufrag: str
    confirmed: bool


@attrs.frozen
class LinkDatagram:
    """A QUIC datagram from a route that an authentic check came over."""

    ufrag: str
    data: bytes
    route: Route


@attrs.frozen
class SocketsReleased:
    """The sockets of an attempt may be closed, but for those that checks came through."""

    ufrag: str
    kept: frozenset[str]


AgentEvent = (
    CandidatesChanged
    | NetworkReturned
    | PathMoved
    | RoundEnded
    | LinkDatagram
    | SocketsReleased
    | StreamChange
)

RELAY_DELAY = 0.2  # seconds that direct checks have before a relay is asked for
EARLY_CHECKS = 8  # of one attempt; more are sent again anyway
RELAY_GRACE = 20.0  # seconds that a relay is kept after the last need of it


@implementer(IMachine)
@attrs.define
class Agent:
    """
    The machine of one peer's traversal.

    :ivar gathering: our candidates.
    :ivar relays: our allocations.
    :ivar relay_only: whether nothing but relays may be used.
    :ivar refused: datagrams that concerned nobody.
    """

    gathering: DualGathering
    relays: Relays
    relay_only: bool
    _random_bytes: Callable[[int], bytes]
    refused: int = 0
    _allowance: Allowance = attrs.Factory(Allowance)
    _budget: ProbingBudget = attrs.Factory(ProbingBudget)
    _attempts: dict[str, Punching] = attrs.Factory(dict)
    _theirs: dict[str, NatTraits] = attrs.Factory(dict)  # by attempt
    _recalled: dict[str, Memory] = attrs.Factory(dict)  # by attempt, where there is one
    _early: dict[str, deque[tuple[stun.Message, Route]]] = attrs.Factory(dict)
    _spread: set[str] = attrs.Factory(set)  # attempts with many sockets open
    _relay_at: float | None = None  # when to ask for a relay
    _relay_until: float | None = None  # when to let it go
    _events: deque[AgentEvent] = attrs.Factory(deque)

    def new_ufrag(self) -> str:
        """Return a fresh username fragment, 64 random bits (RFC 8445 section 5.3 wants 24)."""
        ufrag = self._random_bytes(8).hex()
        self._early[ufrag] = deque(maxlen=EARLY_CHECKS)
        return ufrag

    def candidates(self) -> tuple[Candidate, ...]:
        """Return all that a peer is to be told."""
        relayed = self.relays.candidates()
        if self.relay_only:
            return relayed
        return (*self.gathering.candidates()[: MAX_CANDIDATES - len(relayed)], *relayed)

    def prepare(self, now: float) -> None:
        """
        A call begins: where only a relay can carry it, ask for one before the answer comes.

        The mapping that we tell may be gone since the last look: the next look is now, and what it
        shows follows.
        """
        self.gathering.look_again(now)
        if self.relay_only or self.gathering.is_blocked:
            self._want_relay(now)
        self._relay_until = now + RELAY_GRACE

    def _want_relay(self, now: float) -> None:
        self._relay_at, self._relay_until = None, now + RELAY_GRACE
        self.relays.want(now, self.gathering.is_blocked, self.gathering.families)

    # -- attempts

    def punch(
        self,
        credentials: Credentials,
        candidates: tuple[Candidate, ...],
        theirs: NatTraits,
        now: float,
        low_ttl: bool,
        *,
        recalled: Memory | None = None,
    ) -> Punching:
        """
        Begin an attempt.

        :param theirs: what the other side says of its NAT.
        :param low_ttl: see :meth:`p2pchat.traversal.punching.Punching.begin`.
        :param recalled: how this peer was reached last.
        """
        attempt = Punching(
            credentials,
            not low_ttl,  # the offering side, which checks second
            self.gathering.host_addresses,
            self.gathering.reflexive_addresses,
            self.gathering.is_local,
            self._random_bytes,
        )
        attempt.bases = self._bases()
        self._attempts[credentials.local_ufrag] = attempt
        # A side without a NAT has no mapping that an early check could take (RELAY_WAIT).
        attempt.begin(candidates, now, low_ttl and theirs.mapping is not Mapping.NONE)
        for message, route in self._early.pop(credentials.local_ufrag, ()):
            attempt.receive_request(message, route, now)
        self._relay_at = min(now + RELAY_DELAY, self._relay_at or now + RELAY_DELAY)
        if recalled is not None:
            self._recalled[credentials.local_ufrag] = recalled
        self.learn(credentials.local_ufrag, theirs, now)
        return attempt

    def _bases(self) -> tuple[str, ...]:
        direct = () if self.relay_only else (CHAT_SOCKET,)
        return (*direct, *self.relays.bases)

    def learn(self, ufrag: str, theirs: NatTraits, now: float) -> None:
        """Take what the other side says of its NAT, at first or anew."""
        if ufrag in self._attempts:
            self._theirs[ufrag] = theirs
            self._reconsider(now)

    def _reconsider(self, now: float) -> None:
        """See whether an attempt needs more than plain checks."""
        ours = self.gathering.traits()
        for ufrag, attempt in self._attempts.items():
            if not attempt.is_direct and not attempt.volley_begun:
                theirs = self._theirs[ufrag]
                recalled = self._recall(ufrag)
                wanted = recalled is not None and recalled.wants_relay
                if wanted or takes_long(ours, theirs):
                    self._want_relay(now)
                begin = now + _head_start(ours, theirs, recalled)
                self._be_hard(ufrag, attempt, choose(ours, theirs), begin, now)
            self.relays.permit((one.address for one in attempt.candidates), now)

    def _be_hard(
        self, ufrag: str, attempt: Punching, strategy: Strategy, begin: float, now: float
    ) -> None:
        aim = hard_nats.target(attempt.candidates)
        if self.relay_only or self.gathering.is_blocked:
            self._want_relay(now)
        if aim is None or self.relay_only:
            return
        if strategy is Strategy.MANY_SOCKETS:
            self._spread.add(ufrag)
            data = attempt.check_bytes()
            attempt.begin_volley(Volley.openings(ufrag, data, aim, LOW_TTL, begin))
        elif strategy is Strategy.PROBE and self._budget.take(ufrag, now):
            data = attempt.check_bytes()
            attempt.begin_volley(Volley.probes(data, aim[0], self._random_bytes, begin))

    def _recall(self, ufrag: str) -> Memory | None:
        """Return what is remembered of the peer of an attempt, if both NATs look as they did."""
        found = self._recalled.get(ufrag)
        fits = found is not None and found.fits(self.gathering.traits(), self._theirs[ufrag])
        return found if fits else None

    def forget(self, ufrag: str) -> None:
        """End an attempt and its path, or give it up before it began."""
        self._early.pop(ufrag, None)
        self._theirs.pop(ufrag, None)
        self._recalled.pop(ufrag, None)
        attempt = self._attempts.pop(ufrag, None)
        if attempt is not None:
            self._budget.give_back(ufrag, attempt.is_direct)
            self._release_sockets(ufrag, frozenset())

    def _release_sockets(self, ufrag: str, kept: frozenset[str]) -> None:
        if ufrag in self._spread:
            self._events.append(SocketsReleased(ufrag, kept))
        if not kept:
            self._spread.discard(ufrag)

    def attempt(self, ufrag: str) -> Punching | None:
        """Return a running attempt."""
        return self._attempts.get(ufrag)

    # -- datagrams

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take a datagram from the chat socket."""
        self.receive_on(CHAT_SOCKET, data, addr, now)

    def receive_on(self, base: str, data: bytes, addr: Address, now: float) -> None:
        """Take a datagram from any base."""
        relayed = self.relays.receive(base, data, addr, now)
        for payload, route in [(data, Route(addr, base))] if relayed is None else relayed:
            self._take(payload, route, now)
        self._drain(now)

    def send_relayed(self, datagram: Datagram, now: float) -> None:
        """Send a datagram of a link from a relay base."""
        self.relays.send(datagram, now)

    def _take(self, data: bytes, route: Route, now: float) -> None:
        kind = classify(data)
        if kind is Kind.STUN:
            known = self._take_stun(data, route, now)
        else:
            known = kind is Kind.QUIC and self._take_link(data, route)
        if not known:
            self.refused += 1

    def _take_link(self, data: bytes, route: Route) -> bool:
        for ufrag, attempt in reversed(self._attempts.items()):
            if attempt.hears(route):
                self._events.append(LinkDatagram(ufrag, data, route))
                return True
        return False

    def _take_stun(self, data: bytes, route: Route, now: float) -> bool:
        try:
            message = stun.decode(data)
        except RemoteProtocolError:
            return False
        if message.method != stun.BINDING:
            return False
        if message.message_class is stun.MessageClass.REQUEST:
            ufrag, _, _ = message.attributes.get("USERNAME", "").partition(":")
            return self._take_check(ufrag, message, route, now)
        if self.gathering.receive_response(message, route.address):
            return not route.is_relayed
        attempts = self._attempts.values()
        return any(attempt.receive_response(message, route, now) for attempt in attempts)

    def _take_check(self, ufrag: str, message: stun.Message, route: Route, now: float) -> bool:
        attempt, early = self._attempts.get(ufrag), self._early.get(ufrag)
        if attempt is None and early is not None:
            early.append((message, route))
        return attempt is not None and attempt.receive_request(message, route, now)

    # -- time

    def handle_timer(self, now: float) -> None:
        """Let every child do what is due."""
        self.gathering.handle_timer(now)
        self.relays.handle_timer(now)
        self._mind_relay(now)
        for attempt in self._attempts.values():
            attempt.handle_timer(now)
        self._drain(now)

    def _mind_relay(self, now: float) -> None:
        """Ask for a relay where it is time, and let go of one that nobody needs any more."""
        needy = [attempt for attempt in self._attempts.values() if not attempt.is_direct]
        if self._relay_at is not None and now >= self._relay_at:
            self._relay_at = None
            if needy:
                self._want_relay(now)
        if self._relay_until is not None and now >= self._relay_until:
            self._relay_until = now + RELAY_GRACE if needy else None
            if not needy:
                self.relays.release(now)

    def get_timer(self) -> float | None:
        """Return the earliest wish of a child."""
        times = [self.gathering.get_timer(), self.relays.get_timer()]
        times += [self._relay_at, self._relay_until]
        times += [attempt.get_timer() for attempt in self._attempts.values()]
        return min((time for time in times if time is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what the children want to send."""
        outgoing = self._allowed(self.gathering.take_datagrams(), now)
        for attempt in self._attempts.values():
            for datagram in self._allowed(attempt.take_datagrams(), now, attempt.hears):
                if datagram.base.startswith(RELAYS):
                    self.relays.send(datagram, now)
                else:
                    outgoing.append(datagram)
        serving = self.relays.serving
        outgoing += self._allowed(
            self.relays.take_datagrams(now), now, lambda route: route.address in serving
        )
        self._drain(now)
        return outgoing

    def _allowed(
        self,
        datagrams: list[Datagram],
        now: float,
        is_wanted: Callable[[Route], bool] = lambda _route: False,
    ) -> list[Datagram]:
        """Return those that may go, to whoever proved to want them or within the allowance."""
        return [
            one
            for one in datagrams
            if is_wanted(Route(one.destination, one.base))
            or self._allowance.take(one.destination[0], now)
        ]

    def next_event(self) -> AgentEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    def _drain(self, now: float) -> None:
        if self.relays.take_change():
            for attempt in self._attempts.values():
                attempt.set_relays(self.relays.bases, now)
            self._events.append(CandidatesChanged())
        self._events += self.relays.take_stream_changes()
        if self.gathering.take_change():
            self._reconsider(now)
            if self.gathering.is_blocked and self._relay_until is not None and not self._attempts:
                self._want_relay(now)  # a call goes out, and no answer will do without one
            self._events.append(CandidatesChanged())
        if self.gathering.take_return():
            self._events.append(NetworkReturned())
        for ufrag, attempt in self._attempts.items():
            self._drain_attempt(ufrag, attempt)

    def _drain_attempt(self, ufrag: str, attempt: Punching) -> None:
        path = attempt.take_move()
        if path is not None:
            self._events.append(PathMoved(ufrag, path))
            if attempt.is_direct:
                self._budget.give_back(ufrag, True)
                self._release_sockets(ufrag, attempt.heard_bases())
        ended = attempt.take_end()
        if ended is not None:
            self._budget.give_back(ufrag, attempt.is_direct)
            self._events.append(RoundEnded(ufrag, ended is Phase.QUIET))


def _head_start(ours: NatTraits, theirs: NatTraits, recalled: Memory | None) -> float:
    """Return the seconds that plain checks have for themselves."""
    if recalled is not None and recalled.wants_volley:
        return 0.0
    return OPEN_DELAY if easy_side(ours, theirs).is_open else HARD_DELAY
