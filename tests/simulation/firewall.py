"""
A home router's IPv6 firewall: no translation, and only what was sent to may answer (RFC 6092).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.network import Address, Node

if TYPE_CHECKING:
    from tests.simulation.host import Host
    from tests.simulation.tcp_socket import ListeningSocket

EXPIRY = 120.0  # seconds; RFC 6092 section 3.2.3 wants as much for UDP


class Firewall(Node):
    """What stands before one host; filtering is address- and port-dependent."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.internet, host.internet.public)
        self._host = host
        self._permitted: dict[tuple[Address, Address], float] = {}

    def permit(self, source: Address, destination: Address) -> None:
        """Take notice of a datagram from inside."""
        self._permitted[source, destination] = self.internet.clock.rightNow

    def receive(self, data: bytes, source: Address, destination: Address, ttl: int) -> None:
        """See `Node`."""
        since = self._permitted.get((destination, source))
        if since is None or self.internet.clock.rightNow > since + EXPIRY:
            self.internet.note(source, destination, len(data), "filtered")
        else:
            self._host.receive(data, source, destination, ttl)

    def listener(self, endpoint: Address) -> ListeningSocket | None:
        """See `Node`: nobody gets in by TCP."""
        return None

    def refuses_strangers(self) -> bool:
        """See `Node`: a firewall is silent."""
        return False
