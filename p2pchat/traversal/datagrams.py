"""
Where datagrams come from and go to, as machines see it.

A *base* (RFC 8445 section 2) is what a datagram leaves from.  Names of bases::

    ""                 the chat socket: one of IPv4 and one of IPv6, by where a datagram goes
    socket/UFRAG/N     socket N of the many that an attempt opened behind a hard NAT
    relay/N            allocation N on a TURN server
    stream/N           the stream that carries allocation N, when that isn't the chat socket
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from p2pchat.wire.addresses import Address

CHAT_SOCKET = ""
SOCKETS = "socket/"
RELAYS = "relay/"
STREAMS = "stream/"


class Route(NamedTuple):
    """A remote address, as it is reached from one base."""

    address: Address
    base: str = CHAT_SOCKET

    @property
    def is_relayed(self) -> bool:
        """Whether our own relay carries it."""
        return self.base.startswith(RELAYS)


@attrs.frozen
class Datagram:
    """
    One datagram on its way out.

    :ivar ttl: IP time to live in hops; ``None`` for the system's own.
    :ivar base: what it leaves from.
    """

    data: bytes
    destination: Address
    ttl: int | None = None
    base: str = CHAT_SOCKET
