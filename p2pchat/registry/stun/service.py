"""
The STUN service: UDP sockets around :mod:`p2pchat.registry.stun.binding_server`.

One address has two sockets, on neighbouring ports; two addresses have four.  What isn't a
Binding request is counted and dropped, and so is what comes from one of our own sockets:
somebody forged it to set them on each other.  A source that asks too often gets silence: if the
source was forged, its owner gets no more than that either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from p2pchat.errors import RemoteProtocolError
from p2pchat.registry.admission.rates import STUN, Rate, TokenBuckets
from p2pchat.registry.ports import cannot_listen
from p2pchat.registry.stun.binding_server import BindingServer, ServerSocket
from p2pchat.runtime import Runtime, listen_udp
from p2pchat.wire.addresses import Address

_log = Logger()


class StunSocket(DatagramProtocol):
    """One socket."""

    noisy = False

    def __init__(self, service: StunService, socket: ServerSocket) -> None:
        self._service = service
        self._socket = socket

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        """Have a request answered."""
        self._service.receive(data, (addr[0], addr[1]), self._socket)  # of IPv6 there is more


@attrs.define(eq=False, slots=False)
class StunService(Service):
    """
    All the sockets.

    :ivar count: counts a datagram as answered, refused (420), unanswered, malformed, looped,
        limited or unsent.
    :ivar rate: requests that one address is answered.
    :ivar is_optional: go without a port that can't be had, as IPv6 on a machine without it.
    """

    runtime: Runtime
    server: BindingServer
    count: Callable[[str], None]
    rate: Rate = STUN
    is_optional: bool = False
    ports: dict[ServerSocket, IListeningPort] = attrs.field(init=False, factory=dict)
    _buckets: TokenBuckets = attrs.field(init=False)
    _own: frozenset[Address] = attrs.field(init=False, default=frozenset())

    def __attrs_post_init__(self) -> None:
        self._buckets = TokenBuckets(self.rate)

    def privilegedStartService(self) -> None:
        """
        Bind the sockets.

        :raises ConfigurationError: one of the ports can't be had.
        """
        self._own = self._own_addresses()
        for socket in self.server.sockets():
            port = self.server.first_port + socket.port
            interface = self.server.addresses[socket.address]
            protocol = StunSocket(self, socket)
            try:
                self.ports[socket] = listen_udp(self.runtime.reactor, port, protocol, interface)
            except CannotListenError as error:
                self._refused(socket, error)

    def _refused(self, socket: ServerSocket, error: CannotListenError) -> None:
        interface, port = self.server.transport_address(socket)
        refusal = cannot_listen("UDP", port, self.server.addresses[socket.address], error, "--stun")
        if not self.is_optional:
            raise refusal from error
        _log.info("No STUN over {interface}: {reason}", interface=interface, reason=str(refusal))

    def _own_addresses(self) -> frozenset[Address]:
        hosts = [host for host in self.server.addresses if host] or self.runtime.host_addresses()
        first = self.server.first_port
        return frozenset((host, port) for host in hosts for port in (first, first + 1))

    def receive(self, data: bytes, source: Address, received_on: ServerSocket) -> None:
        """Count a datagram, and answer a request from the right socket."""
        if objection := self._objection(source):
            self.count(objection)
            return
        try:
            answer = self.server.answer(data, source, received_on)
        except RemoteProtocolError:
            self.count("malformed")
            return
        if answer is None:
            self.count("unanswered")
            return
        self.count("refused" if answer.is_error else "answered")
        try:
            self.ports[answer.sent_from].write(answer.data, answer.destination)  # type: ignore[attr-defined]
        except OSError:  # the source can't be routed to, or a full buffer: the client asks again
            self.count("unsent")

    def _objection(self, source: Address) -> str:
        """Return why a source is dropped unread, or ""."""
        if source in self._own:
            return "looped"
        return "limited" if self._buckets.take(source[0], self.runtime.clock.seconds()) else ""

    def stopService(self) -> Deferred[Any]:
        """Close the sockets."""
        super().stopService()
        closing = [maybeDeferred(port.stopListening) for port in self.ports.values()]
        self.ports.clear()
        return DeferredList(closing)
