"""
What the outside world gives to a program: network, time, randomness.

Everything that p2pchat takes from its surroundings comes through a :class:`Runtime`, so that
the same code runs on real sockets and in the simulated internet of the tests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


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


def interface_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine's interfaces, loopback included."""
    import ifaddr  # noqa: PLC0415 - reads the system's tables through ctypes at import

    return [
        address.ip
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
        if isinstance(address.ip, str)
    ]


def real_runtime(reactor: Any) -> Runtime:
    """Return the runtime of a real program on this reactor."""
    return Runtime(reactor, MonotonicClock(reactor), time.time, os.urandom, interface_addresses)
