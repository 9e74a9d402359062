"""
The one UDP socket: STUN, checks and QUIC side by side.

Owns the socket's edges only: it tells STUN from QUIC (:mod:`p2pchat.wire.demultiplexing`), sets
the TTL of the packets that want one, and survives whatever the network says.  A datagram that is
neither is counted and dropped.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from p2pchat.traversal.datagrams import Datagram
from p2pchat.wire.addresses import Address
from p2pchat.wire.demultiplexing import Kind, classify

DEFAULT_TTL = 64  # hops, RFC 1700

_log = Logger()

Receiver = Callable[[bytes, Address], None]


class PeerProtocol(DatagramProtocol):
    """
    Our end of every path.

    :ivar refused: datagrams that were neither STUN nor QUIC.
    :ivar unsent: datagrams that the network refused to take.
    """

    noisy = False

    def __init__(self, stun_received: Receiver, quic_received: Receiver) -> None:
        self._stun_received = stun_received
        self._quic_received = quic_received
        self._ttl = DEFAULT_TTL
        self.refused = 0
        self.unsent = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Hand a datagram to whom it concerns."""
        kind = classify(datagram)
        if kind is Kind.STUN:
            self._stun_received(datagram, (addr[0], addr[1]))
        elif kind is Kind.QUIC:
            self._quic_received(datagram, (addr[0], addr[1]))
        else:
            self.refused += 1

    def send(self, datagram: Datagram) -> None:
        """Send a datagram, or lose it: the network may."""
        if self.transport is None:
            return
        try:
            self._set_ttl(DEFAULT_TTL if datagram.ttl is None else datagram.ttl)
            self.transport.write(datagram.data, datagram.destination)
        except (OSError, MessageLengthError) as error:
            self.unsent += 1
            _log.debug("datagram not sent: {error}", error=error)

    def _set_ttl(self, ttl: int) -> None:
        if ttl != self._ttl:
            handle = self.transport.getHandle()  # type: ignore[union-attr]
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            self._ttl = ttl
