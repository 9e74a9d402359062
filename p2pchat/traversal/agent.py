"""
The traversal of one peer: gathering, relays, and any number of attempts side by side.

Owns the way of a datagram to the machine that it concerns, whatever base it came in on: relayed
data is unwrapped first; a STUN request goes to the attempt whose username fragment it names, a
response by its transaction, and QUIC to the attempt that its route belongs to, as
:class:`LinkDatagrams`.  Everything else is refused and counted; but what a link sends right after a
check may overtake it, and waits while checks are on, OVERTAKING datagrams.  An attempt is named by
our username fragment.  Checks that come before the answer, which has the key to judge them by, wait
for it, EARLY_CHECKS of them: from behind a NAT that maps by destination they alone say where to
answer.

Owns also what attempts share: slots (:mod:`p2pchat.traversal.check_slots`), limits on what is sent
(:mod:`p2pchat.traversal.send_budget`), port guessing, and the relay.  A relay is asked for where
plain checks have had RELAY_DELAY in vain, or at once where the strategy says so
(:mod:`p2pchat.traversal.strategy`).  In all of that known peers come before strangers.  With
``relay_only``, or a peer that we are hidden from, no local or server-reflexive address is told,
sent from or sent to.

Children put datagrams and events into their outboxes, and the agent empties these after each input
(:meth:`Agent._drain`).  So a datagram costs the same however many attempts there are: it concerns
one that it names, one of the few that check, or the one that has its route.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.traversal.attempt_events import (
    CheckDatagram,
    PairUnfit,
    PathMoved,
    PunchingEvent,
    RoundEnded,
    RouteHeard,
    SizeProbed,
)
from p2pchat.traversal.check_slots import CheckSlots
from p2pchat.traversal.checks import MAX_PADDED, CheckCredentials
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.gathering import CandidatesChanged, GatheringEvent, NetworkReturned
from p2pchat.traversal.link_proof import Fitness, LinkProof
from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.traversal.pairs import RELAY_WAIT, Checklist
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.port_guessing import (
    ENOUGH,
    KEPT_FOR_CHECKS,
    LATEST,
    LEAST,
    WHOLE,
    GuessingBudget,
    target,
)
from p2pchat.traversal.punching import AttemptPhase, Punching
from p2pchat.traversal.relays import BasesChanged, Relays, RelaysEvent, StreamChange
from p2pchat.traversal.remote_candidates import RemoteCandidates
from p2pchat.traversal.routes import CHAT_SOCKET, RELAYS, STREAMS, Datagram, Route, RouteTable
from p2pchat.traversal.send_budget import SERVERS, STRANGERS, AmplificationLimit, SendBudget
from p2pchat.traversal.strategy import Plan, Strategy, likeliest, plan
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.demultiplexing import Kind, are_quic, classify
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate


@attrs.frozen
class LinkDatagrams:
    """QUIC datagrams from a route that an authentic check came over."""

    ufrag: str
    datagrams: tuple[bytes, ...]


@attrs.frozen
class SocketsReleased:
    """The sockets of an attempt may be closed, but for those that checks came through."""

    ufrag: str
    kept: frozenset[str]


OfAttempt = LinkDatagrams | PathMoved | RoundEnded | SizeProbed | PairUnfit  # events of attempts
AgentEvent = OfAttempt | CandidatesChanged | NetworkReturned | SocketsReleased | StreamChange

RELAY_DELAY = 0.2  # seconds that direct checks have before a relay is asked for
EARLY_CHECKS = 8  # of one attempt; more are sent again anyway
OVERTAKING = 16  # datagrams; a caller's first flight, sent right after a check, has four
RELAY_GRACE = 20.0  # seconds that a relay is kept after the last need of it
MAX_PROOFS = 64  # pairs that are remembered, the last ones
WRAPPING = 40  # bytes that a Send indication adds, and more


@attrs.define(eq=False)
class Agent:
    """
    The machine of one peer's traversal.

    :ivar gathering: our candidates.
    :ivar relays: our allocations.
    :ivar guessing: how often ports are guessed for each peer.
    :ivar relay_only: whether nothing but relays may be used.
    :ivar is_hidden_from: tells likewise of one peer: it learns no address of ours but a relay's.
    :ivar refused: datagrams that concerned nobody.
    """

    gathering: DualGathering
    relays: Relays
    relay_only: bool
    _random_bytes: Callable[[int], bytes]
    is_hidden_from: Callable[[str], bool] = lambda _peer_id: False
    refused: int = 0
    _limit: AmplificationLimit = attrs.Factory(AmplificationLimit)
    _budget: SendBudget = attrs.Factory(SendBudget)
    _slots: CheckSlots = attrs.Factory(CheckSlots)
    guessing: GuessingBudget = attrs.Factory(GuessingBudget)
    _attempts: dict[str, Punching] = attrs.Factory(dict)
    _outbox: deque[PunchingEvent] = attrs.Factory(deque)  # of all attempts
    _peers: dict[str, str] = attrs.Factory(dict)  # their ids, by attempt, until it is forgotten
    _routes: RouteTable = attrs.Factory(RouteTable)
    _proofs: dict[Route, LinkProof] = attrs.Factory(dict)  # of pairs over which no link was heard
    _overtaking: deque[tuple[Route, bytes]] = attrs.Factory(lambda: deque(maxlen=OVERTAKING))
    _early: dict[str, deque[tuple[stun.Message, Route]]] = attrs.Factory(dict)
    _relay_at: float | None = None  # when to ask for a relay
    _relay_until: float | None = None  # when to let it go
    _outgoing: list[tuple[str, Datagram]] = attrs.Factory(list)  # by attempt, or ""
    _events: deque[AgentEvent] = attrs.Factory(deque)

    def new_ufrag(self, peer_id: str = "") -> str:
        """
        Return a fresh username fragment, 64 random bits (RFC 8445 section 5.3 wants 24).

        :param peer_id: whom the attempt is to reach.
        """
        ufrag = self._random_bytes(8).hex()
        self._early[ufrag] = deque(maxlen=EARLY_CHECKS)
        self._peers[ufrag] = peer_id
        return ufrag

    def peer_of(self, ufrag: str) -> str:
        """Return whom an attempt is to reach, or ""."""
        return self._peers.get(ufrag, "")

    def uses_relays_only(self, peer_id: str) -> bool:
        """Tell whether nothing but relays may be used with a peer."""
        return self.relay_only or self.is_hidden_from(peer_id)

    def candidates(self, peer_id: str = "") -> tuple[Candidate, ...]:
        """Return the candidates for offer and answer to a peer; "": to most of them."""
        relayed = self.relays.candidates()
        if self.uses_relays_only(peer_id):
            return relayed
        return (*self.gathering.candidates()[: MAX_CANDIDATES - len(relayed)], *relayed)

    def prepare(self, now: float, peer_id: str = "") -> None:
        """
        Get ready for a call: where only a relay can carry it, ask for one before the answer comes.

        Our NAT may have dropped the mapping that we tell, so the STUN service is asked again now;
        an address that changed follows the offer or answer.
        """
        self.gathering.look_again(now)
        if self.uses_relays_only(peer_id) or self.gathering.is_blocked:
            self._want_relay(now)
        self._relay_until = now + RELAY_GRACE

    def _want_relay(self, now: float) -> None:
        self._relay_at, self._relay_until = None, now + RELAY_GRACE
        self.relays.want(now, self.gathering.is_blocked, self.gathering.families)

    def _want_streams(self, now: float) -> None:
        """
        Ask for a relay, over streams too: a direct path doesn't carry the link, or not theirs.

        What holds up one direction may spare a relay of one side alone, so that both ask for one.
        """
        self._want_relay(now)
        self.relays.want_stream(now)

    # -- attempts

    def has_room(self, has_priority: bool, now: float) -> bool:
        """Tell whether an attempt may begin; else a stranger is to be refused as ``busy``."""
        return self._slots.has_room(has_priority, now)

    @property
    def attempts(self) -> int:
        """How many attempts there are, with those whose offer isn't answered yet."""
        return len(self._attempts) + len(self._early)

    def attempt(self, ufrag: str) -> Punching | None:
        """Return a running attempt."""
        return self._attempts.get(ufrag)

    def punch(
        self,
        credentials: CheckCredentials,
        candidates: tuple[Candidate, ...],
        remote_nat: NatTraits,
        now: float,
        low_ttl: bool,
        *,
        hint: PathHint | None = None,
        has_priority: bool = False,
        peer_id: str = STRANGERS,
        trip: float = 0.0,
        they_guess_at: float = 0.0,
        flight: tuple[bytes, ...] = (),
    ) -> Punching:
        """
        Begin an attempt; its checks go out when it has a slot.

        :param remote_nat: what the other side says of its NAT.
        :param low_ttl: see :meth:`p2pchat.traversal.punching.Punching.begin`.
        :param hint: how this peer was reached last.
        :param has_priority: whether the peer is a contact, or our person called or accepted it.
        :param peer_id: whom it is to reach.
        :param trip: see :class:`p2pchat.traversal.punching.Punching`, and
        :param they_guess_at: as well.
        :param flight: datagrams of a link that follow the first checks to the likeliest addresses.
        """
        attempt = Punching(
            credentials,
            not low_ttl,  # the offering side, which checks second
            self._new_checklist(max(RELAY_WAIT, trip / 2) if low_ttl else RELAY_WAIT, peer_id),
            self.gathering.host_addresses,
            self.gathering.reflexive_addresses,
            self._random_bytes,
            has_priority,
            self._slots,
            remote_nat,
            hint,
            trip,
            relay_trip=self.relays.round_trip,
            they_guess_at=they_guess_at,
            flight=flight,
            outbox=self._outbox,
            counts_as=peer_id if has_priority else STRANGERS,
        )
        if flight:
            seen, families = self.gathering.reflexive_addresses, self.gathering.families
            attempt.flight_to.update(likeliest(candidates, seen, families))
        attempt.may_send = partial(self._may_send, attempt)
        self._attempts[attempt.ufrag] = attempt
        self._slots.begin(has_priority, now)
        # A side without a NAT has no mapping that an early check could take (RELAY_WAIT).
        attempt.begin(candidates, now, low_ttl and remote_nat.mapping is not Mapping.NONE)
        for message, route in self._early.pop(attempt.ufrag, ()):
            attempt.receive_request(message, route, now)
        self._relay_at = earliest(now + RELAY_DELAY, self._relay_at)
        self._reconsider(attempt, now)
        return attempt

    def _new_checklist(self, relay_wait: float, peer_id: str) -> Checklist:
        """Return the checklist of an attempt that begins."""
        gathering = self.gathering
        remote = RemoteCandidates(gathering.is_local, gathering.on_link)
        is_direct = not self.uses_relays_only(peer_id)
        bases = (*[CHAT_SOCKET] * is_direct, *self.relays.bases)
        reflexive = gathering.reflexive_addresses
        return Checklist(remote, gathering.families, bases, reflexive, self._proofs, relay_wait)

    def _may_send(self, attempt: Punching, to: Route, octets: int, now: float) -> bool:
        """Tell whether a packet of an attempt may go there now; if so, it is counted."""
        host, validated = to.address[0], attempt.is_validated(to)
        # Both limits count a packet only if it goes: the second is asked before the first takes.
        if not validated and not self._limit.room(host, attempt.counts_as, now):
            return False
        octets += WRAPPING if to.is_relayed else 0
        sharing = self._slots.count(attempt.has_priority)
        if not self._budget.take(attempt.ufrag, attempt.has_priority, sharing, octets, now):
            return False
        return validated or self._limit.take(host, attempt.counts_as, now)

    def learn(self, ufrag: str, remote_nat: NatTraits, now: float) -> None:
        """Take what the other side says of its NAT now."""
        if ufrag in self._attempts:
            self._attempts[ufrag].remote_nat = remote_nat
            self._reconsider(self._attempts[ufrag], now)

    def check_again(self, ufrag: str, now: float) -> None:
        """Verify the path of an attempt, and all its other pairs."""
        if ufrag in self._attempts:
            self._attempts[ufrag].check_again(now)

    def probe_size(self, ufrag: str, size: int, now: float) -> None:
        """See :meth:`p2pchat.traversal.punching.Punching.probe_size`."""
        if ufrag in self._attempts:
            self._attempts[ufrag].probe_size(size, now)

    def is_fit(self, ufrag: str) -> bool:
        """Tell whether nothing is known against the link's getting over the path of an attempt."""
        return ufrag in self._attempts and self._attempts[ufrag].is_fit

    def link_unheard(self, ufrag: str, now: float) -> None:
        """See :meth:`p2pchat.traversal.punching.Punching.link_unheard`."""
        if ufrag in self._attempts:
            self._attempts[ufrag].link_unheard(now)

    def link_heard(self, ufrag: str) -> None:
        """Note that the link works over the path of an attempt."""
        if ufrag in self._attempts:
            self._attempts[ufrag].link_heard()

    def network_changed(self) -> None:
        """Forget what the paths of another network didn't carry."""
        self._proofs.clear()

    def _reconsider(self, attempt: Punching, now: float) -> None:
        """See whether an attempt needs more than plain checks, and do that."""
        if attempt.is_direct:
            return
        if attempt.phase is AttemptPhase.CHECKING and attempt.guessing is None:
            chosen = plan(self.gathering.traits(), attempt.remote_nat, attempt.hint)
            relays_only = self.uses_relays_only(self.peer_of(attempt.ufrag))
            if chosen.wants_relay or relays_only or self.gathering.is_blocked:
                self._want_relay(now)
            if not relays_only:
                self._guess_ports(attempt, chosen, now)
        self.relays.permit(
            attempt.checklist.remote.at_relay, now, attempt.ufrag, attempt.has_priority
        )

    def _guess_ports(self, attempt: Punching, chosen: Plan, now: float) -> None:
        """Begin port guessing soon, with as much as the limits let go, or note when they will."""
        aim, strategy = target(attempt.checklist.remote.kept), chosen.strategy
        if aim is None or strategy not in WHOLE:
            return
        whole, who = WHOLE[strategy], attempt.counts_as
        # Both sides wait for the same, from the beginning of the round, which both know: a part
        # that begins when the other's is over, or not at all, meets nobody.
        both_may = max(self.guessing.ready_at(strategy, who, now), attempt.they_guess_at)
        room_at = self._limit.room_at(aim[0], who, LEAST + KEPT_FOR_CHECKS, now)
        begins_at = max(now + chosen.delay, room_at, both_may)
        is_soon = both_may <= attempt.round_started + LATEST and room_at <= now + LATEST
        if is_soon and self.guessing.take(strategy, attempt.ufrag, who, begins_at):
            room = self._limit.room(aim[0], who, begins_at) - KEPT_FOR_CHECKS
            attempt.begin_guessing(strategy, aim, min(whole, max(room, LEAST)), begins_at)
        else:
            self._note_pause(attempt, strategy, aim[0], now)

    def _note_pause(self, attempt: Punching, strategy: Strategy, host: str, now: float) -> None:
        """Note when port guessing is likely to help again, for whoever asks what helps."""
        wanted = ENOUGH[strategy] + KEPT_FOR_CHECKS
        attempt.guess_again_at = max(
            self._limit.room_at(host, attempt.counts_as, wanted, now),
            self.guessing.is_worth_it_at(strategy, attempt.counts_as, now),
            attempt.they_guess_at,
        )

    def guessing_pause(self, ufrag: str, peer_id: str, now: float) -> float:
        """Return the seconds until an attempt may guess ports, if we know the peer."""
        return self.guessing.pause(ufrag, peer_id, now)

    def _end_guessing(self, attempt: Punching, kept: frozenset[str]) -> None:
        """End an attempt's port guessing; of its many sockets it keeps only these."""
        if self.guessing.give_back(
            attempt.ufrag, attempt.counts_as, attempt.is_direct, keeps=bool(kept)
        ):
            self._events.append(SocketsReleased(attempt.ufrag, kept))

    def forget(self, ufrag: str) -> None:
        """End an attempt and its path, or give it up before it began."""
        self._early.pop(ufrag, None)
        self._peers.pop(ufrag, None)
        attempt = self._attempts.pop(ufrag, None)
        if attempt is None:
            return
        attempt.may_send = lambda _route, _octets, _now: False  # its Attempt may hold it still
        self._slots.leave(ufrag)
        self._budget.forget(ufrag)
        for route in attempt.routes:
            self._routes.remove(route, ufrag)
        self.relays.forget(ufrag)
        self._end_guessing(attempt, frozenset())

    # -- datagrams

    def receive_on(self, base: str, data: bytes, addr: Address, now: float) -> None:
        """Take a datagram from any base."""
        relayed = self.relays.receive(base, data, addr, now)
        for payload, route in [(data, Route(addr, base))] if relayed is None else relayed:
            self._receive(payload, route, now)
        self._drain(now)

    def receive_batch(
        self, base: str, datagrams: Sequence[bytes], addr: Address, now: float
    ) -> None:
        """
        Take datagrams that came in on a base from one address, in their order.

        Those of a link, which come by the thousand, are handed on together.
        """
        route = Route(addr, base)
        ufrag = self._routes.owner(route)
        if ufrag is not None and are_quic(datagrams) and not self.relays.is_serving(addr):
            self._events.append(LinkDatagrams(ufrag, tuple(datagrams)))
            return
        for data in datagrams:
            self.receive_on(base, data, addr, now)

    def send_relayed(self, datagram: Datagram, now: float) -> None:
        """Send a datagram of a link from a relay base."""
        self.relays.send(datagram, now)

    def _receive(self, data: bytes, route: Route, now: float) -> None:
        kind = classify(data)
        if kind is Kind.STUN:
            is_ours = self._receive_stun(data, route, now)
        else:
            is_ours = kind is Kind.QUIC and self._receive_link_datagram(data, route)
        if not is_ours:
            self.refused += 1

    def _receive_link_datagram(self, data: bytes, route: Route) -> bool:
        ufrag = self._routes.owner(route)
        if ufrag is not None:
            self._events.append(LinkDatagrams(ufrag, (data,)))
        elif self._slots.checking:
            self._overtaking.append((route, data))
        return ufrag is not None

    def _hear(self, ufrag: str, route: Route, validated: bool) -> None:
        """Note whose a route is, and hand on what came over it before the check that says so."""
        self._routes.add(route, ufrag, validated)
        waited = tuple(data for source, data in self._overtaking if source == route)
        if waited:
            self._overtaking = deque(
                (one for one in self._overtaking if one[0] != route), OVERTAKING
            )
            self._events.append(LinkDatagrams(ufrag, waited))

    def _receive_stun(self, data: bytes, route: Route, now: float) -> bool:
        try:
            message = stun.decode(data, most=MAX_PADDED)
        except RemoteProtocolError:
            return False
        if message.method != stun.BINDING:
            return False
        if message.message_class is stun.MessageClass.REQUEST:
            ufrag, _, _ = message.attributes.get("USERNAME", "").partition(":")
            return self._receive_check(ufrag, message, route, now)
        if self.gathering.receive_response(message, route.address, now):
            return not route.is_relayed  # nobody was asked from a relay
        asked = self._checking()
        late = self._attempts.get(self._routes.owner(route) or "")  # its round may be over
        asked += [late] if late is not None and late not in asked else []
        return any(one.receive_response(message, route, now) for one in asked)

    def _checking(self) -> list[Punching]:
        return [self._attempts[ufrag] for ufrag in self._slots.checking]

    def _receive_check(self, ufrag: str, message: stun.Message, route: Route, now: float) -> bool:
        if ufrag in self._early and "PADDING" not in message.attributes:  # those come later
            self._early[ufrag].append((message, route))
        attempt = self._attempts.get(ufrag)
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
        """Ask for a relay where it is time, and give back one that nobody needs any more."""
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
        return earliest(
            self.gathering.get_timer(),
            self.relays.get_timer(),
            self._slots.get_timer(),
            self._relay_at,
            self._relay_until,
            *[attempt.get_timer() for attempt in self._checking()],
        )

    # -- what comes out

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what the children want to send."""
        self._drain(now)
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        # An attempt that was forgotten meanwhile sends nothing more.
        return [one for ufrag, one in outgoing if not ufrag or ufrag in self._attempts]

    def next_event(self) -> AgentEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    def _drain(self, now: float) -> None:
        """Empty the children's outboxes; what follows from their events may fill them again."""
        self._admit(now)
        while outbox := self.gathering.outbox or self._outbox or self.relays.outbox:
            self._take(outbox.popleft(), now)
            self._admit(now)

    def _admit(self, now: float) -> None:
        """Begin the rounds that get a slot now, and end those that have waited for too long."""
        if not self._slots.is_awaited:
            return
        for ufrag in self._slots.expire(now):
            self._attempts[ufrag].slot_timed_out(now)
        if self._slots.is_pressed:
            any(attempt.free_slot(now) for attempt in self._checking())
        while (next_one := self._slots.next()) is not None:
            attempt = self._attempts[next_one]
            attempt.begin_round(now)
            self._reconsider(attempt, now)
            attempt.handle_timer(now)

    def _take(self, event: GatheringEvent | PunchingEvent | RelaysEvent, now: float) -> None:
        match event:
            case Datagram():
                self._send(event, now)
            case BasesChanged():
                self._change_bases(now)
            case CandidatesChanged():
                self._reconsider_all(now)
                self._events.append(event)
            case NetworkReturned() | StreamChange():
                self._events.append(event)
            case _:
                attempt = self._attempts.get(event.ufrag)
                if attempt is not None:  # else it was forgotten meanwhile
                    self._take_punched(attempt, event, now)

    def _send(self, datagram: Datagram, now: float) -> None:
        """Send to a server, within the limit for hosts: whoever runs a registry names them."""
        to, is_stream = datagram.destination, datagram.base.startswith(STREAMS)
        if is_stream or self.relays.is_serving(to) or self._limit.take(to[0], SERVERS, now):
            self._outgoing.append(("", datagram))

    def _change_bases(self, now: float) -> None:
        for ufrag, attempt in self._attempts.items():
            for route in attempt.set_relays(self.relays.bases, now):
                self._routes.remove(route, ufrag)
        self._events.append(CandidatesChanged())

    def _reconsider_all(self, now: float) -> None:
        for attempt in self._checking():
            self._reconsider(attempt, now)
        is_calling = self._relay_until is not None and not self._attempts
        if self.gathering.is_blocked and is_calling:
            self._want_relay(now)  # without one no answer to our offer can lead to a path

    def _take_punched(self, attempt: Punching, event: PunchingEvent, now: float) -> None:
        match event:
            case CheckDatagram(ufrag, datagram):
                if datagram.base.startswith(RELAYS):
                    self.relays.send_check(datagram, ufrag, attempt.has_priority, now)
                else:
                    self._outgoing.append((ufrag, datagram))
            case RouteHeard(ufrag, route, validated, wanted):
                self._hear(ufrag, route, validated)
                if wanted:
                    self._limit.give_back(route.address[0], attempt.counts_as, wanted, now)
            case PathMoved() | RoundEnded():
                self._events.append(event)
                if isinstance(event, PathMoved) and event.leaves_direct:
                    self._want_streams(now)
                if attempt.is_direct or isinstance(event, RoundEnded):
                    self._relieve(attempt, now)
            case SizeProbed():
                self._events.append(event)
            case PairUnfit():
                self._events.append(event)
                self._replace(attempt, event, now)

    def _replace(self, attempt: Punching, unfit: PairUnfit, now: float) -> None:
        """Ask for a relay at once, over streams too, if a path doesn't carry its link."""
        pair = attempt.checklist.pairs.get(unfit.route)
        if unfit.fitness is Fitness.SILENT and pair is not None:
            if len(self._proofs) >= MAX_PROOFS:
                del self._proofs[next(iter(self._proofs))]
            self._proofs[unfit.route] = pair.proof
        if not attempt.is_fit:
            self._want_streams(now)
            remote = attempt.checklist.remote
            self.relays.permit(remote.at_relay, now, attempt.ufrag, attempt.has_priority)

    def _relieve(self, attempt: Punching, now: float) -> None:
        """Free what an attempt doesn't need any more: it has a direct path, or its round ended."""
        self._end_guessing(attempt, frozenset(route.base for route in attempt.routes))
        run = attempt.guessing
        if run is not None and run.began is not None and not attempt.is_direct:
            self._note_pause(attempt, run.strategy, run.host, now)
        if attempt.is_direct:
            self.relays.forget(attempt.ufrag)
