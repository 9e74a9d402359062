"""
The UDP sockets of a peer: the chat socket, and for a while the many behind a hard NAT.

The chat socket is two of the system's, one of IPv4 and one of IPv6, on the same port where that
is free; where a datagram goes says which one it leaves from.  A machine without IPv6 has the
first only.  Where the network translates between the two (:class:`p2pchat.runtime.Nat64`), what
goes to IPv4 leaves from the second, and what comes from there shows its IPv4 source.

Owns the sockets' edges only: which socket a base is, TTL and fragmentation of the packets, and
surviving whatever the network says.  What a datagram is, is the agent's to tell.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.logger import Logger

from p2pchat.peer.udp import BatchPort, BatchProtocol, listen
from p2pchat.runtime import Nat64
from p2pchat.traversal.routes import CHAT_SOCKET, SOCKETS, Datagram, Fragmentation
from p2pchat.wire.addresses import Address, Family, family

DEFAULT_TTL = 64  # hops, RFC 1700
MAX_SOCKETS = 600  # of one peer at a time; a run wants 256

_log = Logger()

_HOPS = {  # the socket option of the time to live
    Family.IPV4: (socket.IPPROTO_IP, socket.IP_TTL),
    Family.IPV6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}

# <linux/in.h> and <linux/in6.h>, which the module socket has no names for; other systems' options
# of these numbers mean something else.
_MTU_DISCOVER = {
    Family.IPV4: (socket.IPPROTO_IP, 10),
    Family.IPV6: (socket.IPPROTO_IPV6, 23),
}
_PMTUDISC = {  # values of both
    Fragmentation.ALLOWED: 0,  # DONT
    Fragmentation.AS_KNOWN: 1,  # WANT, the system's own
    Fragmentation.FORBIDDEN: 3,  # PROBE
}

_way_out = itemgetter(slice(1, None))  # all of a Datagram but its data

Receiver = Callable[[str, list[bytes], Address], None]


class PeerProtocol(BatchProtocol):
    """
    One socket.

    :param base: its name.
    :param received: called with the base, datagrams, and the source of them all.
    :ivar unsent: datagrams that the network refused to take.
    """

    noisy = False

    def __init__(self, base: str, received: Receiver) -> None:
        self._base = base
        self._received = received
        self._ttl = DEFAULT_TTL
        self._fragmentation = Fragmentation.AS_KNOWN
        self.unsent = 0

    def batch_received(self, datagrams: list[bytes], address: Address) -> None:
        """Hand datagrams on."""
        self._received(self._base, datagrams, address)

    def send(
        self,
        datagrams: Sequence[bytes],
        destination: Address,
        ttl: int | None,
        fragmentation: Fragmentation = Fragmentation.AS_KNOWN,
    ) -> None:
        """Send datagrams, or lose them: the network may."""
        if self.transport is None:
            return
        try:
            self._set_ttl(destination, DEFAULT_TTL if ttl is None else ttl)
            self._set_fragmentation(destination, fragmentation)
            if isinstance(self.transport, BatchPort):
                self.unsent += self.transport.write_batch(datagrams, destination)
                return
        except (OSError, ValueError) as error:  # ValueError: another family
            self._lost(len(datagrams), error)
            return
        for data in datagrams:
            try:
                self.transport.write(data, destination)
            except (OSError, MessageLengthError, ValueError) as error:
                self._lost(1, error)

    def _lost(self, count: int, error: Exception) -> None:
        self.unsent += count
        _log.debug("datagrams not sent: {error}", error=error)

    def _set_ttl(self, to: Address, ttl: int) -> None:
        if ttl != self._ttl:
            handle = self.transport.getHandle()  # type: ignore[union-attr]
            handle.setsockopt(*_HOPS[family(to[0])], ttl)
            self._ttl = ttl

    def _set_fragmentation(self, to: Address, fragmentation: Fragmentation) -> None:
        if fragmentation is not self._fragmentation and sys.platform == "linux":
            handle = self.transport.getHandle()  # type: ignore[union-attr]
            handle.setsockopt(*_MTU_DISCOVER[family(to[0])], _PMTUDISC[fragmentation])
            self._fragmentation = fragmentation


@attrs.define(eq=False)
class PeerSockets:
    """
    All sockets of a peer; those but the chat socket open with the first datagram from them.

    :ivar ports: the port numbers of the chat socket, once bound.
    """

    _reactor: Any
    _received: Receiver
    _nat64: Nat64 = attrs.Factory(Nat64)
    ports: dict[Family, int] = attrs.Factory(dict)
    _chat: dict[Family, PeerProtocol] = attrs.field(init=False)
    _listening: list[Any] = attrs.Factory(list)
    _others: dict[str, tuple[PeerProtocol, Any]] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self._chat = {
            Family.IPV4: PeerProtocol(CHAT_SOCKET, self._received),
            Family.IPV6: PeerProtocol(CHAT_SOCKET, self._received_ipv6),
        }

    def bind(self, port: int) -> None:
        """
        Bind the chat socket.

        :raises CannotListenError: the port is taken.
        """
        self._listen(Family.IPV4, port)
        for wanted in (self.ports[Family.IPV4], 0):  # the same number, if nobody has it
            try:
                self._listen(Family.IPV6, wanted)
            except CannotListenError as error:
                _log.debug("no IPv6 socket: {error}", error=error)
            else:
                break

    def _listen(self, one: Family, port: int) -> None:
        listening = listen(self._reactor, port, self._chat[one], one)
        self._listening.append(listening)
        self.ports[one] = listening.getHost().port

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """Send, in order, from the sockets that their bases name."""
        for (address, ttl, base, fragmentation), group in groupby(datagrams, _way_out):
            destination = self._nat64.outward(address)
            protocol = self._protocol(base, destination)
            if protocol is not None:
                data = [one.data for one in group]
                protocol.send(data, destination, ttl, fragmentation)

    def _received_ipv6(self, base: str, datagrams: list[bytes], address: Address) -> None:
        self._received(base, datagrams, self._nat64.inward(address))

    def _protocol(self, base: str, destination: Address) -> PeerProtocol | None:
        if base == CHAT_SOCKET:
            return self._chat[family(destination[0])]
        other = self._others.get(base) or self._open(base, family(destination[0]))
        return None if other is None else other[0]

    def _open(self, base: str, one: Family) -> tuple[PeerProtocol, Any] | None:
        if not base.startswith(SOCKETS) or len(self._others) >= MAX_SOCKETS:
            return None
        received = self._received if one is Family.IPV4 else self._received_ipv6
        protocol = PeerProtocol(base, received)
        try:
            port = listen(self._reactor, 0, protocol, one)
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
