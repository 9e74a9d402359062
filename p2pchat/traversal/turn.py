"""
A TURN client (RFC 8656): one allocation at one relay, over one UDP or stream carrier.

::

    ALLOCATING ── Allocate ─▶ 401 ── signed Allocate ─▶ success ──▶ ALLOCATED
    ALLOCATED ── the relay forgot it (437) ─▶ ALLOCATING, at most MAX_FRESH times in a row
    either ── refused, or no answer ─▶ FAILED, with a sentence in ``failure``
    either ── close ─▶ CLOSED, with a Refresh of lifetime 0

Owns the life of the allocation.  Which peers it serves is decided in
:mod:`p2pchat.traversal.turn_permissions`; requests are signed and repeated in
:mod:`p2pchat.traversal.stun_transactions`.  What comes from anybody but the relay must not be
handed in.

A refresh may go unanswered in an outage: MAX_UNANSWERED in a row end the allocation, so that others
are asked for, by another way to the relay where this one is gone.

An Allocate that meets an older allocation of ours (437: we were restarted on the same port) gives
that back and tries again, which works if it had the same username.  The relay's UDP mapping is
kept open by Binding indications (RFC 8656 section 3.1) when no data was sent for KEEPALIVE.  The
credentials are those of the allocation for all its life (section 5): for newer ones make another.
One relayed UDP address, of the family that the relay chooses, which is IPv4 where nothing is asked
(section 7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.traversal.stun_transactions import NO_ANSWER, SUCCESS, Outcome, Transactions
from p2pchat.traversal.turn_permissions import (
    CHANNEL_BIND,
    CREATE_PERMISSION,
    RETRY_AFTER,
    Permissions,
)
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, format_address
from p2pchat.wire.channel_data import MAX_DATA, is_channel_data
from p2pchat.wire.servers import LongTermCredential

ALLOCATE, REFRESH = 0x003, 0x004  # methods, RFC 8656 section 17
UDP = 17 << 24  # REQUESTED-TRANSPORT, RFC 8656 section 18.7

REFRESH_EARLY = 300.0  # seconds before the end of a lifetime; half of a shorter one
DEFAULT_LIFETIME = 600  # seconds, RFC 8656 section 7.2
LIFETIMES = (20.0, 3600.0)  # seconds; what we believe of LIFETIME
KEEPALIVE = 20.0  # seconds; the shortest UDP mappings seen in the field live for 30
MAX_FRESH = 3  # allocations in a row that the relay forgets before it is given up
MAX_UNANSWERED = 2  # refreshes in a row without an answer: the way to the relay is gone
GIVEN_BACK_AFTER = 2.0  # seconds; coturn ends an allocation 1.2 to 1.4 s after its Refresh of 0
MAX_MESSAGE = 65_535  # bytes; a Data indication carries what a peer sends

_MISMATCH = 437  # error code, RFC 8656 section 19: no such allocation, or an older one
_TRY_ALTERNATE = 300  # error code, RFC 8489 section 10
_CREDENTIALS = "doesn't accept our credentials: wrong credentials, or expired ones"
_FAILURES = {  # by error code, RFC 8489 section 14.8 and RFC 8656 section 19
    NO_ANSWER: "doesn't answer",
    401: _CREDENTIALS,
    403: "doesn't serve us",
    437: "keeps an earlier allocation of ours, or forgets each new one",
    438: "keeps asking for another nonce",
    441: _CREDENTIALS,
    442: "relays no UDP",
    486: "allows us no further allocation: the quota is reached",
    508: "has no capacity left",
}
_FATAL = {401, 438, 441}  # to any request: we can't sign what the relay wants


class AllocationState(Enum):
    """State of an allocation."""

    ALLOCATING = "allocating"
    ALLOCATED = "allocated"
    FAILED = "failed"
    CLOSED = "closed"


_LIVE = {AllocationState.ALLOCATING, AllocationState.ALLOCATED}


@attrs.define
class Allocation:
    """
    The machine; a child of whoever has the carrier.

    :ivar server: the relay's address or URL, for people.
    :ivar reliable: the carrier is a stream (see :class:`p2pchat.wire.channel_data.StreamFrames`).
    :ivar send_frame: takes a datagram, or a frame of the stream, that is to go to the relay.
    :ivar trips: the round trips to the relay.
    :ivar failure: the sentence for people when the state is FAILED.
    :ivar relayed: where peers reach us through the relay, while the state is ALLOCATED.
    :ivar mapped: where the relay sees us; over UDP, a server-reflexive address.
    """

    server: Address | str
    credentials: LongTermCredential
    reliable: bool
    _random_bytes: Callable[[int], bytes]
    send_frame: Callable[[bytes], object]
    trips: RoundTrips = attrs.Factory(RoundTrips)
    state: AllocationState = AllocationState.ALLOCATING
    failure: str = ""
    _transactions: Transactions = attrs.field(init=False)
    _permissions: Permissions = attrs.field(init=False)
    _start_at: float | None = None
    _expires_at: float = 0.0
    _unanswered: int = 0
    _refresh_at: float | None = None
    _keepalive_at: float | None = None
    _fresh: int = 0

    def __attrs_post_init__(self) -> None:
        self._transactions = Transactions(
            self.credentials, self.reliable, self._random_bytes, self.send_frame, self.trips
        )
        self._permissions = Permissions(self._transactions, self._random_bytes)

    @property
    def relayed(self) -> Address | None:
        """The relayed address, or ``None``."""
        return self._permissions.relayed

    @property
    def has_heard(self) -> bool:
        """Whether the relay has answered a request."""
        return self._transactions.has_heard

    @property
    def name(self) -> str:
        """The relay, for people."""
        return self.server if isinstance(self.server, str) else format_address(self.server)

    # -- requests of the owner

    def start(self, now: float) -> None:
        """Ask for the allocation."""
        self._start_at = None
        self._transactions.ask(ALLOCATE, {"REQUESTED-TRANSPORT": UDP}, now)

    def refresh(self, now: float) -> None:
        """Refresh now: the network changed, and the relay may not know us any more."""
        if self.state is AllocationState.ALLOCATED:
            self._refresh_at = None
            self._transactions.ask(REFRESH, {}, now)

    def close(self, now: float) -> None:
        """Give the allocation back; it is done when :meth:`get_timer` is ``None``."""
        if self.state is AllocationState.ALLOCATED:
            self._transactions.forget()
            self._give_back(now)
        if self.state in _LIVE:
            self._leave(AllocationState.CLOSED)

    def fail(self, reason: str) -> None:
        """End it, as when the carrier is lost; ``reason`` goes on after "relay NAME "."""
        if self.state in _LIVE:
            self.failure = f"relay {self.name} {reason}"
            self._transactions.forget()
            self._leave(AllocationState.FAILED)

    def _leave(self, state: AllocationState) -> None:
        self.state = state
        self._start_at = self._refresh_at = self._keepalive_at = None
        self._permissions.end()

    def _give_back(self, now: float) -> None:
        self._transactions.ask(REFRESH, {"LIFETIME": 0}, now)

    def permit(self, peers: Iterable[Address], now: float) -> None:
        """Keep permissions for the IP addresses of these peers; for MAX_HOSTS of them at most."""
        if self.state in _LIVE:
            self._permissions.permit(peers, now)

    def forget(self, peers: Iterable[Address]) -> None:
        """Renew the permissions of these IP addresses no more."""
        self._permissions.forget(peers)

    def send(self, data: bytes, peer: Address, now: float, binds: bool = True) -> None:
        """
        Send a datagram to a peer; one without a permission is permitted first.

        :param binds: whether a second one binds a channel.
        :raises LocalProtocolError: longer than a datagram can be.
        """
        if len(data) > MAX_DATA:
            raise LocalProtocolError(f"{len(data)} bytes don't fit a datagram")
        if self.state not in _LIVE:
            self._permissions.dropped += 1
            return
        self._permissions.send(data, peer, now, binds)
        self._rearm_keepalive(now)

    def _rearm_keepalive(self, now: float) -> None:
        if self.state is AllocationState.ALLOCATED and not self.reliable:
            self._keepalive_at = now + KEEPALIVE

    # -- frames of the relay

    def receive(self, data: bytes, now: float) -> list[tuple[bytes, Address]]:
        """
        Take a datagram, or a frame of the stream, that came from the relay.

        Returns relayed datagrams with their peers; what is malformed is dropped.
        """
        try:
            if is_channel_data(data):
                return [self._permissions.receive_channel_data(data)]
            message = stun.decode(data, most=MAX_MESSAGE)
            if message.message_class is stun.MessageClass.INDICATION:
                return [self._permissions.receive_indication(message)]
        except RemoteProtocolError:
            return []
        self._receive_response(message, now)
        return []

    def _receive_response(self, message: stun.Message, now: float) -> None:
        is_request = message.message_class is stun.MessageClass.REQUEST
        answer = None if is_request else self._transactions.receive(message, now)
        if answer is not None:
            self._answered(answer, now)

    def _answered(self, answer: Outcome, now: float) -> None:
        method = answer.method
        if self.state not in _LIVE:
            if (method, answer.code) == (ALLOCATE, SUCCESS):  # granted after all
                self._give_back(now)
        elif answer.asked.get("LIFETIME") == 0:
            self._start_at = now + GIVEN_BACK_AFTER  # an older allocation was in the way
        elif answer.code in _FATAL:
            self._fail_for(answer)
        elif method == ALLOCATE:
            self._allocate_answered(answer, now)
        elif answer.code == _MISMATCH:
            self._allocate_afresh(now)
        elif method == REFRESH:
            self._refresh_answered(answer, now)
        elif method == CREATE_PERMISSION:
            self._permissions.created(answer, now)
        elif method == CHANNEL_BIND:
            self._permissions.bound(answer, now)

    def _fail_for(self, answer: Outcome) -> None:
        reason = _FAILURES.get(answer.code, f"refuses an allocation (error {answer.code})")
        if answer.code == _TRY_ALTERNATE:
            other = answer.attributes.get("ALTERNATE-SERVER")
            where = f", {format_address(other)}" if other else ""
            reason = f"sends us to another server{where}, where we don't follow"
        self.fail(reason)

    def _allocate_answered(self, answer: Outcome, now: float) -> None:
        relayed = answer.attributes.get("XOR-RELAYED-ADDRESS")
        if answer.code == _MISMATCH and self._fresh < MAX_FRESH:
            self._fresh += 1
            self._give_back(now)
        elif answer.code != SUCCESS:
            self._fail_for(answer)
        elif relayed is None:
            self.fail("names no relayed address")
        else:
            self.state = AllocationState.ALLOCATED
            self._schedule(answer, now)
            self._rearm_keepalive(now)
            self._permissions.begin(relayed, now)

    def _schedule(self, answer: Outcome, now: float) -> None:
        shortest, longest = LIFETIMES
        said = float(answer.attributes.get("LIFETIME", DEFAULT_LIFETIME))
        lifetime = min(max(said, shortest), longest)
        self._expires_at = now + lifetime
        self._refresh_at = now + max(lifetime / 2, lifetime - REFRESH_EARLY)

    def _refresh_answered(self, answer: Outcome, now: float) -> None:
        self._unanswered = self._unanswered + 1 if answer.code == NO_ANSWER else 0
        if answer.code == SUCCESS:
            self._fresh = 0
            self._schedule(answer, now)
        elif now < self._expires_at and self._unanswered < MAX_UNANSWERED:
            self._refresh_at = now + RETRY_AFTER
        else:
            self._fail_for(answer)

    def _allocate_afresh(self, now: float) -> None:
        if self._fresh >= MAX_FRESH:
            self.fail(_FAILURES[_MISMATCH])
            return
        self._fresh += 1
        self.state = AllocationState.ALLOCATING
        self._refresh_at = self._keepalive_at = None
        self._transactions.forget()
        self._permissions.pause()
        self.start(now)

    # -- time

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for answer in self._transactions.handle_timer(now):
            self._answered(answer, now)
        if self._start_at is not None and now >= self._start_at:
            self.start(now)
        if self._refresh_at is not None and now >= self._refresh_at:
            self.refresh(now)
        if self._keepalive_at is not None and now >= self._keepalive_at:
            kind, identifier = stun.MessageClass.INDICATION, self._random_bytes(12)
            self.send_frame(stun.encode(stun.Message(kind, identifier)))
            self._rearm_keepalive(now)
        self._permissions.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        own = (self._start_at, self._refresh_at, self._keepalive_at)
        return earliest(self._transactions.get_timer(), self._permissions.get_timer(), *own)

    def story(self) -> list[str]:
        """Return what was granted and what was refused while it is there, a sentence each."""
        return [] if self.relayed is None else self._permissions.story()
