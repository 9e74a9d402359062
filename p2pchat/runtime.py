"""
The outside world, as a program gets it: network, time, randomness.

Everything that p2pchat takes from its surroundings comes through a :class:`Runtime`, so that
the same code runs on real sockets and in the simulated internet of the tests.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IReactorSocket,
    IReactorTime,
)
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

_ANY_IPV6 = "::"
MAX_DATAGRAM = 8192  # bytes taken of one datagram, as listenUDP does


@implementer(IReactorTime)
@attrs.frozen
class MonotonicClock:
    """
    A reactor's timers beside a clock that nobody sets.

    ``reactor.seconds()`` is the wall clock: when it jumps, timeouts would jump with it.
    """

    _reactor: IReactorTime

    def seconds(self) -> float:
        """Return seconds from an arbitrary start."""
        return time.monotonic()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Call after ``delay`` seconds."""
        return self._reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Return the calls that wait."""
        return cast(list[IDelayedCall], self._reactor.getDelayedCalls())


def cancel(call: IDelayedCall | None) -> None:
    """Cancel a delayed call, if there is one that is still to come."""
    if call is not None and call.active():
        call.cancel()


@attrs.frozen
class Runtime:
    """
    Network, time and randomness.

    :ivar reactor: provides ``IReactorUDP`` and ``IReactorTCP`` and resolves names.
    :ivar clock: a monotonic ``IReactorTime``.
    :ivar wall_time: seconds since 1970, for documents and for people.
    :ivar random_bytes: that many bytes which nobody can guess.
    :ivar host_addresses: the IP addresses of this machine's interfaces.
    """

    reactor: Any
    clock: IReactorTime
    wall_time: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    host_addresses: Callable[[], list[str]]

    def random_name(self) -> str:
        """Return 128 random bits as 32 hexadecimal digits."""
        return self.random_bytes(16).hex()


def listen_udp6(reactor: Any, port: int, protocol: DatagramProtocol) -> IListeningPort:
    """
    Bind a UDP port for IPv6 only, on all interfaces, beside one of IPv4 with the same number.

    ``listenUDP`` would leave it to the system whether the port takes IPv4 too.

    :raises CannotListenError: the port is taken, or this machine has no IPv6.
    """
    if not IReactorSocket.providedBy(reactor):
        return cast(IListeningPort, reactor.listenUDP(port, protocol, interface=_ANY_IPV6))
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.setblocking(False)
            bound.bind((_ANY_IPV6, port))
            return reactor.adoptDatagramPort(
                bound.fileno(), socket.AF_INET6, protocol, MAX_DATAGRAM
            )
    except OSError as error:
        raise CannotListenError(_ANY_IPV6, port, error) from error


def interface_addresses() -> list[str]:
    """
    Return the IP addresses of this machine's interfaces, loopback included, IPv4 ones first.

    IPv6 addresses with a zone, the link-local ones, mean nothing elsewhere and are left out.
    """
    import ifaddr  # noqa: PLC0415 - reads the system's tables through ctypes at import

    found = [address.ip for adapter in ifaddr.get_adapters() for address in adapter.ips]
    ipv4 = [ip for ip in found if isinstance(ip, str)]
    return ipv4 + [ip[0] for ip in found if not isinstance(ip, str) and not ip[2]]


def real_runtime(reactor: Any) -> Runtime:
    """Return the runtime of a real program on this reactor."""
    return Runtime(reactor, MonotonicClock(reactor), time.time, os.urandom, interface_addresses)
