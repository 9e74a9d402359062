"""
A reading of our NAT by RFC 4787's two axes, mapping and filtering, from a socket of its own.

The tests are those of RFC 5780 sections 4.3 and 4.4, filtering first: a request to the server's
other address would open the filter that is being tested.  :func:`discover` decides what to ask,
:class:`BindingClient` asks.  Where the server has one address only (no OTHER-ADDRESS), its second
port is taken to be the next one, and what can't be told isn't.

Deviation: RFC 8489 section 6.2.1 retransmits for 39.5 seconds.  Most tests end by silence, and a
person waits, so that three requests in 1.5 seconds have to do, or in some round trips where those
of the first answer were longer; that one has FIRST_PATIENCE.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater

from p2pchat.errors import RemoteProtocolError
from p2pchat.runtime import Runtime, cancel
from p2pchat.traversal.nat import Filtering, Mapping
from p2pchat.traversal.reachability import may_serve
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, format_address, scope
from p2pchat.wire.stun import CHANGE_IP, CHANGE_PORT, Message, MessageClass

RETRANSMISSIONS = (0.0, 0.25, 0.75)  # seconds after the first request of a test
MOST_ASKED = 4  # addresses of which one that answers is chosen
ATTEMPT_DELAY = 0.25  # seconds until the next one is asked, too (RFC 8305 section 5)
PATIENCE = 1.5  # seconds after which a test counts as unanswered, where round trips are short
FIRST_RETRANSMISSIONS = (*RETRANSMISSIONS, 1.75, 3.75)
FIRST_PATIENCE = 8.0  # seconds for the first answer of a server, which may be far


@attrs.frozen
class Behaviour:
    """
    A reading in the terms of RFC 4787.

    :ivar address: our server-reflexive address, or "".
    :ivar detail: why something is unknown, or "".
    :ivar round_trip: seconds of a round trip to the server, 0 where none answered.
    """

    mapping: Mapping = Mapping.UNKNOWN
    filtering: Filtering = Filtering.UNKNOWN
    address: str = ""
    detail: str = ""
    round_trip: float = 0.0


@attrs.frozen
class BindingTest:
    """A Binding request to send; ``change`` holds the flags of CHANGE-REQUEST."""

    server: Address
    change: int = 0


@attrs.frozen
class Response:
    """A Binding response, or the server's refusal of a request."""

    source: Address
    mapped: Address | None = None
    other: Address | None = None


Ask = Callable[[BindingTest], Awaitable[Response | None]]


async def discover(server: Address, ask: Ask, is_ours: Callable[[Address], bool]) -> Behaviour:
    """
    Run all tests.

    :param ask: sends a request; awaits the response, or ``None`` for silence.
    :param is_ours: tells whether an address is the socket's own.
    """
    first = await ask(BindingTest(server))
    if first is None or first.mapped is None:
        return Behaviour(detail=f"no answer from the STUN server at {format_address(server)}")
    other = first.other
    if other is not None and not may_serve(other, scope(server[0])):
        other = None  # a server chooses where we send to only as a registry does
    filtering = await _filtering(server, other, ask)
    mapping = await _mapping(server, first.mapped, other, ask)
    if is_ours(first.mapped):
        mapping = Mapping.NONE
    lone = other is None or other[0] == server[0]
    detail = "the STUN server has one address only" if lone else ""
    return Behaviour(mapping, filtering, format_address(first.mapped), detail)


async def _filtering(server: Address, other: Address | None, ask: Ask) -> Filtering:
    if other is None:
        return Filtering.UNKNOWN
    tested = [(CHANGE_PORT, Filtering.PORT_INDEPENDENT)]
    if other[0] != server[0]:
        tested = [
            (CHANGE_IP | CHANGE_PORT, Filtering.ENDPOINT_INDEPENDENT),
            (CHANGE_PORT, Filtering.ADDRESS_DEPENDENT),
        ]
    for change, behaviour in tested:
        answer = await ask(BindingTest(server, change))
        if answer is not None:
            # From where we sent to: the server refuses, or ignores, the change.
            return Filtering.UNKNOWN if answer.source == server else behaviour
    return Filtering.ADDRESS_AND_PORT_DEPENDENT


async def _mapping(server: Address, mapped: Address, other: Address | None, ask: Ask) -> Mapping:
    second_port = other[1] if other is not None else server[1] + 1
    by_port = await ask(BindingTest((server[0], second_port)))
    if by_port is None:
        return Mapping.UNKNOWN
    if by_port.mapped != mapped:
        return Mapping.ADDRESS_AND_PORT_DEPENDENT
    if other is None or other[0] == server[0]:
        return Mapping.PORT_INDEPENDENT
    by_address = await ask(BindingTest((other[0], server[1])))
    if by_address is None:
        return Mapping.PORT_INDEPENDENT
    if by_address.mapped != mapped:
        return Mapping.ADDRESS_DEPENDENT
    return Mapping.ENDPOINT_INDEPENDENT


class BindingClient(DatagramProtocol):
    """
    A socket that asks one server one question at a time.

    :ivar trips: the round trips to it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._transaction_id = b""
        self._answer: Deferred[Response | None] = Deferred()
        self._timers: list[IDelayedCall] = []
        self._asked_at = 0.0
        self._has_answered = False
        self.trips = RoundTrips()

    def ask(self, test: BindingTest) -> Deferred[Response | None]:
        """Send a request, and again; a Deferred of the response, or of None in the end."""
        self._transaction_id = self._runtime.random_bytes(12)
        self._answer = Deferred(lambda _answer: self._stop())
        change = {"CHANGE_REQUEST": test.change} if test.change else {}
        data = stun.encode(stun.request(self._transaction_id, **change))
        later, is_first = self._runtime.clock.callLater, not self._has_answered
        delays = FIRST_RETRANSMISSIONS if is_first else RETRANSMISSIONS
        self._timers = [later(delay, self._send, data, test.server) for delay in delays]
        patience = FIRST_PATIENCE if is_first else self.trips.limit(PATIENCE)
        self._timers.append(later(patience, self._end, None))
        self._asked_at = self._runtime.clock.seconds()
        return self._answer

    def datagramReceived(self, data: bytes, addr: Address) -> None:
        """Take a response to the present request; anything else is ignored."""
        try:
            message = stun.decode(data)
        except RemoteProtocolError:
            return
        if message.transaction_id == self._transaction_id:
            self.trips.measured(self._runtime.clock.seconds() - self._asked_at)
            self._has_answered = True
            self._end(_response(message, (addr[0], addr[1])))

    def _end(self, response: Response | None) -> None:
        self._stop()
        self._answer.callback(response)

    def _stop(self) -> None:
        self._transaction_id = b""
        for timer in self._timers:
            cancel(timer)

    def _send(self, data: bytes, server: Address) -> None:
        # A network that refuses to send is as good as one that doesn't answer.
        with contextlib.suppress(OSError):
            cast(Any, self.transport).write(data, server)

    def is_ours(self, address: Address) -> bool:
        """Tell whether an address is this socket's own."""
        ours: Any = cast(Any, self.transport).getHost()
        return address[1] == ours.port and address[0] in self._runtime.host_addresses()


def _response(message: Message, source: Address) -> Response | None:
    other = message.attributes.get("OTHER-ADDRESS")
    mapped = stun.mapped_address(message) if message.message_class is MessageClass.SUCCESS else None
    return Response(source, mapped, None if other is None else (other[0], other[1]))


@inlineCallbacks
def first_answering(runtime: Runtime, servers: Sequence[Address]) -> Any:
    """
    Return a Deferred of the first of these STUN addresses that answers; of the first, if none does.

    A name may have several addresses, and any of them may be dead: MOST_ASKED are asked, at one
    port each, side by side.
    """
    hosts = {server[0]: server for server in reversed(servers)}
    asked = [server for server in servers if hosts[server[0]] == server][:MOST_ASKED]
    if len(asked) == 1:
        return servers[0]
    found: Deferred[Address] = Deferred()
    clients = [BindingClient(runtime) for _ in asked]
    ports = [runtime.reactor.listenUDP(0, client) for client in clients]
    answers = [
        deferLater(runtime.clock, number * ATTEMPT_DELAY, client.ask, BindingTest(server))
        for number, (client, server) in enumerate(zip(clients, asked, strict=True))
    ]
    for answer, server in zip(answers, asked, strict=True):
        answer.addCallback(_tell_first, server, found)
    none = DeferredList(answers, consumeErrors=True)
    none.addCallback(_tell_first, servers[0], found)
    first = yield found
    for answer in answers:
        answer.cancel()
    for port in ports:
        port.stopListening()
    return first


def _tell_first(response: object, server: Address, found: Deferred[Address]) -> None:
    if response is not None and not found.called:
        found.callback(server)


@inlineCallbacks
def read_behaviour(runtime: Runtime, server: Address) -> Any:
    """
    Read our NAT from a STUN server with an IPv4 address; a Deferred of :class:`Behaviour`.

    It takes some 15 seconds at most where round trips are short, and never fails: what went wrong
    is the ``detail`` of an unknown behaviour.
    """
    client = BindingClient(runtime)
    port = runtime.reactor.listenUDP(0, client)
    behaviour = yield Deferred.fromCoroutine(discover(server, client.ask, client.is_ours))
    port.stopListening()
    return attrs.evolve(behaviour, round_trip=client.trips.smoothed)
