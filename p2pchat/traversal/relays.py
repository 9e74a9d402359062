"""
Our allocations on TURN relays (RFC 8656), made when a call needs them and given back afterwards.

Allocations over UDP are asked for at once; those over TCP and TLS follow STAGGER later if there is
none by then, or at once where UDP is blocked.  Of a relay with several addresses the first one of
each family is asked, and the next ones each STAGGER later while nothing is granted: any of them may
be dead.  The first one granted is used, the others are closed.  While a relay is wanted and none
grants anything, all are asked again every RETRY_INTERVAL, whatever their answers: so whoever named
them can't tell from the time of our return which of them answered, and how.  Where the registry is
far that takes RETRY_TRIPS round trips to it.  What gets answers by then, and needs more of them,
goes on meanwhile: its relay alone can tell.

Owns the bases ``relay/N`` and ``stream/N``: what is sent from a relay base is wrapped for its
relay, what comes from a relay is unwrapped.  The adapter opens and closes the streams, as
:class:`StreamChange` says.  Owns also whose IP addresses have permissions: those of each attempt,
until it is forgotten.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

import attrs

from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.reachability import is_public_ipv4
from p2pchat.traversal.report import RelayReport, in_ms, milliseconds
from p2pchat.traversal.round_trips import CONNECTING, RoundTrips, bounded
from p2pchat.traversal.routes import CHAT_SOCKET, RELAYS, STREAMS, Datagram, Route
from p2pchat.traversal.turn import Allocation, AllocationState
from p2pchat.traversal.turn_permissions import MAX_HOSTS
from p2pchat.wire.addresses import Address, Family, family, format_address
from p2pchat.wire.documents import Candidate, CandidateType
from p2pchat.wire.servers import LongTermCredential, RelayServer, Transport

STAGGER = 0.3  # seconds that UDP has for itself, and each address before the next one
RETRY_INTERVAL = 12.0  # seconds; connecting and allocating over a stream take less, where ...
RETRY_TRIPS, LONGEST_RETRY = 8, 60.0  # ... round trips are short; TLS and a challenge take six
CONNECT_TIMEOUT = 10.0  # seconds for a connection to a relay; others are asked beside it
RETRY_PAUSE = 5.0  # seconds after an allocation that was there was lost
KEPT_HOSTS = 32  # of the IP addresses that an allocation permits, for known peers
MAX_REMEMBERED = 16  # allocations that have ended and are still reported
NOWHERE: Address = ("0.0.0.0", 0)  # the destination of what goes down a stream


@attrs.frozen
class StreamChange:
    """
    A stream to a relay is to be opened, or, where ``server`` is ``None``, closed.

    :ivar patience: seconds that it may take to be there.
    """

    base: str
    server: RelayServer | None
    address: Address | None = None
    patience: float = CONNECT_TIMEOUT


@attrs.frozen
class BasesChanged:
    """The relay bases that data can be sent from changed, and with them our candidates."""


RelaysEvent = Datagram | StreamChange | BasesChanged


@attrs.define(eq=False)
class _Relayed:
    """An allocation, the base that it makes, the one that carries it, and times for reports."""

    base: str
    carrier: str
    server: RelayServer
    asked: Address
    allocation: Allocation
    asked_at: float
    connected_at: float | None = None
    allocated_at: float | None = None
    address: Address | None = None
    ended_at: float | None = None

    @property
    def progresses(self) -> bool:
        """Whether the relay has answered, and may grant something yet."""
        is_asking = self.allocation.state is AllocationState.ALLOCATING
        return is_asking and (self.connected_at is not None or self.allocation.has_heard)

    def note(self, now: float) -> None:
        """Keep when it was granted first."""
        if self.allocated_at is None and self.allocation.state is AllocationState.ALLOCATED:
            self.allocated_at, self.address = now, self.allocation.relayed

    def report(self, began: float) -> RelayReport:
        """Return its report, with milliseconds since ``began``."""
        return RelayReport(
            str(self.server),
            in_ms(self.asked_at - began),
            milliseconds(self.allocated_at, began),
            "" if self.address is None else format_address(self.address),
            self.allocation.failure,
            () if self.allocation.failure else self._detail(),
        )

    def _detail(self) -> tuple[str, ...]:
        if self.allocated_at is None:
            return ("no answer yet" if self.ended_at is None else "given up before it answered",)
        return () if self.ended_at is not None else tuple(self.allocation.story())


@attrs.define
class Relays:
    """
    The relays of one agent.

    :ivar is_wanted: whether somebody needs one.
    :ivar outbox: what its parent is to take, in order.
    :ivar registry_rtt: returns the seconds of a round trip to the registry, 0 while unknown.
    """

    _random_bytes: Callable[[int], bytes]
    is_wanted: bool = False
    outbox: deque[RelaysEvent] = attrs.Factory(deque)
    registry_rtt: Callable[[], float] = lambda: 0.0
    _reachable: frozenset[Family] = frozenset(Family)
    _servers: list[tuple[RelayServer, Address]] = attrs.Factory(list)
    _credentials: LongTermCredential | None = None
    _running: dict[str, _Relayed] = attrs.Factory(dict)  # by relay base
    _closing: list[_Relayed] = attrs.Factory(list)  # being given back
    _number: int = 0
    _asks: deque[tuple[float, RelayServer, Address]] = attrs.Factory(deque)  # to come, and when
    _wants_stream: bool = False  # beside one over UDP
    _retry_at: float | None = None
    _announced: tuple[Candidate, ...] = ()
    _owners: dict[str, set[str]] = attrs.Factory(dict)  # of each IP address with a permission
    _trips: dict[str, RoundTrips] = attrs.Factory(dict)  # by the relay's host
    _past: deque[_Relayed] = attrs.Factory(lambda: deque(maxlen=MAX_REMEMBERED))

    def configure(
        self, servers: Iterable[tuple[RelayServer, Address]], credentials: LongTermCredential
    ) -> None:
        """
        Use these servers from now on; allocations that there are go on.

        :param servers: each once for each of its addresses.
        """
        self._servers, self._credentials = list(servers), credentials
        hosts = dict.fromkeys(host for _, (host, _) in self._servers)
        self._trips = {host: self._trips_to(host) for host in hosts}

    @property
    def round_trip(self) -> float:
        """The seconds of a round trip to the farthest relay that has answered, 0 for none."""
        return max((one.smoothed for one in self._trips.values()), default=0.0)

    def _trips_to(self, host: str) -> RoundTrips:
        return self._trips.setdefault(host, RoundTrips(self.registry_rtt))

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs of the relays that can be asked."""
        return tuple(dict.fromkeys(str(server) for server, _ in self._servers))

    def want(self, now: float, blocked: bool, families: frozenset[Family]) -> None:
        """
        Ask for an allocation, unless one is there or under way.

        :param blocked: whether UDP seems not to get through.
        :param families: those in which this machine has an address.
        """
        if self.is_wanted or self._credentials is None:
            return
        self.is_wanted, self._reachable = True, families
        wanted = RETRY_TRIPS * self.registry_rtt()
        self._retry_at = now + bounded(RETRY_INTERVAL, wanted, LONGEST_RETRY)
        self._asks = deque(sorted(self._planned(now, blocked), key=lambda one: one[0]))
        self.handle_timer(now)

    def want_stream(self, now: float) -> None:
        """Ask for one over a stream too: UDP may not carry what is to be sent."""
        if not self.is_wanted or self._wants_stream:
            return
        self._wants_stream = True
        if all(one.carrier == CHAT_SOCKET for one in self._running.values()):
            planned = self._planned(now, blocked=True)
            streams = [one for one in planned if one[1].transport is not Transport.UDP]
            self._asks = deque(sorted(streams, key=lambda one: one[0]))
        self.handle_timer(now)

    def _planned(self, now: float, blocked: bool) -> Iterator[tuple[float, RelayServer, Address]]:
        """Return whom to ask, and when."""
        before: Counter[tuple[RelayServer, Family]] = Counter()
        asked = [(one.server, one.asked) for one in self._running.values()]
        for server, address in self._servers:
            if (server, address) in asked:
                continue
            its_family = family(address[0])
            if its_family in self._reachable:
                is_first = blocked or server.transport is Transport.UDP
                wait = STAGGER * (before[server, its_family] + (not is_first))
                before[server, its_family] += 1
                yield now + wait, server, address

    def _begin(self, server: RelayServer, address: Address, now: float) -> None:
        assert self._credentials is not None
        self._number += 1
        trips = self._trips_to(address[0])
        is_udp = server.transport is Transport.UDP
        to, carrier = (address, CHAT_SOCKET) if is_udp else (NOWHERE, f"{STREAMS}{self._number}")
        allocation = Allocation(
            address if is_udp else str(server),
            self._credentials,
            not is_udp,
            self._random_bytes,
            lambda frame: self.outbox.append(Datagram(frame, to, None, carrier)),
            trips,
        )
        base = f"{RELAYS}{self._number}"
        self._running[base] = _Relayed(base, carrier, server, address, allocation, now)
        allocation.permit([(host, 0) for host in self._owners], now)
        if is_udp:
            allocation.start(now)
        else:
            patience = trips.limit(CONNECT_TIMEOUT, trips=CONNECTING)
            self.outbox.append(StreamChange(carrier, server, address, patience))

    def release(self, now: float) -> None:
        """Give every allocation back."""
        self.is_wanted, self._retry_at = False, None
        self._asks.clear()
        self._wants_stream = False
        for relayed in list(self._running.values()):
            self._close(relayed, now)
        self._update(now)

    @property
    def owes_any(self) -> bool:
        """Whether a relay hasn't confirmed yet that an allocation is given back."""
        return bool(self._closing)

    def _close(self, relayed: _Relayed, now: float) -> None:
        relayed.ended_at = now
        self._past.append(relayed)
        relayed.allocation.close(now)
        del self._running[relayed.base]
        self._closing.append(relayed)

    def _forget_closed(self) -> None:
        """Forget closed allocations for which nothing is due: they are given back, or can't be."""
        for relayed in [one for one in self._closing if one.allocation.get_timer() is None]:
            self._closing.remove(relayed)
            if relayed.carrier != CHAT_SOCKET:
                self.outbox.append(StreamChange(relayed.carrier, None))

    def _all(self) -> list[_Relayed]:
        return [*self._running.values(), *self._closing]

    # -- the streams

    def stream_connected(self, carrier: str, now: float) -> None:
        """A stream is there: allocate over it."""
        for relayed in self._running.values():
            if relayed.carrier == carrier:
                relayed.connected_at = now
                handshakes = 2 if relayed.server.transport is Transport.TLS else 1
                relayed.allocation.trips.measured((now - relayed.asked_at) / handshakes)
                relayed.allocation.start(now)

    def stream_lost(self, carrier: str, reason: str, now: float) -> None:
        """A stream couldn't be made, or ended."""
        for relayed in self._all():
            if relayed.carrier == carrier:
                relayed.allocation.fail(reason)
        self._closing = [one for one in self._closing if one.carrier != carrier]
        self.handle_timer(now)

    # -- data

    def receive(
        self, carrier: str, data: bytes, source: Address, now: float
    ) -> list[tuple[bytes, Route]] | None:
        """
        Unwrap what came from a relay; ``None`` means that it came from somewhere else.

        :param carrier: the base that it came in on.
        """
        for relayed in self._all():
            from_relay = carrier != CHAT_SOCKET or relayed.allocation.server == source
            if relayed.carrier == carrier and from_relay:
                got = relayed.allocation.receive(data, now)
                if not got:  # an answer of the relay itself: the allocation may be another
                    self._update(now)
                return [(payload, Route(peer, relayed.base)) for payload, peer in got]
        return None

    def send(self, datagram: Datagram, now: float) -> None:
        """Wrap a datagram for the relay that its base names."""
        relayed = self._running.get(datagram.base)
        if relayed is not None:
            relayed.allocation.send(datagram.data, datagram.destination, now)

    def send_check(self, datagram: Datagram, owner: str, has_priority: bool, now: float) -> None:
        """Wrap a check or an answer; its destination is permitted until the owner is forgotten."""
        relayed, to = self._running.get(datagram.base), datagram.destination
        if relayed is not None and self._own(owner, to[0], has_priority):
            relayed.allocation.send(datagram.data, to, now, binds=False)

    def permit(
        self, addresses: Iterable[Address], now: float, owner: str = "", has_priority: bool = True
    ) -> None:
        """
        Let these peers send to us over the relay; those that it can't reach are left out.

        :param owner: the attempt that wants them.
        :param has_priority: whether it has priority; others leave KEPT_HOSTS to those.
        """
        public = [address for address in addresses if is_public_ipv4(address)]
        wanted = [address for address in public if self._own(owner, address[0], has_priority)]
        for relayed in self._running.values():
            relayed.allocation.permit(wanted, now)

    def _own(self, owner: str, host: str, has_priority: bool) -> bool:
        """Let a host have a permission while its owner is there; tells whether there is room."""
        most = MAX_HOSTS if has_priority else MAX_HOSTS - KEPT_HOSTS
        if host not in self._owners and len(self._owners) >= most:
            return False
        self._owners.setdefault(host, set()).add(owner)
        return True

    def forget(self, owner: str) -> None:
        """Renew no permissions that only this owner wanted."""
        for owners in self._owners.values():
            owners.discard(owner)
        unwanted = [(host, 0) for host, owners in self._owners.items() if not owners]
        for host, _ in unwanted:
            del self._owners[host]
        for relayed in self._running.values():
            relayed.allocation.forget(unwanted)

    def refresh(self, now: float) -> None:
        """Ask the relays at once whether they still know us: the network has changed."""
        for relayed in self._running.values():
            relayed.allocation.refresh(now)

    def _allocated(self) -> list[_Relayed]:
        running = self._running.values()
        return [one for one in running if one.allocation.state is AllocationState.ALLOCATED]

    def is_serving(self, address: Address) -> bool:
        """Tell whether a relay at this address granted us an allocation that we use or close."""
        for one in self._all():  # any() with a generator takes longer, and each datagram asks
            if one.allocation.server == address and one.allocated_at is not None:
                return True
        return False

    @property
    def bases(self) -> tuple[str, ...]:
        """The bases that data can be sent from now."""
        return tuple(relayed.base for relayed in self._allocated())

    def candidates(self) -> tuple[Candidate, ...]:
        """Return our relayed candidates."""
        found = (relayed.allocation.relayed for relayed in self._allocated())
        kind = CandidateType.RELAYED
        return tuple(Candidate(kind, address) for address in found if address is not None)

    # -- time

    def handle_timer(self, now: float) -> None:
        """Do what is due for each allocation, and ask for those whose time has come."""
        if self._has_enough():
            self._asks.clear()
        while self._asks and now >= self._asks[0][0]:
            _, server, address = self._asks.popleft()
            self._begin(server, address, now)
        if self._retry_at is not None and now >= self._retry_at:
            self._ask_again(now)
            return
        for relayed in self._all():
            relayed.allocation.handle_timer(now)
        self._update(now)

    def _ask_again(self, now: float) -> None:
        """Close what was granted nothing and gets no answers, and ask all others anew."""
        for relayed in list(self._running.values()):
            if not relayed.progresses:
                self._close(relayed, now)
        self.is_wanted = False
        self.want(now, True, self._reachable)

    def _update(self, now: float) -> None:
        """Follow the states of the allocations; tell the parent if our bases changed."""
        self._close_useless(now)
        self._forget_closed()
        if self._announced != self.candidates():
            self._announced = self.candidates()
            self.outbox.append(BasesChanged())

    def _close_useless(self, now: float) -> None:
        """Close what failed, keep the first that was granted, retry where nothing is left."""
        for relayed in self._running.values():
            relayed.note(now)
        allocated = self._allocated()
        for relayed in list(self._running.values()):
            failed = relayed.allocation.state is AllocationState.FAILED
            if failed or self._is_useless(relayed, allocated):
                self._close(relayed, now)
        if allocated:
            self._retry_at = None
        idle = not self._running and not self._asks
        if self.is_wanted and idle and self._retry_at is None:
            self._retry_at = now + RETRY_PAUSE

    def _has_enough(self) -> bool:
        """Tell whether nobody else need be asked."""
        streams = [one for one in self._allocated() if one.carrier != CHAT_SOCKET]
        return bool(streams if self._wants_stream else self._allocated())

    def _is_useless(self, relayed: _Relayed, allocated: list[_Relayed]) -> bool:
        """Tell whether another one does for it: over UDP or a stream, where both are wanted."""
        is_udp = relayed.carrier == CHAT_SOCKET
        if self._wants_stream:
            allocated = [one for one in allocated if (one.carrier == CHAT_SOCKET) is is_udp]
        return bool(allocated) and relayed is not allocated[0]

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        found = earliest(self._asks[0][0] if self._asks else None, self._retry_at)
        for relayed in self._all():
            found = earliest(found, relayed.allocation.get_timer())
        return found

    def reports(self, began: float) -> tuple[RelayReport, ...]:
        """
        Return the reports of the allocations that there were since a time.

        :param began: from when on, and what milliseconds count from.
        """
        past = (one for one in self._past if one.ended_at is not None and one.ended_at >= began)
        return tuple(one.report(began) for one in (*past, *self._running.values()))
