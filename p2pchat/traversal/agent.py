"""
The traversal of one peer: gathering, relays, and any number of attempts side by side.

Owns the way of a datagram to what it concerns, whatever base it came in on: relayed data is
unwrapped first; a STUN request goes by the username fragment that it is addressed to, a response
by its transaction; QUIC goes to the attempt that its route belongs to, as :class:`LinkDatagram`.
Everything else is refused and counted.  An attempt is named by our username fragment.  Checks
that come before the answer does, which has the key to judge them by, wait for it, EARLY_CHECKS of
them: from behind a NAT that maps by destination they alone say where to answer.

Owns what attempts share: turns (:mod:`p2pchat.traversal.admission`), what may be sent to addresses
that others name (:mod:`p2pchat.traversal.send_budget`), probe bursts, and the relay, which is asked
for where plain checks have had RELAY_DELAY in vain, or at once where they can't help, or didn't
help the last time (:mod:`p2pchat.traversal.path_hint`).  In all of that known peers come before
strangers.
With ``relay_only`` no local or server-reflexive address is told, sent from or sent to.

A datagram costs the same however many attempts there are: it concerns one that it names, one of
the few that check, or the one that has its route.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import attrs
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.interfaces import IMachine
from p2pchat.traversal import port_guessing
from p2pchat.traversal.admission import Admission
from p2pchat.traversal.datagrams import CHAT_SOCKET, RELAYS, Datagram, Route
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.port_guessing import OpeningBudget, ProbeBurst, ProbingBudget
from p2pchat.traversal.punching import LOW_TTL, Credentials, Path, Phase, Punching
from p2pchat.traversal.relays import Relays, StreamChange
from p2pchat.traversal.routes import Routes
from p2pchat.traversal.send_budget import AmplificationLimit, SendBudget
from p2pchat.traversal.strategy import Strategy, plan
from p2pchat.traversal.timers import earliest
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
WRAPPING = 40  # bytes that a Send indication adds, and more


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
    _allowance: AmplificationLimit = attrs.Factory(AmplificationLimit)
    _budget: SendBudget = attrs.Factory(SendBudget)
    _admission: Admission = attrs.Factory(Admission)
    _probing: dict[bool, ProbingBudget] = attrs.Factory(  # by whether the peer is known
        lambda: {known: ProbingBudget() for known in (True, False)}
    )
    _opening: OpeningBudget = attrs.Factory(OpeningBudget)  # strangers'
    _attempts: dict[str, Punching] = attrs.Factory(dict)
    _woken: dict[str, Punching] = attrs.Factory(dict)  # they have something to give
    _sending: dict[str, Punching] = attrs.Factory(dict)  # they have datagrams to give
    _routes: Routes = attrs.Factory(Routes)
    _theirs: dict[str, NatTraits] = attrs.Factory(dict)  # by attempt
    _hints: dict[str, PathHint] = attrs.Factory(dict)  # by attempt, where there is one
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

    def has_room(self, known: bool, now: float) -> bool:
        """Tell whether an attempt may begin; a stranger who may not is to be told ``busy``."""
        return self._admission.has_room(known, now)

    @property
    def attempts(self) -> int:
        """How many attempts there are, those included that an offer may still lead to."""
        return len(self._attempts) + len(self._early)

    def punch(
        self,
        credentials: Credentials,
        candidates: tuple[Candidate, ...],
        theirs: NatTraits,
        now: float,
        low_ttl: bool,
        *,
        recalled: PathHint | None = None,
        known: bool = False,
    ) -> Punching:
        """
        Begin an attempt; its checks go out when it is its turn.

        :param theirs: what the other side says of its NAT.
        :param low_ttl: see :meth:`p2pchat.traversal.punching.Punching.begin`.
        :param recalled: how this peer was reached last.
        :param known: whether the peer is a contact, or our person called or accepted it.
        """
        ufrag = credentials.local_ufrag
        attempt = Punching(
            credentials,
            not low_ttl,  # the offering side, which checks second
            self.gathering.host_addresses,
            self.gathering.reflexive_addresses,
            self.gathering.is_local,
            self._random_bytes,
            known,
            self._admission,
        )
        attempt.may_send = partial(self._may_send, attempt)
        attempt.woken = partial(self._woken.setdefault, ufrag, attempt)
        attempt.bases = self._bases()
        self._attempts[ufrag] = attempt
        self._admission.begin(known, now)
        # A side without a NAT has no mapping that an early check could take (RELAY_WAIT).
        attempt.begin(candidates, now, low_ttl and theirs.mapping is not Mapping.NONE)
        for message, route in self._early.pop(ufrag, ()):
            attempt.receive_request(message, route, now)
        self._relay_at = min(now + RELAY_DELAY, self._relay_at or now + RELAY_DELAY)
        if recalled is not None:
            self._hints[ufrag] = recalled
        self.learn(ufrag, theirs, now)
        return attempt

    def _may_send(self, attempt: Punching, to: Route, octets: int, now: float) -> bool:
        """Tell whether a packet of an attempt may go there now; if so, it is counted."""
        host, proved = to.address[0], attempt.has_proved(to)
        if not proved and not self._allowance.has_room(host, now):
            return False
        ufrag, known = attempt.credentials.local_ufrag, attempt.known
        octets += WRAPPING if to.is_relayed else 0
        if not self._budget.take(ufrag, known, self._admission.count(known), octets, now):
            return False
        return proved or self._allowance.take(host, now)

    def _bases(self) -> tuple[str, ...]:
        direct = () if self.relay_only else (CHAT_SOCKET,)
        return (*direct, *self.relays.bases)

    def learn(self, ufrag: str, theirs: NatTraits, now: float) -> None:
        """Take what the other side says of its NAT, at first or anew."""
        if ufrag in self._attempts:
            self._theirs[ufrag] = theirs
            self._reconsider(ufrag, now)

    def _reconsider(self, ufrag: str, now: float) -> None:
        """See whether an attempt needs more than plain checks."""
        attempt = self._attempts[ufrag]
        if attempt.is_direct:
            return
        if attempt.phase is Phase.CHECKING and not attempt.burst_begun:
            ours, theirs = self.gathering.traits(), self._theirs[ufrag]
            chosen = plan(ours, theirs, self._hints.get(ufrag))
            if chosen.wants_relay or self.relay_only or self.gathering.is_blocked:
                self._want_relay(now)
            if not self.relay_only:
                self._guess_ports(attempt, chosen.strategy, now + chosen.delay, now)
        self.relays.permit(attempt.at_relay, now, ufrag, attempt.known)

    def _guess_ports(self, attempt: Punching, strategy: Strategy, begin: float, now: float) -> None:
        aim = port_guessing.target(attempt.candidates)
        if aim is None:
            return
        ufrag, known = attempt.credentials.local_ufrag, attempt.known
        if strategy is Strategy.MANY_SOCKETS and (known or self._opening.take(ufrag, now)):
            self._spread.add(ufrag)
            data = attempt.check_bytes()
            attempt.begin_burst(ProbeBurst.openings(ufrag, data, aim, LOW_TTL, begin))
        elif strategy is Strategy.PROBE and self._probing[known].take(ufrag, now):
            data = attempt.check_bytes()
            attempt.begin_burst(ProbeBurst.probes(data, aim[0], self._random_bytes, begin))

    def forget(self, ufrag: str) -> None:
        """End an attempt and its path, or give it up before it began."""
        self._early.pop(ufrag, None)
        self._theirs.pop(ufrag, None)
        self._hints.pop(ufrag, None)
        attempt = self._attempts.pop(ufrag, None)
        if attempt is None:
            return
        self._woken.pop(ufrag, None)
        self._sending.pop(ufrag, None)
        attempt.may_send = lambda _route, _octets, _now: False  # whoever still holds it
        self._admission.leave(ufrag)
        self._budget.forget(ufrag)
        for route in attempt.routes:
            self._routes.remove(route, ufrag)
        self.relays.forget(ufrag)
        self._probing[attempt.known].give_back(ufrag, attempt.is_direct)
        self._release_sockets(ufrag, frozenset())

    def _release_sockets(self, ufrag: str, kept: frozenset[str]) -> None:
        if ufrag in self._spread:
            self._events.append(SocketsReleased(ufrag, kept))
        if not kept:
            self._spread.discard(ufrag)
        self._opening.give_back(ufrag)

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
        ufrag = self._routes.owner(route)
        if ufrag is not None:
            self._events.append(LinkDatagram(ufrag, data, route))
        return ufrag is not None

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
        return any(one.receive_response(message, route, now) for one in self._checking())

    def _checking(self) -> list[Punching]:
        return [self._attempts[ufrag] for ufrag in self._admission.checking]

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
        for attempt in self._checking():
            attempt.handle_timer(now)
        self._drain(now)

    def _mind_relay(self, now: float) -> None:
        """Ask for a relay where it is time, and let go of one that nobody needs any more."""
        if self._relay_at is not None and now >= self._relay_at:
            self._relay_at = None
            if self._is_needy():
                self._want_relay(now)
        if self._relay_until is not None and now >= self._relay_until:
            is_needy = self._is_needy()
            self._relay_until = now + RELAY_GRACE if is_needy else None
            if not is_needy:
                self.relays.release(now)

    def _is_needy(self) -> bool:
        return any(not attempt.is_direct for attempt in self._attempts.values())

    def get_timer(self) -> float | None:
        """Return the earliest wish of a child."""
        own = (self._relay_at, self._relay_until, self._admission.get_timer())
        attempts = (attempt.get_timer() for attempt in self._checking())
        return earliest(self.gathering.get_timer(), self.relays.get_timer(), *own, *attempts)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what the children want to send."""
        self._drain(now)
        asked = self.gathering.take_datagrams()
        outgoing = [one for one in asked if self._allowance.take(one.destination[0], now)]
        for ufrag, attempt in self._sending.items():
            for datagram in attempt.take_datagrams():
                if datagram.base.startswith(RELAYS):
                    self.relays.send_check(datagram, ufrag, attempt.known, now)
                else:
                    outgoing.append(datagram)
        self._sending.clear()
        serving = self.relays.serving
        outgoing += [
            one
            for one in self.relays.take_datagrams(now)
            if one.destination in serving or self._allowance.take(one.destination[0], now)
        ]
        self._drain(now)
        return outgoing

    def next_event(self) -> AgentEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    def _drain(self, now: float) -> None:
        if self.relays.take_change():
            self._relays_changed(now)
        self._events += self.relays.take_stream_changes()
        if self.gathering.take_change():
            for ufrag in self._admission.checking:
                self._reconsider(ufrag, now)
            if self.gathering.is_blocked and self._relay_until is not None and not self._attempts:
                self._want_relay(now)  # a call goes out, and no answer will do without one
            self._events.append(CandidatesChanged())
        if self.gathering.take_return():
            self._events.append(NetworkReturned())
        self._admit(now)
        while self._woken:
            ufrag = next(iter(self._woken))
            self._drain_attempt(ufrag, self._woken.pop(ufrag), now)
            self._admit(now)

    def _relays_changed(self, now: float) -> None:
        for ufrag, attempt in self._attempts.items():
            before = attempt.routes
            attempt.set_relays(self.relays.bases, now)
            for route in before - attempt.routes:
                self._routes.remove(route, ufrag)
        self._events.append(CandidatesChanged())

    def _admit(self, now: float) -> None:
        """Begin the rounds whose turn has come, and give up those that it came too late for."""
        for ufrag in self._admission.take_late(now):
            self._attempts[ufrag].give_up()
        if self._admission.is_pressed:
            any(attempt.give_way(now) for attempt in self._checking())
        while (next_one := self._admission.next()) is not None:
            self._attempts[next_one].take_turn(now)
            self._reconsider(next_one, now)
            self._attempts[next_one].handle_timer(now)

    def _drain_attempt(self, ufrag: str, attempt: Punching, now: float) -> None:
        for route, proved in attempt.take_routes():
            self._routes.add(route, ufrag, proved)
        self._sending[ufrag] = attempt
        path = attempt.take_move()
        if path is not None:
            self._events.append(PathMoved(ufrag, path))
        ended = attempt.take_end()
        if ended is not None:
            self._events.append(RoundEnded(ufrag, ended is Phase.QUIET))
        if ended is not None or (path is not None and attempt.is_direct):
            self._probing[attempt.known].give_back(ufrag, attempt.is_direct)
            self._release_sockets(ufrag, attempt.heard_bases())
            if attempt.is_direct:
                self.relays.forget(ufrag)
