"""Tests for simulated TCP: Twisted's own transports over the simulated internet."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.simulation.internet import Internet
from tests.simulation.link import Link
from tests.simulation.stream import GIVE_UP_AFTER

SERVER = "203.0.113.10"
ONE_WAY = 0.05  # seconds


class Collector(Protocol):
    """Keeps what happens to it."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Collector):
    """Goes on writing when the other side has ended."""

    ended = False

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        """Do nothing."""


class CollectingFactory(Factory):
    """Builds protocols of one class and keeps them."""

    def __init__(self, protocol: type[Collector] = Collector) -> None:
        self.wanted = protocol
        self.built: list[Any] = []

    def buildProtocol(self, addr: object) -> Any:
        built = self.wanted()
        self.built.append(built)
        return built


class TCPCase(SynchronousTestCase):
    """A public server, and a client behind a NAT."""

    def setUp(self) -> None:
        self.internet = Internet(seed=1, link=Link(latency=ONE_WAY))
        self.server = self.internet.host(SERVER)
        self.nat = self.internet.nat()
        self.client = self.internet.host(behind=self.nat)
        self.factory = CollectingFactory()
        self.port = self.server.reactor.listenTCP(80, self.factory)

    def connect(self, port: int = 80, address: str = SERVER) -> Deferred[Any]:
        """Begin to connect."""
        endpoint = TCP4ClientEndpoint(self.client.reactor, address, port)
        connecting: Deferred[Any] = endpoint.connect(CollectingFactory())
        return connecting

    def connected(self) -> tuple[Any, Any]:
        """Connect, and return the client's and the server's protocol."""
        connecting = self.connect()
        self.internet.run(1)
        return self.successResultOf(connecting), self.factory.built[-1]


class ConnectionTests(TCPCase):
    """A connection begins, carries bytes, and ends."""

    def test_handshake(self) -> None:
        """The client is connected after one round trip, the server half a one later."""
        connecting = self.connect()
        self.assertApproximates(
            2 * ONE_WAY, self.internet.run_until(lambda: connecting.called), 0.01
        )
        self.assertApproximates(ONE_WAY, self.internet.run_until(lambda: self.factory.built), 0.01)

    def test_addresses(self) -> None:
        """Behind a NAT the client has its private address; the server sees the public one."""
        client, server = self.connected()
        self.assertEqual(self.client.address, client.transport.getHost().host)
        self.assertEqual(SERVER, client.transport.getPeer().host)
        self.assertEqual(self.nat.address, server.transport.getPeer().host)
        self.assertEqual(SERVER, server.transport.getHost().host)
        self.assertEqual(IPv4Address("TCP", "0.0.0.0", 80), self.port.getHost())

    def test_bytes_in_order(self) -> None:
        """Bytes arrive in order and complete, however bad the link."""
        self.internet.link = Link(latency=(0.01, 0.2), loss=0.2)
        client, server = self.connected()
        sent = [b"%d," % number for number in range(2000)]
        for chunk in sent:
            client.transport.write(chunk)
            server.transport.write(chunk)
            self.internet.run(0.001)
        self.internet.run(30)
        self.assertEqual(b"".join(sent), server.received)
        self.assertEqual(b"".join(sent), client.received)

    def test_large(self) -> None:
        """Much more than a window gets through."""
        client, server = self.connected()
        client.transport.write(bytes(3_000_000))
        self.internet.run(10)
        self.assertEqual(3_000_000, len(server.received))

    def test_close(self) -> None:
        """`loseConnection` sends what was written, then ends both sides cleanly."""
        client, server = self.connected()
        client.transport.write(bytes(1_000_000))
        client.transport.loseConnection()
        self.internet.run(5)
        self.assertEqual(1_000_000, len(server.received))
        for end in (client, server):
            end.lost.trap(ConnectionDone)
        self.assertEqual({}, self.client.connections)
        self.assertEqual({}, self.server.connections)

    def test_abort(self) -> None:
        """`abortConnection` resets the other side."""
        client, server = self.connected()
        client.transport.abortConnection()
        self.internet.run(1)
        server.lost.trap(ConnectionLost)

    def test_half_close(self) -> None:
        """One side may end while the other goes on."""
        self.factory.wanted = HalfCloseable
        client, server = self.connected()
        server.transport.write(b"last")
        server.transport.loseWriteConnection()
        self.internet.run(1)
        self.assertEqual(b"last", client.received)
        client.lost.trap(ConnectionDone)
        self.assertTrue(server.ended)

    def test_refused(self) -> None:
        """Where nobody listens, the connection is refused after a round trip."""
        refused = self.connect(port=81)
        self.internet.run(3 * ONE_WAY)
        self.failureResultOf(refused, ConnectionRefusedError)

    def test_stopped(self) -> None:
        """A port that stops listening refuses, too; its connections live on."""
        client, server = self.connected()
        self.port.stopListening()
        self.internet.run(1)
        refused = self.connect()
        client.transport.write(b"still here")
        self.internet.run(1)
        self.failureResultOf(refused, ConnectionRefusedError)
        self.assertEqual(b"still here", server.received)

    def test_nowhere(self) -> None:
        """An address that nobody has, and a NAT, never answer: Twisted times out."""
        attempts = [self.connect(address="192.0.2.1"), self.connect(address=self.nat.address)]
        self.internet.run(29)
        for attempt in attempts:
            self.assertNoResult(attempt)
        self.internet.run(2)
        for attempt in attempts:
            self.failureResultOf(attempt, TimeoutError)

    def test_port_taken(self) -> None:
        """A port can be listened on once."""
        self.assertRaises(CannotListenError, self.server.reactor.listenTCP, 80, self.factory)

    def test_loopback(self) -> None:
        """A host connects to itself at 127.0.0.1."""
        self.client.reactor.listenTCP(8080, self.factory, interface="127.0.0.1")
        connecting = self.connect(8080, "127.0.0.1")
        self.internet.run(0)
        self.successResultOf(connecting)
        self.assertEqual("127.0.0.1", self.factory.built[0].transport.getPeer().host)


class OutageTests(TCPCase):
    """What breaks, what waits, and who learns of it."""

    def test_offline_and_back(self) -> None:
        """Bytes written during 30 s offline arrive when the host is back."""
        client, server = self.connected()
        for host in (self.client, self.server):
            host.online = False
            client.transport.write(b"up")
            server.transport.write(b"down")
            self.internet.run(30)
            host.online = True
            self.internet.run(3)
        self.assertEqual((b"upup", b"downdown"), (server.received, client.received))
        self.assertIs(None, client.lost)

    def test_cut_in_flight(self) -> None:
        """Bytes that were under way when the cut came are sent again."""
        client, server = self.connected()
        client.transport.write(b"x")
        self.internet.run(ONE_WAY / 2)
        self.nat.online = False
        self.internet.run(1)
        self.assertEqual(b"", server.received)
        self.nat.online = True
        self.internet.run(3)
        self.assertEqual(b"x", server.received)

    def test_gives_up(self) -> None:
        """A sender whose bytes never arrive gives up; who only listens never knows."""
        client, server = self.connected()
        self.client.online = False
        server.transport.write(b"x")
        self.internet.run(GIVE_UP_AFTER - 1)
        self.assertIs(None, server.lost)
        self.internet.run(5)
        server.lost.trap(ConnectionLost)
        self.assertIs(None, client.lost)

    def test_kill(self) -> None:
        """The peer of a killed host is reset; the killed protocol is told nothing."""
        client, server = self.connected()
        self.server.kill()
        self.internet.run(1)
        client.lost.trap(ConnectionLost)
        self.assertIs(None, server.lost)

    def test_kill_offline(self) -> None:
        """If it was offline the peer learns of it when it writes, after the host is back."""
        client, _ = self.connected()
        self.server.online = False
        self.server.kill()
        self.internet.run(100)
        self.assertIs(None, client.lost)
        self.server.online = True
        self.server.boot()
        self.internet.run(1)
        client.transport.write(b"anybody there?")
        self.internet.run(1)
        client.lost.trap(ConnectionLost)

    def test_reborn(self) -> None:
        """After a boot the server listens and accepts again."""
        self.connected()
        self.server.boot().listenTCP(80, self.factory)
        client, server = self.connected()
        client.transport.write(b"again")
        self.internet.run(1)
        self.assertEqual(b"again", server.received)

    def test_nat_reboot(self) -> None:
        """A NAT that forgets a connection: the client is reset when it writes."""
        client, server = self.connected()
        self.nat.reboot()
        server.transport.write(b"lost")
        self.internet.run(1)
        self.assertIs(None, client.lost)
        client.transport.write(b"x")
        self.internet.run(1)
        client.lost.trap(ConnectionLost)
        self.assertEqual((b"", b""), (client.received, server.received))

    def test_move(self) -> None:
        """A host that moves has dead connections and can make new ones."""
        client, server = self.connected()
        self.client.move()
        client.transport.write(b"x")
        self.internet.run(1)
        self.assertEqual(b"", server.received)
        _, again = self.connected()
        self.assertEqual(self.client.address, again.transport.getPeer().host)


@implementer(IPushProducer, IPullProducer)
class Producer:
    """Writes ten large chunks, when it may."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.left = 10
        self.pauses = 0
        self.paused = False

    def resumeProducing(self) -> None:
        self.paused = False
        self.produce()

    def produce(self) -> None:
        """Write one chunk, and another until told to pause."""
        if self.left:
            self.left -= 1
            self.transport.write(bytes(200_000))
        else:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.paused = True
        self.pauses += 1

    def stopProducing(self) -> None:
        self.left = 0


class FlowTests(TCPCase):
    """Producers, and a reader that pauses."""

    def test_producers(self) -> None:
        """Push and pull producers write at the pace of the connection."""
        for streaming in (True, False):
            client, server = self.connected()
            producer = Producer(client.transport)
            client.transport.registerProducer(producer, streaming)
            if streaming:
                producer.produce()
            self.internet.run(30)
            self.assertEqual(2_000_000, len(server.received))
            self.assertEqual(streaming, producer.pauses > 0)

    def test_paused_reader(self) -> None:
        """A reader that pauses stops the writer after a window, and gets the rest later."""
        client, server = self.connected()
        server.transport.pauseProducing()
        client.transport.write(bytes(1_000_000))
        self.internet.run(10)
        self.assertEqual(b"", server.received)
        server.transport.resumeProducing()
        self.internet.run(10)
        self.assertEqual(1_000_000, len(server.received))
