"""
A machine: addresses on one network, sockets, and a reactor to run programs on.

`Host.kill` is kill -9: sockets vanish, timers never fire, protocols are told nothing.  The
kernel lives on, so whoever has a TCP connection here is reset, if that can reach them.
`Host.boot` gives a fresh reactor.  `Host.online` is the cable.  `Host.move` is another network.

IPv6 is beside all that: no NAT, at most a firewall of the host's own (`Host.give_ipv6`); but for
a network of IPv6 alone, whose NAT translates to IPv4 (`Host.give_nat64`).
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import ENETUNREACH
from typing import TYPE_CHECKING

from twisted.internet.abstract import isIPAddress, isIPv6Address

from p2pchat.host_addresses import HostAddress
from p2pchat.wire.nat64 import Nat64Prefix
from tests.simulation.firewall import Firewall
from tests.simulation.network import Address, Network, Node
from tests.simulation.ports import ANY_INTERFACE, ANY_IPV6, PortTable
from tests.simulation.reactor import HostReactor
from tests.simulation.tcp_socket import ListeningSocket, StreamSocket, TCPSocket
from tests.simulation.udp import UDPPort

if TYPE_CHECKING:
    from tests.simulation.internet import Internet
    from tests.simulation.nat import Nat

LOOPBACK, LOOPBACK6 = "127.0.0.1", "::1"


class Host(Node):
    """
    One machine.

    :ivar reactor: of this life; see `boot`.
    :ivar addresses: the first is the source of what a socket on all interfaces sends; none where
        the host has IPv6 only.
    :ivar ipv6: its IPv6 addresses, likewise.
    :ivar nat64: the prefix by which it reaches IPv4, having no address of that.
    :ivar others: addresses of interfaces that lead to nobody here.
    :ivar clock_error: seconds that its wall clock is ahead; setting it sets the clock.
    :ivar connections: the stream sockets that are open.
    """

    def __init__(self, internet: Internet, network: Network, addresses: Sequence[str]) -> None:
        super().__init__(internet, network)
        self.addresses: tuple[str, ...] = ()
        self.ipv6: tuple[str, ...] = ()
        self.others: list[HostAddress] = []
        self.firewall: Firewall | None = None
        self.nat64: Nat64Prefix | None = None
        self.clock_error = 0.0
        self._translated = ""  # where its NAT64 has it in IPv4
        self.udp_ports: PortTable[UDPPort] = PortTable(internet.random)
        self.tcp_ports: PortTable[TCPSocket] = PortTable(internet.random)
        self.connections: dict[StreamSocket, None] = {}
        self.reactor = HostReactor(self)
        self._attach(network, addresses)
        internet.hosts.append(self)

    @property
    def address(self) -> str:
        """The first address."""
        return (*self.addresses, *self.ipv6)[0]

    def give_ipv6(self, address: str, firewall: bool = False) -> None:
        """
        Join the public IPv6 network.

        :param firewall: whether only what was sent to may answer.
        """
        self.ipv6 = (address,)
        self.firewall = Firewall(self) if firewall else None
        self.internet.public.attach(self.firewall or self, self.ipv6)

    def give_nat64(self, prefix: Nat64Prefix) -> None:
        """Lose IPv4, which its NAT leads to from IPv6 now, and learn of that from name servers."""
        self.nat64, (self._translated,) = prefix, self.addresses
        self.addresses = ()

    def take_ipv6(self) -> None:
        """Leave it."""
        self.internet.public.detach(self.ipv6)
        self.ipv6, self.firewall = (), None

    def source(self, destination: str) -> str | None:
        """Return the address that what goes there comes from, if there is one of its family."""
        return next(iter(self.ipv6 if ":" in destination else self.addresses), None)

    def kill(self) -> None:
        """End the program at once, with everything it had; idempotent."""
        self.reactor.end()
        for port in self.udp_ports.bound.values():
            port.vanish()
        for connection in list(self.connections):
            connection.vanish()
        for listener in list(self.tcp_ports.bound.values()):
            listener.close()
        self.udp_ports.bound.clear()
        self.tcp_ports.bound.clear()

    def boot(self) -> HostReactor:
        """Start anew after `kill`, with a fresh reactor, which is returned."""
        self.kill()
        self.reactor = HostReactor(self)
        return self.reactor

    def move(self, address: str | None = None, behind: Nat | None = None) -> None:
        """
        Leave this network for another, as a phone does.

        UDP sockets stay open and send from the new address; TCP connections are dead, and
        nobody is told: both ends find out when they time out.
        """
        network = behind.inside if behind else self.internet.public
        self.network.detach([self._translated] if self.nat64 is not None else self.addresses)
        self.nat64 = None
        self._attach(network, [address or network.free_address()])
        for connection in self.connections:
            connection.sever()

    def lookup(self, name: str) -> str | None:
        """Resolve a name or an IP literal."""
        if isIPAddress(name) or isIPv6Address(name):
            return name
        if name == "localhost":
            return LOOPBACK
        return self.internet.dns.get(name) if self.online else None

    def lookup6(self, name: str) -> str | None:
        """Resolve a name to its IPv6 address; behind a NAT64 there is a made-up one (RFC 6147)."""
        own, ipv4 = self.internet.dns6.get(name), self.internet.dns.get(name)
        if own is None and ipv4 is not None and self.nat64 is not None:
            own = self.nat64.to_ipv6(ipv4)
        return own if self.online else None

    def led_to(self, address: str) -> str:
        """Return where a packet to this address gets, which a NAT64 may translate."""
        return address if self.nat64 is None else self.nat64.to_ipv4(address)

    def lookup_all(self, name: str) -> list[str]:
        """Resolve a name or an IP literal to its addresses of both families."""
        return [one for one in (self.lookup(name), self.lookup6(name)) if one is not None]

    def is_local(self, address: str) -> bool:
        """Tell whether this address is this very host."""
        if ":" in address:
            return address in self.ipv6 or address == LOOPBACK6
        return address in self.addresses or address.startswith("127.")

    def has_interface(self, interface: str) -> bool:
        """Tell whether a socket can be bound there."""
        return interface in {ANY_INTERFACE, ANY_IPV6} or self.is_local(interface)

    def listener(self, endpoint: Address) -> ListeningSocket | None:
        """See `Node`."""
        holder = self.tcp_ports.holder(endpoint)
        return holder if isinstance(holder, ListeningSocket) else None

    def send(self, data: bytes, bound: Address, destination: Address, ttl: int) -> None:
        """Send a datagram from the socket that is bound there."""
        source = bound
        if self.is_local(destination[0]):
            if bound[0] in {ANY_INTERFACE, ANY_IPV6}:
                source = (destination[0], bound[1])
            clock = self.internet.clock
            clock.post(clock.rightNow, self._arrive, data, source, destination)
            return
        own = self.source(destination[0])
        if own is None:
            raise OSError(ENETUNREACH, "Network is unreachable")
        if bound[0] in {ANY_INTERFACE, ANY_IPV6}:
            source = (own, bound[1])
        if not self.online:
            self.internet.note(source, destination, len(data), "offline")
        elif self.nat64 is not None and ":" not in self.led_to(destination[0]):
            outside = (self.led_to(destination[0]), destination[1])
            self.emit(data, (self._translated, source[1]), outside, ttl, 0.0)
        elif ":" not in destination[0]:
            self.emit(data, source, destination, ttl, 0.0)
        else:
            if self.firewall is not None:
                self.firewall.permit(source, destination)
            self.internet.public.carry(data, source, destination, ttl, 0.0)

    def receive(self, data: bytes, source: Address, destination: Address, ttl: int) -> None:
        """See `Node`."""
        if self.nat64 is not None and ":" not in source[0]:
            source = (self.nat64.to_ipv6(source[0]), source[1])
            destination = (self.ipv6[0], destination[1])
        if self.online:
            self._arrive(data, source, destination)
        else:
            self.internet.note(source, destination, len(data), "offline")

    def describe(self) -> list[str]:
        """Return lines for a person who looks for a mistake."""
        state = "" if self.online else " OFFLINE"
        udp = sorted(self.udp_ports.bound)
        tcp = sorted(
            endpoint for endpoint in self.tcp_ports.bound if self.listener(endpoint) is not None
        )
        return [
            f"host {', '.join(self.addresses)}{state}: UDP {udp}, TCP listening {tcp}, "
            f"{len(self.connections)} connections, {len(self.reactor.getDelayedCalls())} timers"
        ]

    def _attach(self, network: Network, addresses: Sequence[str]) -> None:
        network.attach(self, addresses)
        self.network, self.addresses = network, tuple(addresses)

    def _arrive(self, data: bytes, source: Address, destination: Address) -> None:
        port = self.udp_ports.holder(destination)
        if port is None:
            self.internet.note(source, destination, len(data), "no socket")
        else:
            self.internet.note(source, destination, len(data), "delivered")
            port.deliver(data, source)
