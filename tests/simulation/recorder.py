"""A datagram protocol that keeps what it receives, for tests."""

from __future__ import annotations

from twisted.internet.protocol import DatagramProtocol

from tests.simulation.host import Host
from tests.simulation.network import Address
from tests.simulation.udp import UDPPort


class Recorder(DatagramProtocol):
    """
    A socket to send from, and what came in on it.

    :ivar received: (datagram, source), oldest first.
    """

    transport: UDPPort

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Address]] = []

    @classmethod
    def on(cls, host: Host, port: int = 0, interface: str = "") -> Recorder:
        """Open a socket on this host."""
        recorder = cls()
        host.reactor.listenUDP(port, recorder, interface)
        return recorder

    @property
    def port(self) -> int:
        """The local port."""
        return self.transport.getHost().port

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """Keep it."""
        self.received.append((datagram, addr))

    def send(self, datagram: bytes, address: Address, ttl: int | None = None) -> None:
        """Send one datagram, with another TTL if one is given."""
        usual = self.transport.ttl
        self.transport.ttl = ttl or usual
        self.transport.write(datagram, address)
        self.transport.ttl = usual

    @property
    def sources(self) -> list[Address]:
        """Where everything came from."""
        return [source for _, source in self.received]
