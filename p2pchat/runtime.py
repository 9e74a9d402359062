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
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, cast

import attrs
from twisted.internet.abstract import isIPAddress
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorSocket, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from zope.interface import implementer

from p2pchat.host_addresses import HostAddress, outlook_of
from p2pchat.rtnetlink import read_addresses

DISCARD = 9  # a port; which one doesn't matter where nothing is sent
MAX_SEGMENT = 1_120  # bytes; with IPv4's and TCP's headers 1,160, with IPv6's 1,180
# Seconds of silence before the first question, from one to the next, and how many: a dead event
# stream is found in ten seconds where the question is refused, and none of a slow line dies.
KEEPALIVE = {"TCP_KEEPIDLE": 8, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 5}
UNACKNOWLEDGED = 25  # seconds; what is sent again over a round trip of four seconds is there before
MAX_DATAGRAM = 8192  # bytes taken of one datagram, as listenUDP does


def _steady_seconds() -> Callable[[], float]:
    """
    Return the reading of this machine's clock that nobody sets and that no suspend stops.

    That is CLOCK_BOOTTIME of Linux and CLOCK_MONOTONIC of macOS and the BSDs; ``time.monotonic`` of
    Python is such a clock on Windows, and what is left elsewhere.
    """
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        with suppress(AttributeError, OSError):
            read = partial(time.clock_gettime, getattr(time, name))
            read()
            return read
    return time.monotonic


steady_seconds: Callable[[], float] = _steady_seconds()


def steady(reactor: IReactorTime) -> None:
    """
    Let a reactor count by the steady clock from now on, if it goes by the wall clock.

    Twisted's reactors do: whoever sets the clock back by an hour would have every timer come an
    hour late.  Timers of our own beside the reactor's would leave those of twisted.web, of
    endpoints and of ``ClientService`` where they are, so that ``reactor.seconds`` itself is
    replaced.  It goes on from what the wall clock said: calls that wait already come when they
    are due, and whoever took it for the time of day finds it right unless that was set.  A
    suspend counts, though the reactor's poll sleeps through it: what became due comes with the
    next timer, which is never more than a second away where a peer or a registry runs.
    """
    if getattr(reactor, "seconds", None) is not time.time:  # an endpoint string is checked on None
        return
    begun: float = time.time() - steady_seconds()

    def seconds() -> float:
        return begun + steady_seconds()

    reactor.seconds = seconds  # type: ignore[method-assign]
    for call in reactor.getDelayedCalls():
        if isinstance(call, DelayedCall):
            call.seconds = seconds  # by which it is reset


@implementer(IReactorTime)
@attrs.frozen
class MonotonicClock:
    """
    A reactor's timers, made steady, beside a clock that nobody sets and no suspend stops.
    """

    _reactor: IReactorTime

    def __attrs_post_init__(self) -> None:
        steady(self._reactor)

    def seconds(self) -> float:
        """Return seconds from an arbitrary start."""
        return steady_seconds()

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


def _no_proxy(scheme: str, host: str) -> None:
    """Let every connection be made without a proxy."""


class TranslationPrefix(Protocol):
    """The prefix of a NAT64: :class:`p2pchat.wire.nat64.Nat64Prefix`."""

    def to_ipv6(self, host: str) -> str:
        """Return where an IPv4 address is reached."""

    def to_ipv4(self, host: str) -> str:
        """Return the IPv4 address that an IPv6 one leads to, if any; else itself."""


@attrs.define(eq=False)
class Nat64:
    """
    The translation between IPv4 and IPv6 that our network does, if there is any.

    :ivar prefix: of its addresses, once :mod:`p2pchat.peer.nat64` knows it.
    :ivar is_sought: whether it is looked for, in a network that was never asked before.
    """

    prefix: TranslationPrefix | None = None
    is_sought: bool = False
    _waiting: list[Deferred[None]] = attrs.Factory(list)

    def known(self) -> Deferred[None]:
        """Return a Deferred that fires when the prefix is known, or that there is none."""
        if not self.is_sought:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def settle(self) -> None:
        """Note that it isn't looked for any more."""
        self.is_sought = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:  # or given up
                one.callback(None)

    def outward(self, address: tuple[str, int]) -> tuple[str, int]:
        """Return where an address is reached from this network."""
        if self.prefix is None or not isIPAddress(address[0]):
            return address
        return self.prefix.to_ipv6(address[0]), address[1]

    def inward(self, address: tuple[str, int]) -> tuple[str, int]:
        """Return the address that one of this network stands for."""
        return (self.plain(address[0]), address[1]) if self.prefix is not None else address

    def plain(self, host: str) -> str:
        """Return the IP address that one of this network stands for."""
        return host if self.prefix is None else self.prefix.to_ipv4(host)


@attrs.frozen
class Runtime:
    """
    Network, time and randomness.

    :ivar reactor: provides ``IReactorUDP`` and ``IReactorTCP`` and resolves names.
    :ivar clock: a steady ``IReactorTime``: nobody sets it, and a suspend counts.
    :ivar wall_time: seconds since 1970, for documents and for people.
    :ivar random_bytes: that many bytes which nobody can guess.
    :ivar interface_addresses: the IP addresses of this machine, those of IPv4 first.
    :ivar source_address: which of them a datagram to an IP address leaves from; "": none is known.
    :ivar proxy_for: the proxy, if any, of TCP connections for ``http`` or ``https`` to a host.
    :ivar in_thread: does what may take long, with files; without threads at once.
    :ivar nat64: how IPv4 is reached, where this machine has IPv6 alone.
    """

    reactor: Any
    clock: IReactorTime
    wall_time: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    interface_addresses: Callable[[], list[HostAddress]]
    source_address: Callable[[str], str] = lambda _host: ""
    nat64: Nat64 = attrs.Factory(Nat64)
    proxy_for: Callable[[str, str], Any] = _no_proxy
    in_thread: Callable[[Callable[[], Any]], Deferred[Any]] = maybeDeferred

    def host_addresses(self) -> list[str]:
        """Return the IP addresses of this machine, those that others may reach first."""
        found = sorted(self.interface_addresses(), key=lambda one: not one.leads_out)
        return [one.host for one in found]

    def random_name(self) -> str:
        """Return 128 random bits as 32 hexadecimal digits."""
        return self.random_bytes(16).hex()


class UdpPort(Port):
    """A UDP port; ``listenUDP`` would leave it to the system whether one of IPv6 takes IPv4 too."""

    def createInternetSocket(self) -> socket.socket:
        """Make the socket."""
        made = super().createInternetSocket()
        if self.addressFamily == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return made


def listen_udp(
    reactor: Any,
    port: int,
    protocol: DatagramProtocol,
    interface: str = "",
    kind: type[UdpPort] = UdpPort,
) -> IListeningPort:
    """
    Bind a UDP port; one of all interfaces may have the same number in both address families.

    On reactors that aren't of this system, as the simulated internet's, it is the reactor's own.

    :param interface: an address; "" is all interfaces for IPv4, and "::" for IPv6.
    :raises CannotListenError: the port is taken, or this machine doesn't have the family.
    """
    if not IReactorSocket.providedBy(reactor):
        return cast(IListeningPort, reactor.listenUDP(port, protocol, interface=interface))
    bound = kind(port, protocol, interface, MAX_DATAGRAM, reactor)
    bound.startListening()
    return bound


def limit_segments(opened: socket.socket | None) -> None:
    """
    Limit what either side sends in a TCP segment.

    For a client's socket before it connects, and for one that listens: what each of them announces
    in its SYN, or in the answer, is what it keeps to itself (RFC 9293 section 3.7.1).  There is no
    socket where this process has no file left for it; the attempt then fails by itself.
    """
    if opened is not None and hasattr(socket, "TCP_MAXSEG"):
        with suppress(OSError):  # a system that has a larger limit in mind
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, MAX_SEGMENT)


def ask_after_silence(opened: socket.socket | None) -> None:
    """
    Let the system ask whether the other end of a TCP connection of ours is there, while it is idle.

    A NAT on the way that was rebooted forgets the connection; what the other side sends is lost
    then, for ever, and nobody is told.  The system's question makes a mapping again, or is refused.
    """
    if opened is None:
        return
    with suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def give_up_unacknowledged(opened: socket.socket | None) -> None:
    """Let the system end connections that a listening socket gives, where the client is gone."""
    if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        with suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * UNACKNOWLEDGED)


def interface_addresses() -> list[HostAddress]:
    """
    Return the IP addresses of this machine's interfaces, loopback included, IPv4 ones first.

    IPv6 addresses with a zone, the link-local ones, mean nothing elsewhere and are left out.
    """
    if hasattr(socket, "AF_NETLINK"):
        with suppress(OSError):  # a sandbox may forbid it
            return read_addresses()
    import ifaddr  # noqa: PLC0415 - reads the system's tables through ctypes at import

    found = []
    for adapter in ifaddr.get_adapters():
        outlook = outlook_of(adapter.nice_name)
        for ip in (one.ip for one in adapter.ips):
            if isinstance(ip, str) or not ip[2]:
                host = ip if isinstance(ip, str) else ip[0]
                found.append(HostAddress(host, adapter.nice_name, outlook))
    return sorted(found, key=lambda one: ":" in one.host)


def source_address(host: str) -> str:
    """
    Return the address of ours that a datagram to this IP address leaves from; "" where none does.

    Nothing is sent: routes are looked up where a UDP socket is connected.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((host, DISCARD))
            return str(asking.getsockname()[0])
    except OSError:
        return ""


def real_runtime(reactor: Any) -> Runtime:
    """
    Return the runtime of a real program on this reactor.

    The reactor counts by a steady clock from then on: :func:`steady`.
    """
    return Runtime(
        reactor,
        MonotonicClock(reactor),
        time.time,
        os.urandom,
        interface_addresses,
        source_address,
    )
