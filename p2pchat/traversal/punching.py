"""
The checks of one attempt: rounds of them on all pairs at once, and the path that they find.

::

    offering side                                        answering side
        │                                                      │ checks, LOW_TTL: open our
        │                                      ◁ ─ ─ ─ ─ ─ ─ ─ ┤ NAT, reach nobody
        │ ◀───────────── answer (registry) ─────────────────── │
        ├─ check, full TTL ──────────────────────────────────▶ │
        ├─ candidates: "I began" (registry) ─────────────────▶ │ full TTL from here on
        │ ◀─────────────────────── response, triggered check ──┤
        ├─ response ─────────────────────────────────────────▶ │
      path                                                   path

A *round* is one run of the checklist: each pair is checked until it is valid, or the round ends.
The first one finds a path.  Later ones, started by :meth:`Punching.check_again` or by a check from
a new address, verify it or move it::

    QUEUED ─ a slot ─▶ CHECKING ─ over, with a valid pair ─▶ COMPLETED
       └─ none in time ─▶ FAILED ◀─ over, without ┘
    COMPLETED, FAILED ─ a round is asked for, and a slot ─▶ CHECKING

A first round has FIRST_ROUND, or as many round trips over the registry as the answer and the checks
need; a later one LATER_ROUND, or as long as the path in use has taken lately, and twice that after
each failure.  Answers to checks of a round that is over are taken, for LATE seconds: where the path
has only become slower, they end the failure.

A round begins when there is a slot for it (:mod:`p2pchat.traversal.check_slots`).  A check that the
limits don't let out (:attr:`Punching.may_send`) is not made, and is due again RETRY_DELAY later.

The controlling side, which made the offer, nominates the pair that it selects
(:mod:`p2pchat.traversal.selection`); the controlled side follows, and until it is told selects by
the same rule.  A route is *heard* when an authentic check came over it, and *validated* when a
response to a check of ours did (as an address is, RFC 9000 section 8.2): only that shows that
somebody is there who wants our packets.
Traffic is taken from any route that is heard; only checks move the path.

A direct pair is better than a relayed one whatever their times, and a round in which only relayed
pairs are valid goes on to its end, for a direct one may need more time.

Deviations from RFC 8445, beside those of checks and selection: no pacing by Ta beyond RESEND_AFTER,
for a check lost to a closed filter is no sign of congestion, and a round is bounded; one component.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum

import attrs

from p2pchat.traversal import checks
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
from p2pchat.traversal.checks import MAX_PADDED, MAX_RESPONSE, Check, CheckCredentials
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.link_proof import Fitness
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.pairs import Checklist, Pair, Path, SentCheck
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.traversal.port_guessing import GuessingRun
from p2pchat.traversal.probing import RETRY_DELAY, Probing
from p2pchat.traversal.report import GuessingReport, milliseconds
from p2pchat.traversal.round_trips import TRIPS, RoundTrips, bounded
from p2pchat.traversal.routes import CHAT_SOCKET, SOCKETS, Datagram, Fragmentation, Route
from p2pchat.traversal.selection import select
from p2pchat.traversal.send_budget import STRANGERS
from p2pchat.traversal.size_probe import SizeProbe
from p2pchat.traversal.strategy import Strategy
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate

LOW_TTL = 4  # hops; passes two boxes of our own and reaches nobody three routers away
LOW_TTL_PHASE = 0.5  # seconds, where the answer comes sooner; then the other side has begun
FIRST_ROUND = 5.0  # seconds; the most that an attempt's first round takes, where trips are short
LATER_ROUND = 1.2  # seconds; the most that each later one takes, where trips are short
LONGEST_ROUND = 30.0  # seconds; round trips that are longer than a third of it are a lost cause
LATE = 10.0  # seconds after a check that its answer is taken; the path has it in a queue
SETTLING = 0.3  # seconds that a round goes on after its first valid direct pair, for a better one
IMPROVE_INTERVAL = 5.0  # seconds between two rounds that checks of the other side begin while our
# path is relayed: it looks for a direct one
RELAY_ROUND = 3.0  # seconds; for a relay where the path in use doesn't carry the link
RELAY_PATIENCE = 1.5  # seconds that a relay has to give a path, before one over which a link wasn't
# heard a moment ago is used again
MIN_SLOT_TIME = LATER_ROUND  # seconds that a round with a valid pair keeps its slot, whoever waits


class AttemptPhase(Enum):
    """Phase of an attempt."""

    QUEUED = "queued"  # the first round waits for a slot
    CHECKING = "checking"  # a round is on
    COMPLETED = "completed"  # the last round ended with a valid pair
    FAILED = "failed"  # it ended without one


@attrs.define(eq=False)
class Punching:
    """
    The machine of one attempt; a child of :class:`p2pchat.traversal.agent.Agent`.

    :ivar credentials: of this attempt's checks.
    :ivar controlling: whether this side nominates.
    :ivar checklist: the pairs.
    :ivar host_addresses, reflexive_addresses: ours, to name the type of our end.
    :ivar has_priority: whether the peer is a contact, or our person called or accepted it.
    :ivar counts_as: what the limits count what it sends as (:mod:`p2pchat.traversal.send_budget`).
    :ivar remote_nat: what the other side says of its NAT.
    :ivar hint: how this peer was reached last.
    :ivar trip, relay_trip: seconds of a document and its answer, and to a relay; 0 while unknown.
    :ivar round_started: when the round of now or last did.
    :ivar they_guess_at: when the other side begins port guessing, if it is wanted, at the earliest.
    :ivar may_send: takes where a packet is to go, and its bytes of payload; tells whether it may.
    :ivar flight: datagrams that follow the first check to each address of ``flight_to``.
    :ivar flight_to: the likeliest two of the other side's addresses at most.
    :ivar outbox: what its parent is to take, in order.
    :ivar path, method: the path in use, and how it was made.
    :ivar first_round_over: whether the first round has ended, with a valid pair or without.
    :ivar guessing: our part of port guessing, if that has begun.
    :ivar guess_again_at: when the limits let go what mostly leads to a path, where it didn't.
    """

    credentials: CheckCredentials
    controlling: bool
    checklist: Checklist
    host_addresses: tuple[Address, ...]
    reflexive_addresses: tuple[Address, ...]
    _random_bytes: Callable[[int], bytes]
    has_priority: bool = False
    slots: CheckSlots = attrs.Factory(CheckSlots)
    remote_nat: NatTraits = attrs.Factory(NatTraits)
    hint: PathHint | None = None
    trip: float = 0.0
    relay_trip: float = 0.0
    they_guess_at: float = 0.0
    may_send: Callable[[Route, int, float], bool] = lambda _route, _octets, _now: True
    flight: tuple[bytes, ...] = ()
    flight_to: set[Address] = attrs.Factory(set)
    outbox: deque[PunchingEvent] = attrs.Factory(deque)
    path: Path | None = None
    method: PathMethod | None = None
    phase: AttemptPhase = AttemptPhase.QUEUED
    first_round_over: bool = False
    guessing: GuessingRun | None = None
    guess_again_at: float | None = None
    counts_as: str = STRANGERS
    _unanswered: dict[Address, int] = attrs.Factory(dict)  # packets that the limits have counted
    _heard: set[Route] = attrs.Factory(set)
    _validated: set[Route] = attrs.Factory(set)
    _max_check: int = attrs.field(init=False)  # bytes
    _sent: dict[bytes, SentCheck] = attrs.Factory(dict)  # by transaction id
    _nominated: Route | None = None  # by the other side
    _nomination: int = 0  # the number of the last one, ours or theirs
    round_started: float = 0.0
    _round_ends: float = 0.0
    _round_length: float = FIRST_ROUND
    _trips: RoundTrips = attrs.Factory(RoundTrips)  # of the path in use
    _low_ttl_until: float = 0.0
    _select_at: float | None = None
    _probing: Probing = attrs.field(init=False)
    _is_concluded: bool = False  # the round is over but for its probes

    def __attrs_post_init__(self) -> None:
        self._max_check = self.credentials.max_request()
        self._probing = Probing(self.checklist, self._send_probing)

    @property
    def ufrag(self) -> str:
        """Our username fragment, by which the attempt is named."""
        return self.credentials.local_ufrag

    # -- news of the other side

    def begin(self, candidates: Iterable[Candidate], now: float, low_ttl: bool) -> None:
        """
        Start the first round.

        :param low_ttl: whether this side checks before the other can have begun.
        """
        self._low_ttl_until = now + max(LOW_TTL_PHASE, self.trip / 2) if low_ttl else now
        self._ask_for_round(now, self._time_for(FIRST_ROUND))
        self.add_candidates(candidates, now)

    def add_candidates(self, candidates: Iterable[Candidate], now: float) -> None:
        """Check these remote candidates too; known and forbidden ones are left out."""
        new = self.checklist.add(candidates, now)
        if any(pair.is_relayed for pair in new):
            self._wait_for_answer(now)
            if self.phase is AttemptPhase.COMPLETED:
                self.check_again(now)  # the path doesn't do for them any more
        pair = self._pair_in_use()
        if self.path is not None and pair is not None and pair.type is not self.path.remote:
            self._move(attrs.evolve(self.path, remote=pair.type))
        self.handle_timer(now)

    def set_relays(self, relays: tuple[str, ...], now: float) -> frozenset[Route]:
        """Check from these relay bases too; returns the heard routes of those that are gone."""
        new = self.checklist.set_relays(relays)
        lost = frozenset(one for one in self._heard if one.is_relayed and one.base not in relays)
        self._heard -= lost
        self._validated -= lost
        if not self.is_direct:  # a direct path is kept without a relay, and verified without
            self.checklist.pair_with(new, now)
            self._wait_for_answer(now)
            self.handle_timer(now)
        return lost

    def remote_began(self, now: float) -> None:
        """Check at full TTL from now on: the other side's NAT has its mappings."""
        if now < self._low_ttl_until:
            self._low_ttl_until = now
            self.checklist.begin_round(now)
            self.handle_timer(now)

    def check_again(self, now: float) -> None:
        """Verify every known pair; ends with a path, the same or another, or in failure."""
        is_on = self.phase is AttemptPhase.CHECKING
        length = self._later_round(now)
        if is_on and (self.path is None or now - self.round_started < length):
            return
        self._ask_for_round(now, length)
        self.handle_timer(now)

    def probe_size(self, size: int, now: float) -> None:
        """
        Find out whether the path in use carries datagrams of a size; a :class:`SizeProbed` follows.

        None follows where the path answers nothing, or is left meanwhile.

        :param size: bytes of UDP payload, a multiple of 4.
        """
        self._probing.ask(size)
        if self.phase is AttemptPhase.CHECKING:
            self._probing.begin(self._pair_in_use(), self._valid_pairs(), now)
            self.handle_timer(now)
        else:
            self.check_again(now)

    def begin_guessing(
        self, strategy: Strategy, target: Address, packets: int, begins_at: float
    ) -> None:
        """Guess ports, too, until there is a direct path or the round ends."""
        check = self.credentials.request(self._random_bytes(12))  # responses aren't needed
        self.guess_again_at = None
        if strategy is Strategy.PORT_PROBING:
            self.guessing = GuessingRun.port_probing(
                check, target[0], self._random_bytes, begins_at, packets=packets
            )
        else:
            self.guessing = GuessingRun.many_sockets(
                self.ufrag, check, target, LOW_TTL, begins_at, packets=packets
            )

    # -- rounds

    def _time_for(self, floor: float) -> float:
        """Return the seconds that something takes which waits for the other side, or a relay."""
        return bounded(floor, TRIPS * max(self.trip, self.relay_trip), LONGEST_ROUND)

    def prolong(self, now: float) -> None:
        """Begin the time of the first round anew: the other side hasn't begun yet."""
        if self.phase is AttemptPhase.CHECKING and self.path is None:
            self._round_ends = now + self._time_for(FIRST_ROUND)

    def _later_round(self, now: float) -> float:
        """Return the seconds that a later round may take."""
        return self._trips.backed_off(LATER_ROUND, LONGEST_ROUND, now)

    def _ask_for_round(self, now: float, length: float) -> None:
        """Ask for a slot; the round begins at once if there is one, else when there is."""
        self._round_length = length
        if self.slots.ask(self.ufrag, self.has_priority, not self.first_round_over, now):
            self.begin_round(now)

    def begin_round(self, now: float) -> None:
        """Begin the round that a slot was asked for."""
        self.phase, self._select_at = AttemptPhase.CHECKING, None
        self.round_started, self._round_ends = now, now + self._round_length
        self._is_concluded = False
        self._forget_checks(now)
        self.checklist.begin_round(now)

    def slot_timed_out(self, now: float) -> None:
        """Fail: the first round had no slot in time."""
        if self.phase is AttemptPhase.QUEUED:
            self._end_round(now)

    def free_slot(self, now: float) -> bool:
        """End a round that has a valid pair, for attempts that wait; tells whether it did."""
        is_on = self.phase is AttemptPhase.CHECKING and bool(self._valid_pairs())
        if not is_on or now < self.round_started + MIN_SLOT_TIME:
            return False
        self._probing.end()
        self._end_round(now)
        return True

    def _end_round(self, now: float) -> bool:
        """End a round's checks, and the round if no probe goes on; tells whether one does."""
        succeeded = bool(self._valid_pairs())
        if not self._is_concluded:
            self.first_round_over = self._is_concluded = True
            self._stop_guessing()
            self.checklist.end_round()
            self._trips.ended(succeeded, now)
            self._conclude(succeeded)
        if succeeded and self.checklist.probed(now):
            self.phase = AttemptPhase.CHECKING
            return True
        self.phase = AttemptPhase.COMPLETED if succeeded else AttemptPhase.FAILED
        self._probing.end()
        self.slots.leave(self.ufrag)
        self._forget_checks(now)
        return False

    def _conclude(self, succeeded: bool) -> None:
        """Say what came of the round that is over."""
        self.phase = AttemptPhase.COMPLETED if succeeded else AttemptPhase.FAILED
        pair, began = self._pair_in_use(), self.round_started
        rtt = pair.rtt if pair is not None and pair.is_valid(began) else 0.0
        self.outbox.append(RoundEnded(self.ufrag, succeeded, began, rtt))

    def _forget_checks(self, now: float) -> None:
        """Take no answers any more to what is too old, or was to measure a size."""
        self._sent = {
            one: sent
            for one, sent in self._sent.items()
            if now - sent.at < LATE and (sent.probe is None or sent.probe.due is not None)
        }

    def _stop_guessing(self) -> None:
        if self.guessing is not None:
            self.guessing.stop()

    def _valid_pairs(self) -> list[Pair]:
        """Return the valid pairs of this round."""
        return self.checklist.valid(self.round_started)

    # -- checks and responses

    def receive_request(self, message: stun.Message, source: Route, now: float) -> bool:
        """Take a check; returns whether it was authentic."""
        # With relays only, the chat socket is no base: nothing that comes there is answered.
        if source.base not in self.checklist.bases and not source.base.startswith(SOCKETS):
            return False
        check = self.credentials.read(message)
        if check is None:
            return False
        # Only to somebody who has shown to be there goes as much as that one asks for.
        padded = min(check.padded, MAX_PADDED) if self.is_validated(source) else 0
        if self._take(source, max(padded, MAX_RESPONSE), now):
            response = self.credentials.response(message, source.address, padded)
            # Who asks wants to know of its own way to us, and hears of it however this one is.
            way = Fragmentation.ALLOWED if padded else Fragmentation.AS_KNOWN
            self._send(Datagram(response, source.address, None, source.base, way))
        number = check.nomination
        # A nomination that a later one overtook on the way has a smaller number.
        if number is not None and number >= self._nomination and not self.controlling:
            self._nominated, self._nomination = source, number
        self._trigger_check(source, check, now)
        return True

    def _trigger_check(self, source: Route, check: Check, now: float) -> None:
        """Make a triggered check (RFC 8445 section 7.3.1.4), unless the pair is valid."""
        is_new = source not in self._heard
        pair = self.checklist.pair_of(source, check.source_type, now)
        if pair is None:
            return
        pair.checks_received += 1
        self._hear(source, False)
        self.remote_began(now)
        # The other side looks for a path, or a better one: both have to check for that.
        if self.phase is AttemptPhase.FAILED or (
            (self.phase is AttemptPhase.COMPLETED or self._is_concluded)
            and self._calls_for_round(is_new, now)
        ):
            self._ask_for_round(now, self._later_round(now))
        if is_new:
            self._wait_for_answer(now)
        if is_new and not pair.is_valid(self.round_started):
            pair.due = now
        if self._nominated == source and pair.is_valid(self.round_started):
            self._select(now)
        self.handle_timer(now)

    def _wait_for_answer(self, now: float) -> None:
        """Let the first round go on: what came took so long that more may have to come yet."""
        if self.path is None:
            longer, latest = 2 * (now - self.round_started), self.round_started + 2 * LONGEST_ROUND
            self._round_ends = max(self._round_ends, min(now + longer, latest))

    def _calls_for_round(self, is_new: bool, now: float) -> bool:
        """Whether a check begins a round of ours: from a new address, or for a direct path."""
        improvable = self.path is not None and self.path.is_relayed
        return is_new or (improvable and now - self.round_started > IMPROVE_INTERVAL)

    def _hear(self, route: Route, validated: bool) -> None:
        if route not in (self._validated if validated else self._heard):
            self._heard.add(route)
            self._validated |= {route} if validated else set()
            wanted = self._wanted_by(route) if validated else 0
            self.outbox.append(RouteHeard(self.ufrag, route, validated, wanted))

    def _wanted_by(self, route: Route) -> int:
        """Return, and forget, what was sent to whoever answered; a relay of ours may lie."""
        if route.is_relayed:
            return 0
        wanted = self._unanswered.pop(route.address, 0)
        if self.guessing is not None and self.guessing.host == route.address[0]:
            wanted += self.guessing.take_uncounted()
        return wanted

    def receive_response(self, message: stun.Message, source: Route, now: float) -> bool:
        """Take a response; returns whether it was one of ours."""
        sent = self._sent.get(message.transaction_id)
        if sent is None or sent.pair.route != source or not self.credentials.accepts(message):
            return False
        del self._sent[message.transaction_id]
        pair = sent.pair
        if self.checklist.pairs.get(source) is not pair:
            return True  # its relay is gone
        pair.nominating = pair.nominating and not sent.nominated
        rtt = now - sent.at
        pair.check_answered(rtt, self.round_started, now)
        # What is late may have waited for somebody who slept; longer rounds will show.
        if pair is self._pair_in_use() and sent.at >= self.round_started:
            self._trips.measured(rtt)
        pair.note_local(stun.mapped_address(message), self.host_addresses, self.reflexive_addresses)
        self._hear(source, True)
        self._prove(sent, checks.size(message), now)
        if not pair.is_relayed and pair.proof.is_fit and self.phase is AttemptPhase.CHECKING:
            # What is still to come can only be a better direct pair, or the nomination's answer.
            settling = SETTLING if self.first_round_over else max(SETTLING, 1.25 * rtt)
            self._round_ends = min(self._round_ends, now + settling)
        self._select(now)
        if self.phase is AttemptPhase.FAILED and self.path is not None:
            self._conclude(True)  # late, and not lost
        if self.phase is AttemptPhase.CHECKING:
            # Sent as the timer is handled: our answers go out before it.
            self._probing.begin(self._pair_in_use(), self._valid_pairs(), now)
        return True

    def _prove(self, sent: SentCheck, octets: int, now: float) -> None:
        """Take what an answer says of whether its pair carries the link."""
        pair, was_fit = sent.pair, sent.pair.proof.is_fit
        pair.proof.check_answered(sent.at, now)
        found = self._probing.take(sent, octets, now)
        if found is not None:
            self.outbox.append(SizeProbed(self.ufrag, pair.route, *found))
        if was_fit and not pair.proof.is_fit:
            self._leave(pair, now)
        elif self.path is not None and pair is self._pair_in_use():
            self._note_fragments(self.path, pair)

    def _note_fragments(self, path: Path, pair: Pair) -> None:
        """Say so if the datagrams of the path in use have to be fragmented, or needn't any more."""
        if path.is_fragmented is not pair.proof.is_fragmented:
            self._move(attrs.evolve(path, is_fragmented=pair.proof.is_fragmented))

    def link_unheard(self, now: float) -> None:
        """Leave the path in use, over which the link should be heard by now, if checks pass."""
        pair = self._pair_in_use()
        if pair is None or not pair.proof.is_fit:
            return
        pair.proof.link_unheard(now)
        self.check_again(now)
        if self.phase is AttemptPhase.CHECKING:  # which it may have been before
            pair.check_again(now)
            self._round_ends = max(self._round_ends, now + LATER_ROUND)
            self._is_concluded = False
            self.handle_timer(now)

    def link_heard(self) -> None:
        """Note that the link works over the path in use."""
        if (pair := self._pair_in_use()) is not None:
            pair.proof.link_heard()

    def _leave(self, pair: Pair, now: float) -> None:
        """Look for another pair, if this one, which is unfit, is in use."""
        self.outbox.append(PairUnfit(self.ufrag, pair.route, pair.proof.fitness))
        if pair is not self._pair_in_use():
            return
        self.checklist.pair_with(self.checklist.relays, now)
        if self.phase is AttemptPhase.CHECKING:
            self._round_ends = max(self._round_ends, now + self._time_for(RELAY_ROUND))
            self._is_concluded = False
            self._select(now)
        else:
            self._ask_for_round(now, self._time_for(RELAY_ROUND))

    # -- the path

    def _select(self, now: float) -> None:
        to, current = self._nominated, self._pair_in_use()
        nominated = None if to is None else self.checklist.pairs.get(to)
        current = current if current is not None and current.proof.is_fit else None
        valid = self.checklist.usable(self.round_started) or self._last_resort(now)
        choice = select(valid, current, nominated, self.round_started, now)
        if choice.again_at is not None:
            self._select_at = choice.again_at
            self._round_ends = max(self._round_ends, choice.again_at)
        if choice.pair is not None and (self.path is None or choice.pair.route != self.path.route):
            self._use(choice.pair, now)

    def _last_resort(self, now: float) -> list[Pair]:
        """Return unfit pairs, where there is no path and no relay has given one in time."""
        silent = [one for one in self._valid_pairs() if one.proof.fitness is Fitness.SILENT]
        if self.path is not None or not silent:
            return []
        self._select_at = self.round_started + self._time_for(RELAY_PATIENCE)
        return silent if now >= self._select_at else []

    def _pair_in_use(self) -> Pair | None:
        return None if self.path is None else self.checklist.pairs.get(self.path.route)

    def _use(self, pair: Pair, now: float) -> None:
        is_probed = self.guessing is not None and self.guessing.has_probed(pair.route.address)
        self.method, self._trips = pair.method(is_probed), RoundTrips()
        self._trips.measured(pair.rtt)
        self._move(Path.of(pair))
        if self.controlling:  # a new number, so that an older nomination on its way doesn't count
            self._nomination += 1
            pair.nominate(self._nomination, now)
            self.handle_timer(now)
        if self.is_direct:
            self._stop_guessing()

    def _move(self, path: Path) -> None:
        before, self.path = self.path, path
        leaves_direct = path.is_relayed and before is not None and not before.is_relayed
        self.outbox.append(PathMoved(self.ufrag, path, leaves_direct))

    @property
    def is_direct(self) -> bool:
        """Whether the path in use needs no relay, as far as is known."""
        return self.path is not None and not self.path.is_relayed and self.is_fit

    @property
    def is_fit(self) -> bool:
        """Whether there is a path, and nothing is known against its carrying the link."""
        pair = self._pair_in_use()
        return pair is not None and pair.proof.is_fit

    def is_validated(self, route: Route) -> bool:
        """Tell whether a response to a check of ours has come over this route."""
        return route in self._validated

    @property
    def routes(self) -> frozenset[Route]:
        """The routes that are heard."""
        return frozenset(self._heard)

    # -- time

    def handle_timer(self, now: float) -> None:
        """Send the checks that are due; end the round when its time is over."""
        if self.phase is not AttemptPhase.CHECKING:
            return
        if self._select_at is not None and now >= self._select_at:
            self._select_at = None
            self._select(now)
        if now >= self._round_ends and not self._end_round(now):
            return
        for pair in self.checklist.due(now):
            self._check(pair, now)
        self._probing.send_due(now)
        if self.guessing is not None:
            for datagram in self.guessing.take_due(now, self._lets_out(now)):
                self._send(datagram)

    def _lets_out(self, now: float) -> Callable[[Datagram], bool]:
        return lambda one: self.may_send(Route(one.destination, one.base), len(one.data), now)

    def _check(self, pair: Pair, now: float) -> None:
        route = pair.route
        if not self._take(route, self._max_check, now):
            pair.due = now + RETRY_DELAY
            return
        identifier = self._random_bytes(12)
        check = self.credentials.request(
            identifier, route.is_relayed, pair.nomination, pair.nominating
        )
        # Whoever was heard over this route has sent to us first: its NAT has its mapping.
        low = now < self._low_ttl_until and route not in self._heard
        ttl = LOW_TTL if low and route.base == CHAT_SOCKET else None
        self._send(Datagram(check, route.address, ttl, route.base))
        self._sent[identifier] = SentCheck(pair, now, pair.nominating)
        pair.check_sent(now)
        if route.address in self.flight_to and route.base == CHAT_SOCKET:
            self._send_flight(route, now)

    def _send_flight(self, to: Route, now: float) -> None:
        """Send the flight after the check that makes its route heard over there."""
        self.flight_to.remove(to.address)
        for data in self.flight:
            if self._take(to, len(data), now):
                self._send(Datagram(data, to.address, base=to.base))

    def _take(self, to: Route, octets: int, now: float) -> bool:
        """Ask whether a packet may go, and note it if that depends on what comes of it."""
        may_go = self.may_send(to, octets, now)
        if may_go and not self.is_validated(to) and not to.is_relayed:
            self._unanswered[to.address] = self._unanswered.get(to.address, 0) + 1
        return may_go

    def _send_probing(
        self, pair: Pair, probe: SizeProbe, padded: int, fragmentation: Fragmentation, now: float
    ) -> bool:
        """Send one check of a probe; tells whether it may go."""
        route = pair.route
        if not self._take(route, max(padded, self._max_check), now):
            return False
        identifier = self._random_bytes(12)
        check = self.credentials.request(identifier, route.is_relayed, padded=padded)
        self._send(Datagram(check, route.address, None, route.base, fragmentation))
        self._sent[identifier] = SentCheck(pair, now, False, probe, padded, fragmentation)
        pair.checks_sent += 1
        return True

    def _send(self, datagram: Datagram) -> None:
        self.outbox.append(CheckDatagram(self.ufrag, datagram))

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        if self.phase is not AttemptPhase.CHECKING:
            return None
        guessing = None if self.guessing is None else self.guessing.get_timer()
        due = self.checklist.get_timer()
        probe = self.checklist.next_probe()
        ends = None if self._is_concluded and probe is not None else self._round_ends
        return earliest(ends, guessing, self._select_at, due, probe)

    # -- reports

    def guessing_report(self, began: float) -> GuessingReport | None:
        """Return what was tried beside the pairs."""
        run, again_ms = self.guessing, milliseconds(self.guess_again_at, began)
        if run is None:
            return None if again_ms is None else GuessingReport(None, 0, True, again_ms)
        return GuessingReport(milliseconds(run.began, began), run.sent, run.is_short, again_ms)
