"""
UDP ports of a simulated host: Twisted's `IListeningPort` and `IUDPTransport`.

Behaves as `twisted.internet.udp.Port`, with the kernel's part in it: an exception in
``datagramReceived`` is logged, an address that isn't a literal is refused, a datagram longer
than ``maxPacketSize`` is cut.  There is no broadcast, and no ICMP: ``connectionRefused`` is
never called.
"""

from __future__ import annotations

import socket
from errno import EADDRNOTAVAIL, EINVAL
from typing import TYPE_CHECKING

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, InvalidAddressError, MessageLengthError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from zope.interface import implementer

from tests.simulation.link import Fragmentable
from tests.simulation.network import DEFAULT_TTL, Address
from tests.simulation.ports import ANY_INTERFACE

if TYPE_CHECKING:
    from tests.simulation.host import Host

_HOPS = {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)}
_MTU_DISCOVER = (socket.IPPROTO_IP, 10)  # Linux
PMTUDISC_DONT = 0
MAX_DATAGRAM = 65507  # bytes; 65535 less the IPv4 and UDP headers


class SocketOptions:
    """What `UDPPort.getHandle` returns: the socket, as far as its options go."""

    def __init__(self, port: UDPPort) -> None:
        self._port = port
        self._options: dict[tuple[int, int], int] = {}

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set an option; those of the time to live take effect with the next datagram."""
        if (level, option) in _HOPS:
            if not 1 <= value <= 255:
                raise OSError(EINVAL, "Invalid argument")
            self._port.ttl = value
        self._options[level, option] = value

    @property
    def may_fragment(self) -> bool:
        """Whether routers may fragment what is sent."""
        return self._options.get(_MTU_DISCOVER) == PMTUDISC_DONT

    def getsockopt(self, level: int, option: int) -> int:
        """Return an option, 0 unless it was set."""
        if (level, option) in _HOPS:
            return self._port.ttl
        return self._options.get((level, option), 0)


@implementer(IListeningPort, IUDPTransport)
class UDPPort:
    """One bound socket, and the transport of its protocol."""

    _log = Logger()

    def __init__(
        self,
        host: Host,
        port: int,
        protocol: DatagramProtocol,
        interface: str,
        max_packet_size: int,
    ) -> None:
        self.ttl = DEFAULT_TTL
        self.host = host
        self._protocol = protocol
        self._requested = (interface or ANY_INTERFACE, port)
        self._max_packet_size = max_packet_size
        self._connected: Address | None = None
        self._options = SocketOptions(self)
        self._closed: Deferred[None] | None = None
        self._name: Address | None = None

    def startListening(self) -> None:
        """See `IListeningPort`."""
        interface, port = self._requested
        try:
            if not self.host.has_interface(interface):
                raise OSError(EADDRNOTAVAIL, "Cannot assign requested address")
            self._name = self.host.udp_ports.bind(interface, port, self)
        except OSError as error:
            raise CannotListenError(interface, port, error) from error
        self._protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None]:
        """See `IListeningPort`."""
        if self._closed is not None:
            return self._closed
        if self._name is None:
            return succeed(None)
        self._closed = Deferred()
        self.host.udp_ports.release(self._name)
        self.host.reactor.callLater(0, self._close)
        return self._closed

    def getHost(self) -> IPv4Address | IPv6Address:
        """Return the bound endpoint, whose address is 0.0.0.0 unless an interface was named."""
        name = self._name or self._requested
        return IPv6Address("UDP", *name) if ":" in name[0] else IPv4Address("UDP", *name)

    def getHandle(self) -> SocketOptions:
        """Return an object to set socket options on."""
        return self._options

    def write(self, packet: bytes, addr: Address | None = None) -> None:
        """See `IUDPTransport`; a stopped port sends nothing."""
        destination = self._connected or addr
        if destination is None or (addr is not None and addr != destination):
            raise ValueError(f"cannot write to {addr}, connected to {self._connected}")
        if destination not in self.host.internet.literals:
            self._check(destination)
        if len(packet) > MAX_DATAGRAM:
            raise MessageLengthError("message too long")
        if self._options.may_fragment:
            packet = Fragmentable(packet)
        if self._name is not None and self._closed is None:
            self.host.send(packet, self._name, destination, self.ttl)

    def writeSequence(self, packet: list[bytes], addr: Address | None = None) -> None:
        """Write the pieces as one datagram."""
        self.write(b"".join(packet), addr)

    def connect(self, host: str, port: int) -> None:
        """See `IUDPTransport`."""
        if self._connected is not None:
            raise RuntimeError("already connected, reconnecting is not currently supported")
        self._check((host, port))
        self._connected = (host, port)

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """See `IUDPTransport`."""
        self._options.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, int(enabled))

    def getBroadcastAllowed(self) -> bool:
        """See `IUDPTransport`."""
        return bool(self._options.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST))

    def vanish(self) -> None:
        """Be gone, as the socket of a killed process; the protocol is told nothing."""
        self._name = None

    def deliver(self, data: bytes, source: Address) -> None:
        """Hand a datagram to the protocol."""
        if self._connected is not None and source != self._connected:
            return
        if len(data) > self._max_packet_size:
            data = data[: self._max_packet_size]
        try:
            self._protocol.datagramReceived(data, source)
        except Exception:
            self._log.failure("datagramReceived failed")

    def _check(self, destination: Address) -> None:
        address, port = destination
        if isIPv6Address(address) != (":" in self._requested[0]):
            raise InvalidAddressError(address, "of another family than the port")
        if not (isIPAddress(address) or isIPv6Address(address)):
            message = "write() only accepts IP addresses, not hostnames"
            raise InvalidAddressError(address, message)
        if not 0 < port <= 65535:
            raise OSError(EINVAL, "Invalid argument")
        self.host.internet.literals.add((address, port))

    def _close(self) -> None:
        self._name = None
        self._protocol.doStop()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed.callback(None)
