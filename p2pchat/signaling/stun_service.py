"""
The STUN service: UDP sockets around :mod:`p2pchat.signaling.stun_answers`.

One address has two sockets, on neighbouring ports; two addresses have four.  What isn't a
Binding request is counted and dropped, and so is what comes from one of our own sockets:
somebody forged it to set them on each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol

from p2pchat.errors import RemoteProtocolError
from p2pchat.runtime import Runtime
from p2pchat.signaling.ports import cannot_listen
from p2pchat.signaling.stun_answers import Answer, BindingServer, Origin
from p2pchat.wire.addresses import Address

Send = Callable[[Answer], None]


class StunSocket(DatagramProtocol):
    """One socket: counts what comes, has it answered, sends the answer from the right socket."""

    noisy = False

    def __init__(
        self,
        server: BindingServer,
        origin: Origin,
        send: Send,
        own: frozenset[Address],
        counts: Counter[str],
    ) -> None:
        self._server = server
        self._origin = origin
        self._send = send
        self._own = own
        self._counts = counts

    def datagramReceived(self, data: bytes, addr: Address) -> None:
        """Answer a request."""
        if addr in self._own:
            self._counts["looped"] += 1
            return
        try:
            answer = self._server.answer(data, addr, self._origin)
        except RemoteProtocolError:
            self._counts["malformed"] += 1
            return
        if answer is None:
            self._counts["unanswered"] += 1
            return
        self._counts["refused" if answer.is_error else "answered"] += 1
        self._send(answer)


@attrs.define(eq=False, slots=False)
class StunService(Service):
    """
    All the sockets.

    :ivar counts: answered, refused (420), unanswered, malformed, looped, unsent.
    """

    runtime: Runtime
    server: BindingServer
    counts: Counter[str]
    ports: dict[Origin, IListeningPort] = attrs.field(init=False, factory=dict)

    def privilegedStartService(self) -> None:
        """
        Bind the sockets.

        :raises ConfigurationError: one of the ports can't be had.
        """
        own = self._own_addresses()
        for origin in self.server.origins():
            socket = StunSocket(self.server, origin, self._send, own, self.counts)
            self.ports[origin] = self._listen(origin, socket)

    def _listen(self, origin: Origin, socket: StunSocket) -> IListeningPort:
        port = self.server.first_port + origin.port
        interface = self.server.addresses[origin.address]
        try:
            listening: IListeningPort = self.runtime.reactor.listenUDP(
                port, socket, interface=interface
            )
        except CannotListenError as error:
            raise cannot_listen("UDP", port, interface, error, "--stun") from error
        return listening

    def _own_addresses(self) -> frozenset[Address]:
        hosts = [host for host in self.server.addresses if host] or self.runtime.host_addresses()
        first = self.server.first_port
        return frozenset((host, port) for host in hosts for port in (first, first + 1))

    def _send(self, answer: Answer) -> None:
        try:
            self.ports[answer.origin].write(answer.data, answer.destination)  # type: ignore[attr-defined]
        except OSError:  # the source can't be routed to, or a full buffer: the client asks again
            self.counts["unsent"] += 1

    def stopService(self) -> Deferred[Any]:
        """Close the sockets."""
        super().stopService()
        closing = [maybeDeferred(port.stopListening) for port in self.ports.values()]
        self.ports.clear()
        return DeferredList(closing)
