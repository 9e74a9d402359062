"""
One attempt to join two sockets: checks on all plausible pairs at once, and the choice of a path.

A check is a STUN Binding request with USERNAME ``theirs:ours``, MESSAGE-INTEGRITY keyed by the
secret of the attempt (:mod:`p2pchat.identity.exchange`) and FINGERPRINT::

    offering side                                        answering side
        │                                                      │ checks, LOW_TTL: open our
        │                                      ◁ ─ ─ ─ ─ ─ ─ ─ ┤ NAT, reach nobody
        │ ◀───────────── answer (registry) ─────────────────── │
        ├─ check, full TTL ──────────────────────────────────▶ │
        ├─ candidates: "I began" (registry) ─────────────────▶ │ full TTL from here on
        │ ◀─────────────────────── response, triggered check ──┤
        ├─ response ─────────────────────────────────────────▶ │
      path                                                   path

A pair is *confirmed* by a response from the very address that the check went to (RFC 8445
section 7.2.5.2.1).  The controlling side, which made the offer, chooses the confirmed pair with
the shortest round-trip time and nominates it by USE-CANDIDATE; the controlled side follows, and
until it is told chooses by the same rule.  Traffic is taken from any address that an authentic
check came from; only checks move the path.

A *round* is a time in which checks go out: the first one finds a path, later ones, started by
:meth:`Punching.check_again` or by a check from a new address, verify it or move it.  It begins when
it is the attempt's turn (:mod:`p2pchat.traversal.admission`), and until then goes on as before.
What its owner's budget doesn't let out is not made, and is due again PAUSE later.

A route is *heard* when an authentic check came over it, and *proved* when a response to a check of
ours did: only that shows that somebody is there who wants our packets.

A pair is one of our bases (the chat socket, a relay, or one of many sockets behind a hard NAT:
:mod:`p2pchat.traversal.port_guessing`) and one remote address.  A direct pair is better than a
relayed one whatever their times, and a round in which only relayed pairs are confirmed goes on
to its end, for a direct one may need more time.

Deviations from RFC 8445: traffic flows before nomination; no role conflicts, for the offer
settles roles, and so no ICE-CONTROLLING; no pacing by Ta beyond RESEND_AFTER, for a check lost to
a closed filter is no sign of congestion, and a round is bounded; PRIORITY says whether a relay
carries the check (type preference) and which nomination it is (the rest), for round-trip time
decides; one component.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

import attrs

from p2pchat.traversal.admission import Admission
from p2pchat.traversal.datagrams import CHAT_SOCKET, RELAYS, SOCKETS, Datagram, Route
from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.port_guessing import ProbeBurst
from p2pchat.traversal.reachability import families
from p2pchat.traversal.remote_candidates import RemoteCandidates
from p2pchat.traversal.report import BurstReport, PairReport, in_ms, milliseconds
from p2pchat.traversal.strategy import Strategy
from p2pchat.traversal.timers import earliest
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, family, format_address
from p2pchat.wire.documents import Candidate, CandidateType

LOW_TTL = 4  # hops; passes two boxes of our own and reaches nobody three routers away
LOW_TTL_PHASE = 0.5  # seconds; the other side has begun, or never will
RESEND_AFTER = (0.02, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25)  # seconds, the last repeats
FIRST_ROUND = 5.0  # seconds until an attempt without any confirmed pair fails
LATER_ROUND = 1.2  # seconds until a path that was lost is given up
SETTLING = 0.3  # seconds a round goes on after its first confirmed pair, to find a better one
LOCAL_ADVANTAGE = 0.005  # seconds; a host candidate is preferred to a NAT's mapping, which may
# expire, unless it is slower by this: two behind one NAT stay inside, even if it hairpins
BETTER = 0.8  # a path is left only for one with less than this share of its round-trip time
JOIN_INTERVAL = 5.0  # seconds between rounds that their checks over a relay may cause
FAIR_WAIT = 0.05  # seconds that the path in use has to answer before another takes over, ...
FAIR_RTTS = 3  # ... and at least that many of its round-trip times
NOBODY: Address = ("0.0.0.0", 0)
RELAYED_PREFERENCE = 0  # type preferences, RFC 8445 section 5.1.2.2; in PRIORITY they tell ...
REFLEXIVE_PREFERENCE = 110  # ... the other side whether a check comes over a relay
RELAY_WAIT = 0.5  # seconds that the other side has to check our relayed address before we check
# from it: a stranger's packet to a NAT without a firewall, which no low TTL can keep away here,
# would make Linux give all its later mappings another port
MAX_PAIRS = 80  # 32 candidates from two bases, and addresses that checks come from
PAUSE = 0.05  # seconds until what wasn't let out is due again
USE_CANDIDATE = 4  # bytes of the attribute
MAX_RESPONSE = 76  # bytes; an IPv6 address is told
YIELDING = LATER_ROUND  # seconds after which a round with a path ends if others have none


class Phase(Enum):
    """Where an attempt stands."""

    WAITING = "waiting"  # the first round is to begin
    CHECKING = "checking"  # a round is on
    QUIET = "quiet"  # the round ended with a path
    FAILED = "failed"  # the round ended without


@attrs.define
class Pair:
    """One of our bases and one remote address."""

    remote: Candidate
    base: str = CHAT_SOCKET
    sends: int = 0  # in this round
    due: float | None = None
    checks_sent: int = 0
    checks_received: int = 0
    first_sent: float | None = None
    first_confirmed: float | None = None
    confirmed_at: float | None = None
    rtt: float = 0.0  # seconds
    local: CandidateType = CandidateType.HOST
    not_before: float = 0.0
    nominating: bool = False  # our USE-CANDIDATE hasn't been answered
    nomination: int = 0  # its number, or 0

    @property
    def route(self) -> Route:
        """Where its checks go."""
        return Route(self.remote.address, self.base)

    @property
    def is_relayed(self) -> bool:
        """Whether a relay carries it, ours or theirs."""
        return self.route.is_relayed or self.remote.type is CandidateType.RELAYED

    @property
    def cost(self) -> tuple[bool, float]:
        """What to choose by: direct before relayed, then round-trip time, local ones favoured."""
        return self.is_relayed, self.rtt + (0.0 if self.is_local else LOCAL_ADVANTAGE)

    @property
    def is_local(self) -> bool:
        """Whether it leads to an address of the other machine itself."""
        return self.remote.type is CandidateType.HOST and not self.is_relayed

    def told(self, began: float) -> PairReport:
        """Return what became of it; ``began`` is the time that milliseconds count from."""
        confirmed = milliseconds(self.first_confirmed, began)
        return PairReport(
            self.base,
            self.remote.type.value,
            format_address(self.remote.address),
            milliseconds(self.first_sent, began),
            self.checks_sent,
            self.checks_received,
            confirmed,
            None if confirmed is None else in_ms(self.rtt),
        )


@attrs.frozen
class Path:
    """The pair that carries the traffic, as it was when it was chosen."""

    address: Address
    local: CandidateType
    remote: CandidateType
    rtt: float  # seconds
    base: str = CHAT_SOCKET

    @property
    def route(self) -> Route:
        """Where its traffic goes."""
        return Route(self.address, self.base)

    @property
    def is_relayed(self) -> bool:
        """Whether a relay carries it, ours or theirs."""
        return CandidateType.RELAYED in {self.local, self.remote}


@attrs.frozen
class Credentials:
    """What makes a check of this attempt: both username fragments and the shared key."""

    local_ufrag: str
    remote_ufrag: str
    key: bytes = attrs.field(repr=False)


@attrs.define
class Punching:
    """
    The machine of one attempt; a child of :class:`p2pchat.traversal.agent.Agent`.

    :ivar credentials: of this attempt's checks.
    :ivar controlling: whether this side nominates.
    :ivar host_addresses: our host candidates' addresses, to name the type of our end.
    :ivar reflexive_addresses: our server-reflexive ones.
    :ivar is_local: whether the registry is on this machine.
    :ivar known: whether the peer is a contact, or our person called or accepted it.
    :ivar may_send: takes where a packet is to go, and its bytes of payload; tells whether it may.
    :ivar woken: called when there is something to take.
    """

    credentials: Credentials
    controlling: bool
    host_addresses: tuple[Address, ...]
    reflexive_addresses: tuple[Address, ...]
    is_local: bool
    _random_bytes: Callable[[int], bytes]
    known: bool = False
    admission: Admission = attrs.Factory(Admission)
    may_send: Callable[[Route, int, float], bool] = lambda _route, _octets, _now: True
    woken: Callable[[], object] = lambda: None
    path: Path | None = None
    phase: Phase = Phase.WAITING
    pairs: dict[Route, Pair] = attrs.Factory(dict)
    bases: tuple[str, ...] = (CHAT_SOCKET,)  # that pairs are made of
    _remote: RemoteCandidates = attrs.field(init=False)
    _heard: set[Route] = attrs.Factory(set)
    _proved: set[Route] = attrs.Factory(set)
    _new_routes: list[tuple[Route, bool]] = attrs.Factory(list)
    _check_size: int = 0  # bytes of the longest check
    _transactions: dict[bytes, tuple[Pair, float, bool]] = attrs.Factory(dict)
    _nominated: Route | None = None  # by the other side
    _nomination: int = 0  # the number of the last one, ours or theirs
    _outgoing: list[Datagram] = attrs.Factory(list)
    _round_started: float = 0.0
    _round_ends: float = 0.0
    _round_length: float = FIRST_ROUND
    _low_ttl_until: float = 0.0
    _moved: bool = False
    _ended: bool = False
    _decide_at: float | None = None
    method: PathMethod | None = None  # what made the path
    has_settled: bool = False  # the first round is over: what it didn't find is hard to find
    burst: ProbeBurst | None = None

    def __attrs_post_init__(self) -> None:
        self._remote = RemoteCandidates(self.is_local)

    # -- what the attempt says

    def begin(self, candidates: Iterable[Candidate], now: float, low_ttl: bool) -> None:
        """
        Start the first round.

        :param low_ttl: whether this side checks before the other can have begun.
        """
        self._low_ttl_until = now + LOW_TTL_PHASE if low_ttl else now
        self._start_round(now, FIRST_ROUND)
        self.add_candidates(candidates, now)

    def add_candidates(self, candidates: Iterable[Candidate], now: float) -> None:
        """Check these remote candidates too; known and implausible ones are left out."""
        for candidate in candidates:
            if self._remote.add(candidate):
                for base in self.bases:
                    self._pair_up(candidate, base, now)
        self.handle_timer(now)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What the other side told, as far as it is kept."""
        return self._remote.told

    @property
    def at_relay(self) -> tuple[Address, ...]:
        """The addresses that a relay of ours is to let in, one for each IP address."""
        return self._remote.at_relay

    def _rename(self, pair: Pair, told: Candidate) -> None:
        """A check came from this address before we were told what it is."""
        if pair.remote.type is CandidateType.PEER_REFLEXIVE and pair.remote != told:
            pair.remote = told
            if self.path is not None and self.path.route == pair.route:
                self.path, self._moved = attrs.evolve(self.path, remote=told.type), True
                self.woken()

    def set_relays(self, relays: tuple[str, ...], now: float) -> None:
        """Check from these relay bases too; the pairs of relays that are gone go."""
        gone = {base for base in self.bases if base.startswith(RELAYS)} - set(relays)
        self.pairs = {route: one for route, one in self.pairs.items() if route.base not in gone}
        self._heard = {route for route in self._heard if route.base not in gone}
        self._proved &= self._heard
        new = [base for base in relays if base not in self.bases]
        self.bases = (*(base for base in self.bases if base not in gone), *new)
        if self.is_direct:
            return
        for base in new:
            for candidate in self.candidates:
                self._pair_up(candidate, base, now)
        self.handle_timer(now)

    def _pair_up(self, candidate: Candidate, base: str, now: float) -> None:
        route = Route(candidate.address, base)
        if route in self.pairs:
            self._rename(self.pairs[route], candidate)
            return
        if self._reaches(route):
            self._pair(candidate, base, now)

    def _reaches(self, route: Route) -> bool:
        """Tell whether what leaves from this base can get there at all."""
        if route.is_relayed:
            return self._remote.is_at_relay(route.address)
        return family(route.address[0]) in families(self.host_addresses)

    def remote_began(self, now: float) -> None:
        """The other side's NAT has its mappings: check at full TTL from now on."""
        if now < self._low_ttl_until:
            self._low_ttl_until = now
            self._make_all_due(now)
            self.handle_timer(now)

    def check_again(self, now: float) -> None:
        """Verify every known pair; ends with a path, the same or another, or in failure."""
        if self.phase is Phase.CHECKING and self.path is None:
            return
        if self.phase is Phase.CHECKING and now - self._round_started < LATER_ROUND:
            return
        self._start_round(now, LATER_ROUND)
        self.handle_timer(now)

    def begin_burst(self, burst: ProbeBurst) -> None:
        """Send these too, until there is a direct path or the round ends."""
        if self.phase is Phase.CHECKING:
            self.burst = burst

    @property
    def burst_begun(self) -> bool:
        """Whether this attempt has had its burst."""
        return self.burst is not None

    def check_bytes(self) -> bytes:
        """Return a check that can be sent to many addresses; its responses are not needed."""
        return self._request(self._random_bytes(12), Pair(Candidate(CandidateType.HOST, NOBODY)))

    def _request(self, transaction_id: bytes, pair: Pair) -> bytes:
        username = f"{self.credentials.remote_ufrag}:{self.credentials.local_ufrag}"
        preference = RELAYED_PREFERENCE if pair.route.is_relayed else REFLEXIVE_PREFERENCE
        flags = {"USE_CANDIDATE": None} if pair.nominating else {}
        request = stun.request(
            transaction_id,
            USERNAME=username,
            PRIORITY=preference << 24 | pair.nomination,
            **flags,
        )
        return stun.encode(request, self.credentials.key, fingerprint=True)

    def _start_round(self, now: float, length: float) -> None:
        """Begin a round, now or when it is our turn."""
        self._round_length, is_first = length, not self.has_settled
        if self.admission.ask(self.credentials.local_ufrag, self.known, is_first, now):
            self.take_turn(now)

    def take_turn(self, now: float) -> None:
        """Begin the round that was asked for."""
        self.phase, self._decide_at = Phase.CHECKING, None
        self._round_started, self._round_ends = now, now + self._round_length
        self._transactions.clear()
        self._make_all_due(now)

    def give_up(self) -> None:
        """The first round didn't have its turn in time."""
        if self.phase is Phase.WAITING:
            self._end_round()

    def give_way(self, now: float) -> bool:
        """End a round that has a path, for attempts that have none; tells whether it did."""
        if self.phase is not Phase.CHECKING or now < self._round_started + YIELDING:
            return False
        if not any(self._confirmed_in_round(pair) for pair in self.pairs.values()):
            return False
        self._end_round()
        return True

    def _make_all_due(self, now: float) -> None:
        for pair in self.pairs.values():
            pair.sends, pair.due = 0, max(now, pair.not_before)

    def _pair(self, candidate: Candidate, base: str, now: float) -> Pair | None:
        route = Route(candidate.address, base)
        pair = self.pairs.get(route)
        if pair is None and len(self.pairs) < MAX_PAIRS:
            begin = now
            if route.is_relayed and candidate.type is not CandidateType.RELAYED:
                begin = now + RELAY_WAIT
            pair = self.pairs[route] = Pair(candidate, base, due=begin, not_before=begin)
        return pair

    # -- what the network says

    def receive_request(self, message: stun.Message, source: Route, now: float) -> bool:
        """Take a check; returns whether it was authentic."""
        if source.base not in self.bases and not source.base.startswith(SOCKETS):
            return False
        expected = f"{self.credentials.local_ufrag}:{self.credentials.remote_ufrag}"
        if message.attributes.get("USERNAME") != expected:
            return False
        if not message.integrity_holds(self.credentials.key) or message.unknown_required:
            return False
        self._respond(message, source, now)
        priority = message.attributes.get("PRIORITY", REFLEXIVE_PREFERENCE << 24)
        number = priority & 0xFFFFFF
        nominates = "USE-CANDIDATE" in message.attributes and not self.controlling
        if nominates and number >= self._nomination:  # not one that a later one overtook
            self._nominated, self._nomination = source, number
        relayed = priority >> 24 == RELAYED_PREFERENCE
        kind = CandidateType.RELAYED if relayed else CandidateType.PEER_REFLEXIVE
        self._triggered(source, kind, now)
        return True

    def _respond(self, message: stun.Message, source: Route, now: float) -> None:
        if self.may_send(source, MAX_RESPONSE, now):
            response = stun.success(message, XOR_MAPPED_ADDRESS=source.address)
            data = stun.encode(response, self.credentials.key, fingerprint=True)
            self._send(Datagram(data, source.address, base=source.base))

    def _send(self, datagram: Datagram) -> None:
        self._outgoing.append(datagram)
        self.woken()

    def _triggered(self, source: Route, kind: CandidateType, now: float) -> None:
        """Check back at once, as RFC 8445 section 7.3.1.4 wants, unless the pair is confirmed."""
        is_new = source not in self._heard
        pair = self._pair(self._remote.get(source.address, kind), source.base, now)
        if pair is None:
            return
        pair.checks_received += 1
        self._hear(source, False)
        self.remote_began(now)
        if self.phase is Phase.FAILED or (self.phase is Phase.QUIET and self._joins(is_new, now)):
            self._start_round(now, LATER_ROUND)
        if is_new and not self._confirmed_in_round(pair):
            pair.due = now
        if self._nominated == source and self._confirmed_in_round(pair):
            self._choose(now)
        self.handle_timer(now)

    def _hear(self, route: Route, proved: bool) -> None:
        if route not in (self._proved if proved else self._heard):
            self._heard.add(route)
            self._proved |= {route} if proved else set()
            self._new_routes.append((route, proved))
            self.woken()

    def _joins(self, is_new: bool, now: float) -> bool:
        """Whether a check of theirs begins a round of ours: from a new address, or to improve."""
        improvable = self.path is not None and self.path.is_relayed
        return is_new or (improvable and now - self._round_started > JOIN_INTERVAL)

    def receive_response(self, message: stun.Message, source: Route, now: float) -> bool:
        """Take a response; returns whether it was one of ours."""
        found = self._transactions.get(message.transaction_id)
        if found is None or not message.integrity_holds(self.credentials.key):
            return False
        pair, sent_at, nominated = found
        if pair.route != source or message.message_class is not stun.MessageClass.SUCCESS:
            return False
        del self._transactions[message.transaction_id]
        if self.pairs.get(pair.route) is not pair:
            return True  # its relay is gone
        pair.nominating = pair.nominating and not nominated
        self._confirm(pair, now - sent_at, stun.mapped_address(message), now)
        return True

    def _confirm(self, pair: Pair, rtt: float, mapped: Address | None, now: float) -> None:
        again = self._confirmed_in_round(pair)
        pair.rtt = min(rtt, pair.rtt) if again else rtt
        pair.confirmed_at, pair.due = now, pair.due if pair.nominating else None
        pair.first_confirmed = now if pair.first_confirmed is None else pair.first_confirmed
        pair.local = self._local_type(pair, mapped)
        self._hear(pair.route, True)
        if not pair.is_relayed and self.phase is Phase.CHECKING:
            self._round_ends = min(self._round_ends, now + SETTLING)
        self._choose(now)

    def _local_type(self, pair: Pair, mapped: Address | None) -> CandidateType:
        if pair.route.is_relayed:
            return CandidateType.RELAYED
        if mapped in self.host_addresses:
            return CandidateType.HOST
        if mapped in self.reflexive_addresses:
            return CandidateType.SERVER_REFLEXIVE
        return CandidateType.PEER_REFLEXIVE

    def _confirmed_in_round(self, pair: Pair) -> bool:
        return pair.confirmed_at is not None and pair.confirmed_at >= self._round_started

    def _choose(self, now: float) -> None:
        told = None if self._nominated is None else self.pairs.get(self._nominated)
        if told is not None and self._confirmed_in_round(told):
            self._take_path(told, now)
            return
        confirmed = [pair for pair in self.pairs.values() if self._confirmed_in_round(pair)]
        if not confirmed:
            return
        best = min(confirmed, key=lambda pair: pair.cost)
        current = None if self.path is None else self.pairs.get(self.path.route)
        if current is not None and not self._confirmed_in_round(current):
            fair = self._round_started + max(FAIR_WAIT, FAIR_RTTS * current.rtt)
            if now < fair:  # the path in use gets the time to answer, too
                self._decide_at, self._round_ends = fair, max(self._round_ends, fair)
                return
        if current is not None and self._confirmed_in_round(current):
            relayed, cost = current.cost
            comes_home = best.is_local and not current.is_local
            if best is current or best.cost >= (relayed, cost * (1.0 if comes_home else BETTER)):
                return
        self._take_path(best, now)

    def _take_path(self, pair: Pair, now: float) -> None:
        if self.path is not None and self.path.route == pair.route:
            return
        remote = pair.remote
        self.path = Path(remote.address, pair.local, remote.type, pair.rtt, pair.base)
        self.method, self._moved = self._method(pair), True
        self.woken()
        if self.controlling:
            self._nomination += 1
            pair.nomination, pair.nominating = self._nomination, True
            pair.sends, pair.due = 0, now
            self.handle_timer(now)
        if self.is_direct:
            self._stop_burst()

    def _method(self, pair: Pair) -> PathMethod:
        if pair.is_relayed:
            return PathMethod.RELAY
        if pair.base.startswith(SOCKETS):
            return PathMethod.MANY_SOCKETS
        burst = self.burst
        probed = burst is not None and burst.strategy is Strategy.PROBE
        if burst is not None and probed and burst.reached(pair.remote.address):
            return PathMethod.PROBING
        return PathMethod.PLAIN

    def _stop_burst(self) -> None:
        if self.burst is not None:
            self.burst.stop()

    @property
    def is_direct(self) -> bool:
        """Whether the path of now needs no relay."""
        return self.path is not None and not self.path.is_relayed

    def heard_bases(self) -> frozenset[str]:
        """Return the bases that authentic checks came through."""
        return frozenset(route.base for route in self._heard)

    def hears(self, source: Route) -> bool:
        """Tell whether an authentic check or response came over this route."""
        return source in self._heard

    def has_proved(self, target: Route) -> bool:
        """Tell whether a response to a check of ours came over this route."""
        return target in self._proved

    @property
    def routes(self) -> frozenset[Route]:
        """The routes that are heard."""
        return frozenset(self._heard)

    # -- time

    def handle_timer(self, now: float) -> None:
        """Send the checks that are due; end the round when its time is over."""
        if self.phase is not Phase.CHECKING:
            return
        if self._decide_at is not None and now >= self._decide_at:
            self._decide_at = None
            self._choose(now)
        if now >= self._round_ends:
            self._end_round()
            return
        due = [one for one in self.pairs.values() if one.due is not None and now >= one.due]
        for pair in sorted(due, key=lambda one: one.sends):  # none goes without for the others
            self._check(pair, now)
        if self.burst is not None:
            for datagram in self.burst.take_due(now, self._lets_out(now)):
                self._send(datagram)

    def _lets_out(self, now: float) -> Callable[[Datagram], bool]:
        return lambda one: self.may_send(Route(one.destination, one.base), len(one.data), now)

    def _check(self, pair: Pair, now: float) -> None:
        route = pair.route
        if not self.may_send(route, self._longest_check(), now):
            pair.due = now + PAUSE
            return
        transaction_id = self._random_bytes(12)
        data = self._request(transaction_id, pair)
        low = now < self._low_ttl_until and route not in self._heard
        ttl = LOW_TTL if low and pair.base == CHAT_SOCKET else None
        self._send(Datagram(data, pair.remote.address, ttl, pair.base))
        self._transactions[transaction_id] = (pair, now, pair.nominating)
        pair.first_sent = now if pair.first_sent is None else pair.first_sent
        wait = RESEND_AFTER[min(pair.sends, len(RESEND_AFTER) - 1)]
        pair.sends, pair.checks_sent, pair.due = pair.sends + 1, pair.checks_sent + 1, now + wait

    def _longest_check(self) -> int:
        """Return the bytes of a check that nominates, the longest there is."""
        if not self._check_size:
            self._check_size = len(self.check_bytes()) + USE_CANDIDATE
        return self._check_size

    def _end_round(self) -> None:
        self.admission.leave(self.credentials.local_ufrag)
        confirmed = any(self._confirmed_in_round(pair) for pair in self.pairs.values())
        self.phase = Phase.QUIET if confirmed else Phase.FAILED
        self._ended = self.has_settled = True
        self._stop_burst()
        self._transactions.clear()
        for pair in self.pairs.values():
            pair.due, pair.nominating = None, False
        self.woken()

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        if self.phase is not Phase.CHECKING:
            return None
        due = (pair.due for pair in self.pairs.values())
        burst = None if self.burst is None else self.burst.get_timer()
        return earliest(self._round_ends, burst, self._decide_at, *due)

    def take_datagrams(self) -> list[Datagram]:
        """Return, and forget, what waits to be sent."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def take_routes(self) -> list[tuple[Route, bool]]:
        """Return, and forget, the routes that are newly heard, or proved."""
        routes, self._new_routes = self._new_routes, []
        return routes

    def take_move(self) -> Path | None:
        """Return, once, the path that was just chosen."""
        moved, self._moved = self._moved, False
        return self.path if moved else None

    def take_end(self) -> Phase | None:
        """Return, once, how the round that just ended ended."""
        ended, self._ended = self._ended, False
        return self.phase if ended else None

    def pair_reports(self, began: float) -> tuple[PairReport, ...]:
        """Return what was tried, pair by pair; ``began`` as in :meth:`Pair.told`."""
        return tuple(pair.told(began) for pair in self.pairs.values())

    def burst_report(self, began: float) -> BurstReport | None:
        """Return what was tried beside the pairs."""
        if self.burst is None:
            return None
        return BurstReport(milliseconds(self.burst.began, began), self.burst.sent)
