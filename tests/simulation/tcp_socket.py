"""
The TCP sockets of a simulated host, as the kernel would offer them.

They have the methods of `socket.socket` that Twisted's own TCP transports call, never block,
and fail with the `OSError` the kernel would raise.  The host's reactor asks `is_readable` and
`is_writable`, and is woken when either may have become true.

::

    NEW --connect_ex--> CONNECTING --SYN, SYN-ACK--> CONNECTED --close--> CLOSED
                        CONNECTING, CONNECTED --reset, time-out--> BROKEN --close--> CLOSED

What reaches a closed socket is answered with a reset; so is the peer when a socket is closed
with bytes still unread (Linux).  A killed process closes its sockets so, too.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from enum import Enum
from errno import EADDRNOTAVAIL, EINPROGRESS, EISCONN, ENOTCONN, EPIPE, EWOULDBLOCK
from typing import TYPE_CHECKING

from tests.simulation.network import Address
from tests.simulation.ports import ANY_INTERFACE
from tests.simulation.stream import ACK, FIN, Segment, Stream

if TYPE_CHECKING:
    from tests.simulation.host import Host


class State(Enum):
    """Of a `StreamSocket`; see the module."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    BROKEN = "broken"
    CLOSED = "closed"


class TCPSocket:
    """What listening and stream sockets share: a name, and options that do nothing."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name: Address = (ANY_INTERFACE, 0)
        self._options: dict[tuple[int, int], int | bytes] = {}

    def fileno(self) -> int:
        """Return a number that means nothing."""
        return id(self)

    def setblocking(self, flag: bool) -> None:
        """Never block."""

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Keep an option."""
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> int | bytes:
        """Return an option, 0 unless it was set."""
        return self._options.get((level, option), 0)

    def getsockname(self) -> Address:
        """Return the local endpoint."""
        return self.name

    def bind(self, address: Address) -> None:
        """Take a local endpoint."""
        interface = address[0] or ANY_INTERFACE
        if not self.host.has_interface(interface):
            raise OSError(EADDRNOTAVAIL, "Cannot assign requested address")
        self.name = self.host.tcp_ports.bind(interface, address[1], self)

    def close(self) -> None:
        """Give the socket up."""
        raise NotImplementedError

    def wake(self) -> None:
        """Let the reactor look at its sockets."""
        self.host.reactor.wake()


class ListeningSocket(TCPSocket):
    """A socket that waits for connections."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._arrived: deque[StreamSocket] = deque()

    def is_readable(self) -> bool:
        """Tell whether `accept` would not block."""
        return bool(self._arrived)

    def listen(self, backlog: int) -> None:
        """Begin; whatever the backlog, all are taken."""

    def add(self, connection: StreamSocket) -> None:
        """Take a connection that has completed its handshake."""
        if self.host.tcp_ports.bound.get(self.name) is self:
            self._arrived.append(connection)
            self.wake()
        else:
            connection.vanish()

    def accept(self) -> tuple[StreamSocket, Address]:
        """Return the next connection."""
        if not self._arrived:
            raise BlockingIOError(EWOULDBLOCK, "nobody there")
        connection = self._arrived.popleft()
        return connection, connection.getpeername()

    def shutdown(self, how: int) -> None:
        """Do nothing: `close` follows."""

    def close(self) -> None:
        """Listen no more, and reset who was not yet accepted."""
        self.host.tcp_ports.release(self.name)
        while self._arrived:
            self._arrived.popleft().vanish()


class StreamSocket(TCPSocket):
    """
    One end of a connection.

    :ivar begin: called with the remote endpoint, starts the handshake.
    """

    def __init__(self, host: Host, begin: Callable[[StreamSocket, Address], None]) -> None:
        super().__init__(host)
        self._begin = begin
        self.state = State.NEW
        self._peer: Address | None = None
        self._outgoing: Stream | None = None
        self._incoming: Stream | None = None
        self._listener: ListeningSocket | None = None
        self._received: deque[bytes] = deque()
        self._errno = 0
        self._ended = self._shut = False
        host.connections[self] = None

    def establish(
        self,
        peer: Address,
        outgoing: Stream,
        incoming: Stream,
        listener: ListeningSocket | None = None,
    ) -> None:
        """Become connected; `listener` gets the server's end when the handshake is complete."""
        self._peer, self._outgoing, self._incoming = peer, outgoing, incoming
        self._listener = listener
        self.state = State.CONNECTED
        self.wake()

    def is_readable(self) -> bool:
        """Tell whether `recv` would not block."""
        if self.state is State.CONNECTED:
            return self._ended or bool(self._received)
        return self.state is State.BROKEN

    def is_writable(self) -> bool:
        """Tell whether `send` would not block, or `connect_ex` has an answer."""
        if self.state is State.CONNECTED and self._outgoing is not None:
            return self._outgoing.room() > 0
        return self.state is State.BROKEN

    def getsockopt(self, level: int, option: int) -> int | bytes:
        """Return an option; SO_ERROR is the pending error."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return self._errno
        return super().getsockopt(level, option)

    def getpeername(self) -> Address:
        """Return the remote endpoint."""
        if self._peer is None:
            raise OSError(ENOTCONN, "Transport endpoint is not connected")
        return self._peer

    def connect_ex(self, address: Address) -> int:
        """Begin to connect; called again, report what came of it."""
        if self.state is State.NEW:
            self.state = State.CONNECTING
            self._begin(self, address[:2])  # an IPv6 one has two members more
        if self.state is State.CONNECTED:
            return EISCONN
        return self._errno or EINPROGRESS

    def recv(self, size: int) -> bytes:
        """Return bytes in their order, or b"" at the end."""
        if self._received:
            return self._take(size)
        if self._ended:
            return b""
        if self.state is State.CONNECTED:
            raise BlockingIOError(EWOULDBLOCK, "nothing there")
        raise OSError(self._errno or ENOTCONN, "not connected")

    def send(self, data: bytes | memoryview) -> int:
        """Take as many bytes as the window has room for."""
        if self.state is not State.CONNECTED or self._shut or self._outgoing is None:
            raise OSError(self._errno or EPIPE, "not connected")
        accepted = bytes(data[: self._outgoing.room()])
        if data and not accepted:
            raise BlockingIOError(EWOULDBLOCK, "window full")
        if accepted:
            self._outgoing.send(accepted)
        return len(accepted)

    def shutdown(self, how: int) -> None:
        """End our direction, after what has been sent."""
        if self.state is not State.CONNECTED or self._outgoing is None:
            raise OSError(ENOTCONN, "Transport endpoint is not connected")
        if how != socket.SHUT_RD and not self._shut:
            self._shut = True
            self._outgoing.send(FIN)

    def close(self) -> None:
        """Give the socket up; what was sent still goes, unless the peer is to be reset."""
        lingers = (socket.SOL_SOCKET, socket.SO_LINGER) not in self._options
        if self.state is State.CONNECTED and lingers and not self._received:
            self.shutdown(socket.SHUT_RDWR)
            self._leave()
        else:
            self.vanish()

    def vanish(self) -> None:
        """Be gone at once, and let the peer be reset."""
        if self.state is State.CONNECTED and self._outgoing is not None:
            self._outgoing.reset()
        self._leave()

    def sever(self) -> None:
        """Lose the path for ever, in silence."""
        if self._outgoing is not None:
            self._outgoing.path.severed = True

    def arrive(self, segment: Segment) -> None:
        """Take a segment from the other end."""
        if self.state is State.CONNECTED:
            self._keep(segment)
            self.wake()
        elif segment and self._outgoing is not None:
            self._outgoing.reset()

    def fail(self, errno: int) -> None:
        """Break: refused, reset by the peer, or given up."""
        if self.state in (State.CONNECTING, State.CONNECTED):
            self.state = State.BROKEN
            self._errno = errno
        if self._outgoing is not None:
            self._outgoing.stop()
        self.wake()

    def _keep(self, segment: Segment) -> None:
        if segment is ACK:
            if self._listener is not None:
                self._listener.add(self)
        elif segment == FIN:
            self._ended = True
        else:
            self._received.append(segment)

    def _take(self, size: int) -> bytes:
        data = self._received.popleft()
        if len(data) > size:
            self._received.appendleft(data[size:])
            data = data[:size]
        if self._incoming is not None:
            self._incoming.acknowledge(len(data))
        return data

    def _leave(self) -> None:
        self.state = State.CLOSED
        self.host.connections.pop(self, None)
        if self.host.tcp_ports.bound.get(self.name) is self:
            self.host.tcp_ports.release(self.name)
