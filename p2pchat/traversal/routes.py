"""
Routes of datagrams: from a base of ours to a remote address; and whose traffic a route carries.

A *base* (RFC 8445 section 2) is what a datagram leaves from.  Names of bases::

    ""                 the chat socket: one of IPv4 and one of IPv6, by where a datagram goes
    socket/UFRAG/N     socket N of the many that an attempt opened behind a hard NAT
    relay/N            allocation N on a TURN server
    stream/N           the stream that carries allocation N, when that isn't the chat socket
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from itertools import repeat
from typing import NamedTuple

import attrs

from p2pchat.wire.addresses import Address

CHAT_SOCKET = ""
SOCKETS = "socket/"
RELAYS = "relay/"
STREAMS = "stream/"

PORTION = 64  # datagrams; a machine that gives as many at once may have more, and is asked again


class Route(NamedTuple):
    """A remote address, as it is reached from one base."""

    address: Address
    base: str = CHAT_SOCKET

    @property
    def is_relayed(self) -> bool:
        """Whether our own relay carries it."""
        return self.base.startswith(RELAYS)


class Fragmentation(Enum):
    """Rule for fragmenting a datagram on its way, where the system lets a program say so."""

    AS_KNOWN = "as-known"  # by the sender, where it knows that the path is too small; by no router
    ALLOWED = "allowed"  # by routers too
    FORBIDDEN = "forbidden"


class Datagram(NamedTuple):
    """
    One datagram on its way out.

    :ivar ttl: IP time to live in hops; ``None`` for the system's own.
    :ivar base: what it leaves from.
    """

    data: bytes
    destination: Address
    ttl: int | None = None
    base: str = CHAT_SOCKET
    fragmentation: Fragmentation = Fragmentation.AS_KNOWN


_make: Callable[[Iterable[object]], Datagram] = partial(tuple.__new__, Datagram)


def addressed(
    datagrams: Iterable[bytes], route: Route, fragmentation: Fragmentation
) -> list[Datagram]:
    """Return datagrams for a route, by the hundred in a third of the time of their constructor."""
    ways = repeat(route.address), repeat(None), repeat(route.base), repeat(fragmentation)
    return list(map(_make, zip(datagrams, *ways, strict=False)))


@attrs.define
class RouteTable:
    """
    The attempt to which traffic from each route goes, of all attempts of an agent.

    An attempt has *heard* a route that an authentic check came over, and *validated* one that
    answered a check of its own.  Traffic goes to whoever validated its route, and only where nobody
    did to whoever heard it: the other side of an attempt could forge the source of a check, and
    would get what a friend sends from there.  Of several of a kind the last one gets it.
    """

    _heard: dict[Route, dict[str, None]] = attrs.Factory(dict)
    _validated: dict[Route, dict[str, None]] = attrs.Factory(dict)

    def add(self, route: Route, ufrag: str, validated: bool) -> None:
        """Note that an attempt has heard this route, or validated it."""
        for table in (self._heard, self._validated) if validated else (self._heard,):
            table.setdefault(route, {})[ufrag] = None

    def owner(self, route: Route) -> str | None:
        """Return the attempt that gets what comes over a route."""
        for table in (self._validated, self._heard):
            if route in table:
                return next(reversed(table[route]))
        return None

    def remove(self, route: Route, ufrag: str) -> None:
        """Note that an attempt gets nothing over this route any more."""
        for table in (self._heard, self._validated):
            ufrags = table.get(route, {})
            ufrags.pop(ufrag, None)
            if not ufrags:
                table.pop(route, None)
