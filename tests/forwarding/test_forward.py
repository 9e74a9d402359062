"""Tests of :mod:`p2pchat.forwarding.forward`, with real sockets of loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from p2pchat.forwarding import forward as module
from p2pchat.forwarding.forward import (
    Forward,
    ForwardClosed,
    ForwardEvent,
    ForwardFailed,
    ForwardOpened,
)

SIZE = 4_000_000  # bytes: more than the buffers on the way


@implementer(IHalfCloseableProtocol)
class Counting(Protocol):
    """A service that answers with the number of bytes, when there are no more."""

    transport: Any
    count = 0

    def dataReceived(self, data: bytes) -> None:
        """Count them."""
        self.count += len(data)

    def readConnectionLost(self) -> None:
        """Answer."""
        self.transport.write(b"%d" % self.count)
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing is left to do."""


@implementer(IHalfCloseableProtocol)
class Caller(Protocol):
    """A client that sends much, then no more, and keeps what is answered."""

    transport: Any

    def __init__(self, size: int) -> None:
        self.size = size
        self.answer = b""
        self.gone: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        """Send all of it."""
        self.transport.write(b"x" * self.size)
        self.transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.answer += data

    def readConnectionLost(self) -> None:
        """Go."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Wait for the answer."""

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """Tell how it ended."""
        self.gone.callback(self.answer)


class SocketTests(TestCase):
    """A forward from a port of loopback to another."""

    def setUp(self) -> None:
        self.events: list[ForwardEvent] = []

    def listen(self, factory: Factory) -> Deferred[int]:
        """Serve at a port; a Deferred fires with its number."""

        def number(port: Any) -> int:
            self.addCleanup(port.stopListening)
            return int(port.getHost().port)

        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        found: Deferred[int] = endpoint.listen(factory).addCallback(number)
        return found

    def forward_to(self, port: int) -> Deferred[int]:
        """Begin a forward; a Deferred fires with its port."""
        near = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        far = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        forward = Forward(near, far, self.events.append)
        self.addCleanup(forward.stop)
        started: Deferred[int] = forward.start().addCallback(lambda found: found.getHost().port)
        return started

    @inlineCallbacks
    def test_half_close(self) -> Any:
        """All is passed on, then the end of it, and the answer comes back after that."""
        service = yield self.listen(Factory.forProtocol(Counting))
        port = yield self.forward_to(service)
        caller = Caller(SIZE)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        yield endpoint.connect(Factory.forProtocol(lambda: caller))
        answer = yield caller.gone
        self.assertEqual(answer, b"%d" % SIZE)
        opened, closed = self.events
        self.assertIsInstance(opened, ForwardOpened)
        assert isinstance(closed, ForwardClosed)
        self.assertEqual((closed.sent, closed.received, closed.reason), (SIZE, len(answer), None))

    @inlineCallbacks
    def test_refused(self) -> Any:
        """Where nobody is at the other end, the caller is reset, and why is told."""
        port = yield self.forward_to(1)
        caller = Caller(1)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        yield endpoint.connect(Factory.forProtocol(lambda: caller))
        self.assertEqual((yield caller.gone), b"")
        (failed,) = self.events
        assert isinstance(failed, ForwardFailed)
        self.assertIsInstance(failed.reason, ConnectionRefusedError)


class Nowhere:
    """An endpoint whose connections take for ever, or are refused at once."""

    def __init__(self, connect: Callable[[], Deferred[Any]]) -> None:
        self.connect = lambda _factory: connect()
        self.factory: Any = None

    def listen(self, factory: Any) -> str:
        """Keep the factory, with which connections are made."""
        self.factory = factory
        return "port"


class BoundTests(SynchronousTestCase):
    """What is bounded, with endpoints that the test plays."""

    def setUp(self) -> None:
        self.events: list[ForwardEvent] = []

    def forward(self, connect: Callable[[], Deferred[Any]]) -> tuple[Forward, Nowhere]:
        """Begin a forward."""
        nowhere = Nowhere(connect)
        forward = Forward(nowhere, nowhere, self.events.append)  # type: ignore[arg-type]
        forward.start()
        return forward, nowhere

    def test_bound(self) -> None:
        """One connection more than the most is refused, and told."""
        forward, nowhere = self.forward(Deferred)
        made = [nowhere.factory.buildProtocol(None) for _ in range(module.MAX_CONNECTIONS + 1)]
        self.assertIsNone(made[-1])
        self.assertIsNotNone(made[-2])
        self.assertEqual(self.events, [ForwardFailed(None, None)])  # type: ignore[arg-type]
        self.assertEqual(forward.open_connections, module.MAX_CONNECTIONS)

    def test_room_again(self) -> None:
        """What failed to connect takes no room."""
        forward, nowhere = self.forward(lambda: fail(ConnectionRefusedError()))
        nowhere.factory.buildProtocol(None).makeConnection(StringTransport())
        self.assertEqual(forward.open_connections, 0)

    def test_stop(self) -> None:
        """What waits for the other end is given up when the forward stops."""
        cancelled: list[object] = []
        forward, nowhere = self.forward(lambda: Deferred(cancelled.append))
        near = nowhere.factory.buildProtocol(None)
        transport = StringTransport()
        near.makeConnection(transport)
        forward.stop()
        self.assertEqual(len(cancelled), 1)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(forward.open_connections, 0)
