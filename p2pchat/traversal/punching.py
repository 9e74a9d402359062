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
section 7.2.5.2.1).  Each side sends on the confirmed pair with the shortest round-trip time and
takes traffic from any address that an authenticated check came from; only checks move the path.

A *round* is a time in which checks go out: the first one finds a path, later ones, started by
:meth:`Punching.check_again` or by a check from a new address, verify it or move it.

Deviations from RFC 8445: no nomination and no roles (each side chooses for itself), no pacing
by Ta beyond RESEND_AFTER (a check lost to a closed filter is no sign of congestion, and a round
is bounded), no PRIORITY (round-trip time decides), one component, one socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

import attrs

from p2pchat.traversal.datagrams import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, Scope, format_address, scope
from p2pchat.wire.documents import Candidate, CandidateType

LOW_TTL = 4  # hops; passes two boxes of our own and reaches nobody three routers away
LOW_TTL_PHASE = 0.5  # seconds; the other side has begun, or never will
RESEND_AFTER = (0.02, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25)  # seconds, the last repeats
FIRST_ROUND = 5.0  # seconds until an attempt without any confirmed pair fails
LATER_ROUND = 1.2  # seconds until a path that was lost is given up
SETTLING = 0.3  # seconds a round goes on after its first confirmed pair, to find a better one
BETTER = 0.8  # a path is left only for one with less than this share of its round-trip time
MAX_PAIRS = 48  # 32 candidates, and addresses that checks come from


class Phase(Enum):
    """Where an attempt stands."""

    CHECKING = "checking"  # a round is on
    QUIET = "quiet"  # the round ended with a path
    FAILED = "failed"  # the round ended without


@attrs.define
class Pair:
    """Our socket and one remote address."""

    remote: Candidate
    sends: int = 0  # in this round
    due: float | None = None
    checks_sent: int = 0
    checks_received: int = 0
    confirmed_at: float | None = None
    rtt: float = 0.0  # seconds
    local: CandidateType = CandidateType.HOST


@attrs.frozen
class Path:
    """The pair that carries the traffic, as it was when it was chosen."""

    address: Address
    local: CandidateType
    remote: CandidateType
    rtt: float  # seconds


@attrs.frozen
class Credentials:
    """What makes a check of this attempt: both username fragments and the shared key."""

    local_ufrag: str
    remote_ufrag: str
    key: bytes = attrs.field(repr=False)


def plausible(candidate: Candidate, reflexive: Iterable[Address]) -> bool:
    """
    Tell whether a remote candidate may be sent to.

    Never to a multicast, broadcast, link-local or unspecified address; to loopback only when the
    STUN service saw ourselves there, that is, when everything runs on one machine.
    """
    where = scope(candidate.address[0])
    if where is Scope.LOOPBACK:
        return any(scope(host) is Scope.LOOPBACK for host, _ in reflexive)
    return where is not Scope.UNUSABLE


@attrs.define
class Punching:
    """
    The machine of one attempt; a child of :class:`p2pchat.traversal.agent.Agent`.

    :ivar credentials: of this attempt's checks.
    :ivar host_addresses: our host candidates' addresses, to name the type of our end.
    :ivar reflexive_addresses: our server-reflexive ones.
    """

    credentials: Credentials
    host_addresses: tuple[Address, ...]
    reflexive_addresses: tuple[Address, ...]
    _random_bytes: Callable[[int], bytes]
    path: Path | None = None
    phase: Phase = Phase.CHECKING
    pairs: dict[Address, Pair] = attrs.Factory(dict)
    _heard: set[Address] = attrs.Factory(set)
    _transactions: dict[bytes, tuple[Pair, float]] = attrs.Factory(dict)
    _outgoing: list[Datagram] = attrs.Factory(list)
    _round_started: float = 0.0
    _round_ends: float = 0.0
    _low_ttl_until: float = 0.0
    _moved: bool = False
    _ended: bool = False

    # -- what the negotiation says

    def begin(self, candidates: Iterable[Candidate], now: float, low_ttl: bool) -> None:
        """
        Start the first round.

        :param low_ttl: whether this side checks before the other can have begun.
        """
        self._low_ttl_until = now + LOW_TTL_PHASE if low_ttl else now
        self._start_round(now, FIRST_ROUND)
        self.add_candidates(candidates, now)

    def add_candidates(self, candidates: Iterable[Candidate], now: float) -> None:
        """Check these remote candidates too; implausible ones are left out."""
        for candidate in candidates:
            if plausible(candidate, self.reflexive_addresses):
                self._pair(candidate, now)
        self.handle_timer(now)

    def remote_began(self, now: float) -> None:
        """The other side's NAT has its mappings: check at full TTL from now on."""
        if now < self._low_ttl_until:
            self._low_ttl_until = now
            self._check_all_now(now)

    def check_again(self, now: float) -> None:
        """Verify every known pair; ends with a path, the same or another, or in failure."""
        if self.phase is Phase.CHECKING and self.path is None:
            return
        if self.phase is Phase.CHECKING and now - self._round_started < LATER_ROUND:
            return
        self._start_round(now, LATER_ROUND)
        self.handle_timer(now)

    def _start_round(self, now: float, length: float) -> None:
        self.phase = Phase.CHECKING
        self._round_started, self._round_ends = now, now + length
        for pair in self.pairs.values():
            pair.sends, pair.due = 0, now

    def _check_all_now(self, now: float) -> None:
        for pair in self.pairs.values():
            pair.sends, pair.due = 0, now
        self.handle_timer(now)

    def _pair(self, candidate: Candidate, now: float) -> Pair | None:
        pair = self.pairs.get(candidate.address)
        if pair is None and len(self.pairs) < MAX_PAIRS:
            pair = self.pairs[candidate.address] = Pair(candidate, due=now)
        return pair

    # -- what the network says

    def receive_request(self, message: stun.Message, source: Address, now: float) -> bool:
        """Take a check; returns whether it was authentic."""
        expected = f"{self.credentials.local_ufrag}:{self.credentials.remote_ufrag}"
        if message.attributes.get("USERNAME") != expected:
            return False
        if not message.integrity_holds(self.credentials.key) or message.unknown_required:
            return False
        response = stun.success(message, XOR_MAPPED_ADDRESS=source)
        self._outgoing.append(
            Datagram(stun.encode(response, self.credentials.key, fingerprint=True), source)
        )
        self._triggered(source, now)
        return True

    def _triggered(self, source: Address, now: float) -> None:
        """Check back at once, as RFC 8445 section 7.3.1.4 wants, unless the pair is confirmed."""
        is_new = source not in self._heard
        pair = self._pair(Candidate(CandidateType.PEER_REFLEXIVE, source), now)
        if pair is None:
            return
        pair.checks_received += 1
        self._heard.add(source)
        self.remote_began(now)
        if self.phase is Phase.FAILED or (is_new and self.phase is Phase.QUIET):
            self._start_round(now, LATER_ROUND)
        if is_new and not self._confirmed_in_round(pair):
            pair.due = now
        self.handle_timer(now)

    def receive_response(self, message: stun.Message, source: Address, now: float) -> bool:
        """Take a response; returns whether it was one of ours."""
        found = self._transactions.get(message.transaction_id)
        if found is None or not message.integrity_holds(self.credentials.key):
            return False
        pair, sent_at = found
        if pair.remote.address != source or message.message_class is not stun.MessageClass.SUCCESS:
            return False
        del self._transactions[message.transaction_id]
        self._confirm(pair, now - sent_at, stun.mapped_address(message), now)
        return True

    def _confirm(self, pair: Pair, rtt: float, mapped: Address | None, now: float) -> None:
        first = not any(self._confirmed_in_round(other) for other in self.pairs.values())
        again = self._confirmed_in_round(pair)
        pair.rtt = min(rtt, pair.rtt) if again else rtt
        pair.confirmed_at, pair.due = now, None
        pair.local = self._local_type(mapped)
        self._heard.add(pair.remote.address)
        if first and self.phase is Phase.CHECKING:
            self._round_ends = min(self._round_ends, now + SETTLING)
        self._choose()

    def _local_type(self, mapped: Address | None) -> CandidateType:
        if mapped in self.host_addresses:
            return CandidateType.HOST
        if mapped in self.reflexive_addresses:
            return CandidateType.SERVER_REFLEXIVE
        return CandidateType.PEER_REFLEXIVE

    def _confirmed_in_round(self, pair: Pair) -> bool:
        return pair.confirmed_at is not None and pair.confirmed_at >= self._round_started

    def _choose(self) -> None:
        confirmed = [pair for pair in self.pairs.values() if self._confirmed_in_round(pair)]
        best = min(confirmed, key=lambda pair: pair.rtt)
        current = None if self.path is None else self.pairs.get(self.path.address)
        if current is not None and self._confirmed_in_round(current):
            if best.rtt >= current.rtt * BETTER:
                return
        elif current is best:
            return
        self.path = Path(best.remote.address, best.local, best.remote.type, best.rtt)
        self._moved = True

    def hears(self, source: Address) -> bool:
        """Tell whether an authentic check or response came from this address."""
        return source in self._heard

    # -- time

    def handle_timer(self, now: float) -> None:
        """Send the checks that are due; end the round when its time is over."""
        if self.phase is not Phase.CHECKING:
            return
        if now >= self._round_ends:
            self._end_round()
            return
        for pair in self.pairs.values():
            if pair.due is not None and now >= pair.due:
                self._check(pair, now)

    def _check(self, pair: Pair, now: float) -> None:
        transaction_id = self._random_bytes(12)
        username = f"{self.credentials.remote_ufrag}:{self.credentials.local_ufrag}"
        request = stun.request(transaction_id, USERNAME=username)
        data = stun.encode(request, self.credentials.key, fingerprint=True)
        heard = pair.remote.address in self._heard
        ttl = LOW_TTL if now < self._low_ttl_until and not heard else None
        self._outgoing.append(Datagram(data, pair.remote.address, ttl))
        self._transactions[transaction_id] = (pair, now)
        wait = RESEND_AFTER[min(pair.sends, len(RESEND_AFTER) - 1)]
        pair.sends, pair.checks_sent, pair.due = pair.sends + 1, pair.checks_sent + 1, now + wait

    def _end_round(self) -> None:
        confirmed = any(self._confirmed_in_round(pair) for pair in self.pairs.values())
        self.phase = Phase.QUIET if confirmed else Phase.FAILED
        self._ended = True
        self._transactions.clear()
        for pair in self.pairs.values():
            pair.due = None

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        if self.phase is not Phase.CHECKING:
            return None
        due = [pair.due for pair in self.pairs.values() if pair.due is not None]
        return min([self._round_ends, *due])

    def take_datagrams(self) -> list[Datagram]:
        """Return, and forget, what waits to be sent."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def take_move(self) -> Path | None:
        """Return, once, the path that was just chosen."""
        moved, self._moved = self._moved, False
        return self.path if moved else None

    def take_end(self) -> Phase | None:
        """Return, once, how the round that just ended ended."""
        ended, self._ended = self._ended, False
        return self.phase if ended else None

    def story(self) -> list[str]:
        """Return what was tried, a sentence a pair."""
        return [
            f"{pair.remote.type.value} {format_address(address)}: {pair.checks_sent} checks sent, "
            f"{pair.checks_received} received, "
            + (
                f"answered in {pair.rtt * 1000:.1f} ms"
                if pair.confirmed_at is not None
                else "none answered"
            )
            for address, pair in self.pairs.items()
        ]
