"""
The UDP sockets of a peer: the chat socket, and for a while the many behind a hard NAT.

The chat socket is two of the system's, one of IPv4 and one of IPv6, on the same port where that
is free; where a datagram goes says which one it leaves from.  A machine without IPv6 has the
first only.

Owns the sockets' edges only: which socket a base is, the TTL of the packets that want one, and
surviving whatever the network says.  What a datagram is, is the agent's to tell.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger

from p2pchat.runtime import listen_udp6
from p2pchat.traversal.datagrams import CHAT_SOCKET, SOCKETS, Datagram
from p2pchat.wire.addresses import Address, Family, family

DEFAULT_TTL = 64  # hops, RFC 1700
BYTES_A_TURN = 32 * 1024  # of one socket; what follows is read after keys, timers and other sockets
MAX_SOCKETS = 600  # of one peer at a time; a run wants 256

_log = Logger()

_HOPS = {  # the socket option of the time to live
    Family.IPV4: (socket.IPPROTO_IP, socket.IP_TTL),
    Family.IPV6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}

Receiver = Callable[[str, bytes, Address], None]


class PeerProtocol(DatagramProtocol):
    """
    One socket.

    :param base: its name.
    :param received: called with the base, the datagram and its source.
    :ivar unsent: datagrams that the network refused to take.
    """

    noisy = False

    def __init__(self, base: str, received: Receiver) -> None:
        self._base = base
        self._received = received
        self._ttl = DEFAULT_TTL
        self.unsent = 0

    def startProtocol(self) -> None:
        """Take little at a time: a datagram of a message may cost a millisecond."""
        port: Any = self.transport
        if isinstance(port, Port):
            port.maxThroughput = BYTES_A_TURN

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Hand a datagram on."""
        self._received(self._base, datagram, (addr[0], addr[1]))

    def send(self, datagram: Datagram) -> None:
        """Send a datagram, or lose it: the network may."""
        if self.transport is None:
            return
        try:
            to = family(datagram.destination[0])
            self._set_ttl(to, DEFAULT_TTL if datagram.ttl is None else datagram.ttl)
            self.transport.write(datagram.data, datagram.destination)
        except (OSError, MessageLengthError, ValueError) as error:  # ValueError: another family
            self.unsent += 1
            _log.debug("datagram not sent: {error}", error=error)

    def _set_ttl(self, to: Family, ttl: int) -> None:
        if ttl != self._ttl:
            handle = self.transport.getHandle()  # type: ignore[union-attr]
            handle.setsockopt(*_HOPS[to], ttl)
            self._ttl = ttl


@attrs.define(eq=False)
class PeerSockets:
    """
    All sockets of a peer; those but the chat socket open with the first datagram from them.

    :ivar ports: the port numbers of the chat socket, once bound.
    """

    _reactor: Any
    _received: Receiver
    ports: dict[Family, int] = attrs.Factory(dict)
    _chat: dict[Family, PeerProtocol] = attrs.field(init=False)
    _listening: list[Any] = attrs.Factory(list)
    _others: dict[str, tuple[PeerProtocol, Any]] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self._chat = {one: PeerProtocol(CHAT_SOCKET, self._received) for one in Family}

    def bind(self, port: int) -> None:
        """
        Bind the chat socket.

        :raises CannotListenError: the port is taken.
        """
        self._bound(Family.IPV4, self._reactor.listenUDP(port, self._chat[Family.IPV4]))
        for wanted in (self.ports[Family.IPV4], 0):  # the same number, if nobody has it
            try:
                self._bound(
                    Family.IPV6, listen_udp6(self._reactor, wanted, self._chat[Family.IPV6])
                )
            except CannotListenError as error:
                _log.debug("no IPv6 socket: {error}", error=error)
            else:
                break

    def _bound(self, one: Family, listening: Any) -> None:
        self._listening.append(listening)
        self.ports[one] = listening.getHost().port

    def send(self, datagram: Datagram) -> None:
        """Send from the socket that the base names."""
        if datagram.base == CHAT_SOCKET:
            self._chat[family(datagram.destination[0])].send(datagram)
            return
        other = self._others.get(datagram.base) or self._open(datagram.base)
        if other is not None:
            other[0].send(datagram)

    def _open(self, base: str) -> tuple[PeerProtocol, Any] | None:
        if not base.startswith(SOCKETS) or len(self._others) >= MAX_SOCKETS:
            return None
        protocol = PeerProtocol(base, self._received)
        try:
            port = self._reactor.listenUDP(0, protocol)
        except (CannotListenError, OSError):  # out of file descriptors: fewer will have to do
            return None
        self._others[base] = (protocol, port)
        return self._others[base]

    def release(self, ufrag: str, kept: frozenset[str]) -> None:
        """Close the sockets of an attempt, but for some."""
        for base in list(self._others):
            if base.startswith(f"{SOCKETS}{ufrag}/") and base not in kept:
                _, port = self._others.pop(base)
                maybeDeferred(port.stopListening)

    def close(self) -> Deferred[Any]:
        """Close everything."""
        ports = [*self._listening, *(port for _, port in self._others.values())]
        self._others.clear()
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])
