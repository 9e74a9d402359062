"""
Our candidates, and what our NAT is taken for.

Candidates are host addresses, and server-reflexive ones that the chat socket itself learns.

Sends a Binding request (RFC 8489) to each STUN address of the registry, keeps the answers, and
repeats that every REFRESH_INTERVAL, so that the mapping that peers know stays open and a new one is
noticed; more often where mappings don't live that long (:mod:`p2pchat.traversal.keepalive`).
:meth:`Gathering.refresh` asks at once.

The mapping behaviour is read off the answers (RFC 5780 section 4.3): two destinations, one mapped
address, hence endpoint-independent as far as this can tell.  It is shown, sent to the peer, and
chooses the strategy; plain checks go out whatever it is.  Ports that go up by the same step from
each destination to the next let the next ones be predicted; those become candidates, too.

Of a name with several addresses any may be dead: while fewer than two of MAX_SERVERS have answered
after SPARE_AFTER, further ones are asked, too; those that answered are the ones to be asked then.

UDP counts as blocked when no STUN address has answered BLOCKED_AFTER the first request, or within
some round trips (:mod:`p2pchat.traversal.round_trips`) where they are longer: a call then asks a
relay over TCP without waiting.  Where answers have come in this network, silence is rather a queue
on the way, and has to last GIVEN_UP_AFTER.  The requests go on, and a late answer proves the
opposite: a slow network is misread as blocked for at most one round trip, once.  When all addresses
are given up, which takes GIVEN_UP_AFTER or round trips likewise, their mappings are forgotten, and
one request goes on at a time, every UNREACHED_INTERVAL: the first answer shows that the network is
back.

The filtering is tested again when the address that we are seen from, or the mapped ones, have
changed: the NAT is another one, or was rebooted.

Deviation: requests are sent again after 100 ms, not after the 500 ms of RFC 8489 section 6.2.1: a
person waits, and one packet of 48 bytes makes no congestion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise

import attrs

from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.filtering_test import FilteringTest
from p2pchat.traversal.keepalive import SHORTEST, Keepalive
from p2pchat.traversal.nat import Filtering, Mapping, NatTraits, Preservation
from p2pchat.traversal.reachability import may_be_checked
from p2pchat.traversal.round_trips import LONGEST, RoundTrips
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType

RETRANSMIT_AFTER = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between the sends of one request
GIVEN_UP_AFTER = sum(RETRANSMIT_AFTER) + RETRANSMIT_AFTER[-1]  # seconds, at least
BLOCKED_AFTER = 0.9  # seconds; a person waits, and nearly every round trip is a third of that
REFRESH_INTERVAL = 20.0  # seconds; the shortest UDP mappings seen in the field live for 30
MAX_HOST_CANDIDATES = 8  # of both families; an offer with more is longer than others
MAX_SERVERS = 3  # asked for mappings; the next one is only for the filtering test
MAX_SPARES = 5  # further ones, which are asked where those don't answer
SPARE_AFTER = 0.3  # seconds; a dead address beside a living one shall not look like a block
UNREACHED_INTERVAL = 1.0  # seconds between requests while nothing answers: is the network back?
MAX_STEP = 16  # ports; mappings further apart follow no rule that can be used
PREDICTED = 8  # candidates where the next mapping can be predicted


@attrs.frozen
class CandidatesChanged:
    """Our candidates, or what is known of our NAT, changed, or gathering completed."""


@attrs.frozen
class NetworkReturned:
    """The STUN service answers again after it didn't."""


GatheringEvent = Datagram | CandidatesChanged | NetworkReturned


@attrs.define
class _Binding:
    """The exchange with one STUN address."""

    server: Address
    transaction_id: bytes = b""
    sends: int = 0
    due: float | None = None  # when to send (again)
    mapped: Address | None = None
    failed: bool = False
    asked_at: float = 0.0
    seen_at: float | None = None  # when what `mapped` answers went out; None: before an outage


@attrs.define
class Gathering:
    """
    The machine of one address family; :mod:`p2pchat.traversal.dual_stack` has one of each.

    :ivar is_local: whether our person chose a registry on this machine; then so may peers be.
    :ivar on_link: whether this machine has link-local addresses alone.
    :ivar host_addresses: where the socket can be reached on this machine's interfaces, the most
        useful first (:mod:`p2pchat.traversal.own_addresses`).
    :ivar keepalive: how long our NAT keeps what is idle, as far as it shows.
    :ivar trips: the round trips to STUN servers.
    :ivar outbox: what its parent is to take, in order.
    """

    host_addresses: tuple[Address, ...]
    _random_bytes: Callable[[int], bytes]
    is_local: bool = False
    on_link: bool = False
    outbox: deque[GatheringEvent] = attrs.Factory(deque)
    keepalive: Keepalive = attrs.Factory(Keepalive)
    trips: RoundTrips = attrs.Factory(RoundTrips)
    _bindings: list[_Binding] = attrs.Factory(list)
    _spares: list[Address] = attrs.Factory(list)  # to be asked where those don't answer
    _spares_at: float | None = None  # when that shows
    _refresh_at: float | None = None
    _filtering: FilteringTest | None = None
    # From which of our addresses the filtering was tested, and at which ones we were seen then.
    _tested: tuple[tuple[Address, ...], tuple[Address, ...]] | None = None
    _doubt_at: float | None = None  # when silence counts as blocked
    _doubted: bool = False  # no STUN address has answered for BLOCKED_AFTER
    _slow: bool = False  # that was wrong once
    _unreached: bool = False  # no STUN address answered the last requests

    def set_servers(self, servers: Iterable[Address], now: float) -> None:
        """Ask these STUN addresses from now on; answers of the same ones are kept."""
        known = {binding.server: binding for binding in self._bindings}
        found = list(dict.fromkeys(servers))
        if set(found) != {*known, *self._spares, *self._answerer()}:
            wanted, others = found[:MAX_SERVERS], found[MAX_SERVERS:]
            self._bindings = [known.get(server) or _Binding(server) for server in wanted]
            self._filtering = None
            if others and others[0][0] == wanted[-1][0]:  # it only sends the answers of that one
                self._filtering = self._new_test(wanted[-1], others.pop(0))
            self._spares = others[:MAX_SPARES]
        self.refresh(now)

    def _answerer(self) -> tuple[Address, ...]:
        return () if self._filtering is None else (self._filtering.answers_from,)

    def _new_test(self, asked: Address, answers_from: Address) -> FilteringTest:
        return FilteringTest(
            asked, answers_from, self._random_bytes, self.outbox.append, trips=self.trips
        )

    def _tell(self, event: CandidatesChanged | NetworkReturned) -> None:
        if event not in self.outbox:  # once, until it is taken
            self.outbox.append(event)

    def refresh(self, now: float) -> None:
        """Ask every STUN address again, at once."""
        for binding in self._bindings:
            # While nothing answers the transaction stays: a round trip may be longer than the
            # interval between requests.
            if not (self._unreached and binding.transaction_id):
                binding.transaction_id = self._random_bytes(12)
            binding.sends = len(RETRANSMIT_AFTER) if self._unreached else 0
            binding.due, binding.asked_at, binding.failed = now, now, False
        interval = self.keepalive.within(REFRESH_INTERVAL)
        self._refresh_at = now + interval if self._bindings else None
        self._spares_at = now + SPARE_AFTER if self._spares else None
        in_doubt = self._doubt_at is not None or self.is_blocked
        if not self._bindings:
            self._doubt_at = None
        elif not in_doubt and not self._slow:
            has_answered = any(one.seen_at is not None for one in self._bindings)
            floor = GIVEN_UP_AFTER if has_answered else BLOCKED_AFTER
            self._doubt_at = now + self.trips.limit(floor)
        self.handle_timer(now)

    def network_changed(self) -> None:
        """Another network: that answers came in the last one says nothing."""
        for binding in self._bindings:
            binding.seen_at = None

    def look_again(self, now: float) -> None:
        """Ask again for a call, unless every mapping was seen so lately that it still lives."""
        if not self._unreached and any(now - one.asked_at > SHORTEST for one in self._bindings):
            self.refresh(now)

    def receive_response(self, message: stun.Message, source: Address, now: float) -> bool:
        """Take a response; returns whether it was one of ours."""
        if self._filtering is not None and self._filtering.receive_response(message, source):
            self._tell(CandidatesChanged())
            return True
        for binding in self._bindings:
            if binding.transaction_id == message.transaction_id and binding.server == source:
                self._answered(binding, message, now)
                return True
        return False

    def _answered(self, binding: _Binding, message: stun.Message, now: float) -> None:
        if binding.due is None:
            return
        if self._unreached:  # which of many requests it answers isn't known: the next one measures
            self._refresh_at = now
        else:
            self.trips.measured(now - binding.asked_at)
            self.trips.ended(True, now)
        mapped = stun.mapped_address(message)
        binding.due, binding.failed = None, mapped is None
        if self.is_blocked:
            self._tell(CandidatesChanged())
        if self._unreached:
            self._tell(NetworkReturned())
        self._slow = self._slow or (self._doubted and not self._unreached)
        self._unreached = self._doubted = False
        self._doubt_at = None
        if mapped is not None and mapped != binding.mapped:
            if binding.seen_at is not None:
                gap = binding.asked_at - binding.seen_at
                self.keepalive.mapping_changed(gap, binding.asked_at)
            binding.mapped = mapped
            self._tell(CandidatesChanged())
        binding.seen_at = binding.asked_at
        self._completed()

    def handle_timer(self, now: float) -> None:
        """Send what is due."""
        if self._refresh_at is not None and now >= self._refresh_at:
            self.refresh(now)
            return
        if self._spares_at is not None and now >= self._spares_at:
            self._spares_at = None
            if len(self._answering()) < min(2, len(self._bindings)):
                self._ask_spares(now)
        if self._doubt_at is not None and now >= self._doubt_at:
            self._doubt()
        for binding in self._bindings:
            if binding.due is not None and now >= binding.due:
                self._send(binding, now)
        test = self._filtering if self.is_complete and not self._unreached else None
        if test is not None and test.handle_timer(now):
            self._tell(CandidatesChanged())
        if test is not None and test.due is None:
            self._ask_answerer(test.answers_from, now)

    def _ask_answerer(self, server: Address, now: float) -> None:
        """After the filtering test, ask the server of its answer, too, where only one answers."""
        known = {*self._spares, *[one.server for one in self._bindings]}
        if len(self._answering()) == 1 < len(self._bindings) and server not in known:
            self._spares.insert(0, server)
            self._ask_spares(now)

    def _answering(self) -> list[_Binding]:
        return [one for one in self._bindings if one.due is None and not one.failed]

    def _ask_spares(self, now: float) -> None:
        sends = len(RETRANSMIT_AFTER) if self._unreached else 0
        for server in self._spares:
            spare = _Binding(server, self._random_bytes(12), sends, now, asked_at=now)
            self._bindings.append(spare)
        self._spares = []

    def _prefer_answering(self) -> None:
        """Let those that answer be the ones that are asked, where others were given up."""
        answering = self._answering()
        if answering and len(self._bindings) > MAX_SERVERS:
            kept = answering[:MAX_SERVERS]
            self._spares += [one.server for one in self._bindings if one not in kept]
            self._bindings = kept

    def _doubt(self) -> None:
        """Take UDP for blocked."""
        self._doubt_at, self._doubted = None, True
        self._tell(CandidatesChanged())
        for binding in self._bindings:
            binding.seen_at = None  # another mapping after an outage isn't one that was idle

    def _send(self, binding: _Binding, now: float) -> None:
        if binding.sends > len(RETRANSMIT_AFTER):
            self._give_up(binding, now)
            return
        request = stun.encode(stun.request(binding.transaction_id), fingerprint=True)
        self.outbox.append(Datagram(request, binding.server))
        wait = RETRANSMIT_AFTER[min(binding.sends, len(RETRANSMIT_AFTER) - 1)]
        if self._unreached:
            wait = UNREACHED_INTERVAL
        elif binding.sends == len(RETRANSMIT_AFTER):
            given_up_at = binding.asked_at + self.trips.backed_off(GIVEN_UP_AFTER, LONGEST, now)
            wait = max(wait, given_up_at - now)
        binding.sends, binding.due = binding.sends + 1, now + wait

    def _give_up(self, binding: _Binding, now: float) -> None:
        binding.due, binding.failed = None, True
        self._tell(CandidatesChanged())
        self._completed()
        if all(one.failed for one in self._bindings):
            self._unreached, self._slow = True, False
            self.trips.ended(False, now)
            for one in self._bindings:
                one.mapped = one.seen_at = None
            self._refresh_at = now

    def _completed(self) -> None:
        """Where all have answered or been given up, see whether the filtering is to be tested."""
        if not self.is_complete:
            return
        self._prefer_answering()
        self._tell(CandidatesChanged())
        seen = self.host_addresses[:1], self.reflexive_addresses
        if not self.reflexive_addresses:
            return
        test, before = self._filtering, self._tested
        if test is not None and before is not None and seen != before:
            known = {one.server for one in self._bindings} | set(self._spares)
            is_new = test.answers_from not in known  # nothing was ever sent to it
            self._filtering = self._new_test(test.asked, test.answers_from) if is_new else None
        self._tested = seen

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        times = [
            self._refresh_at,
            self._doubt_at,
            self._spares_at,
            *[one.due for one in self._bindings],
        ]
        if self._filtering is not None and self.is_complete and not self._unreached:
            times.append(self._filtering.due)
        return earliest(*times)

    @property
    def is_asked(self) -> bool:
        """Whether there is any STUN address to ask."""
        return bool(self._bindings)

    @property
    def is_blocked(self) -> bool:
        """Whether UDP seems not to get through at all."""
        return self._doubted or self._unreached

    @property
    def is_complete(self) -> bool:
        """Tell whether every STUN address has answered or been given up."""
        return all(binding.due is None for binding in self._bindings)

    @property
    def reflexive_addresses(self) -> tuple[Address, ...]:
        """The mapped addresses, each once, in the order of the servers."""
        return tuple(dict.fromkeys(self._mapped()))

    def _mapped(self) -> list[Address]:
        """Return the mapped address that each server has told."""
        return [one.mapped for one in self._bindings if one.mapped is not None]

    @property
    def usable_hosts(self) -> tuple[Address, ...]:
        """The host addresses that mean something to a peer."""
        local, on_link = self.is_local, self.on_link
        return tuple(one for one in self.host_addresses if may_be_checked(one, local, on_link))

    def candidates(self, most: int = MAX_HOST_CANDIDATES) -> tuple[Candidate, ...]:
        """
        Return the candidates to tell a peer, the likeliest first.

        :param most: host candidates.
        """
        reflexive = [
            Candidate(CandidateType.SERVER_REFLEXIVE, address)
            for address in self.reflexive_addresses
            if address not in self.host_addresses
        ]
        if self.traits().is_symmetric:
            reflexive = reflexive[:1]  # its port serves nobody, its host is what gets probed
        hosts = [Candidate(CandidateType.HOST, one) for one in self.usable_hosts[:most]]
        return (*self._predicted(), *hosts[:1], *reflexive, *hosts[1:])

    def traits(self) -> NatTraits:
        """Return what is known of our NAT now."""
        mapped = self._mapped()
        if not mapped:
            return NatTraits(Mapping.UNKNOWN)
        filtering = Filtering.UNKNOWN if self._filtering is None else self._filtering.reading
        ports = [port for _, port in mapped]
        preservation = _preservation(ports, {port for _, port in self.host_addresses})
        if set(mapped) <= set(self.host_addresses):
            return NatTraits(Mapping.NONE, 0, filtering, preservation)
        if len(set(mapped)) > 1:
            return NatTraits(Mapping.DEPENDENT, _step(ports), filtering, preservation)
        known = Mapping.ENDPOINT_INDEPENDENT if len(mapped) > 1 else Mapping.UNKNOWN
        return NatTraits(known, 0, filtering, preservation)

    def _predicted(self) -> list[Candidate]:
        step = self.traits().step
        if not step:
            return []
        host, last = self._mapped()[-1]
        ports = [last + step * ahead for ahead in range(1, PREDICTED + 1)]
        kind = CandidateType.SERVER_REFLEXIVE
        return [Candidate(kind, (host, port)) for port in ports if 0 < port < 65536]


def _step(ports: list[int]) -> int:
    """Return by how much each port follows the last one, or 0 where there is no rule."""
    steps = {later - earlier for earlier, later in pairwise(ports)}
    step = steps.pop() if len(steps) == 1 and len(ports) > 2 else 0
    return step if abs(step) <= MAX_STEP else 0


def _preservation(mapped: list[int], local: set[int]) -> Preservation:
    """Tell whether every mapping has the port of the socket behind it."""
    if not local:
        return Preservation.UNKNOWN
    return Preservation.PRESERVED if set(mapped) <= local else Preservation.CHANGED
