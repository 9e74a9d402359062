"""
Twisted's own TCP transports, on the sockets of a simulated host.

Only the making of sockets is replaced; reading, writing, producers, half-closes and aborts are
the code that runs in production.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import ClientFactory

from tests.simulation.handshake import begin_handshake
from tests.simulation.tcp_socket import ListeningSocket, StreamSocket

if TYPE_CHECKING:
    from tests.simulation.host import Host

BindAddress = str | tuple[str, int] | None


class TCPPort(tcp.Port):
    """A listening port."""

    def __init__(self, host: Host, port: int, factory: IProtocolFactory, interface: str) -> None:
        super().__init__(port, factory, interface=interface, reactor=host.reactor)
        self._host = host

    def createInternetSocket(self) -> Any:
        """Return a simulated socket."""
        return ListeningSocket(self._host)


class TCPClient(tcp.Client):
    """The client's end of a connection."""

    def __init__(self, host: Host, connector: TCPConnector) -> None:
        self._host = host
        super().__init__(
            connector.host, connector.port, connector.bindAddress, connector, host.reactor
        )

    def createInternetSocket(self) -> Any:
        """Return a simulated socket."""
        return StreamSocket(self._host, begin_handshake)


class TCPConnector(tcp.Connector):
    """What `connectTCP` returns."""

    def __init__(
        self,
        machine: Host,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        *,
        timeout: float,
        bind_address: BindAddress,
    ) -> None:
        super().__init__(host, port, factory, timeout, bind_address, machine.reactor)
        self._machine = machine

    def _makeTransport(self) -> TCPClient:
        return TCPClient(self._machine, self)
