"""The stream to a relay: over simulated TCP, and TLS with a certificate made here."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, PrivateCertificate
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import LocalProtocolError
from p2pchat.peer.relay_stream import RelayStream
from p2pchat.traversal.relays import CONNECT_TIMEOUT
from p2pchat.wire import stun
from p2pchat.wire.channel_data import encode_channel_data
from p2pchat.wire.servers import RelayServer, Transport
from tests.certificates import make_certificate
from tests.simulation.internet import Internet
from tests.simulation.link import Link
from tests.simulation.world import runtime_on

ADDRESS = "203.0.113.7"
FRAME = encode_channel_data(0x4000, b"hello", True)


def private_certificate(address: str) -> PrivateCertificate:
    """Make a certificate that signs itself."""
    made: PrivateCertificate = PrivateCertificate.loadPEM(b"".join(make_certificate(address)))
    return made


class Server(Protocol):
    """A relay's end, which sends everything back."""

    def __init__(self, connections: list[Server]) -> None:
        self.gone = False
        connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        """Send it back, a byte at a time."""
        for number in range(len(data)):
            self.write(data[number : number + 1])

    def write(self, data: bytes) -> None:
        """Send."""
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note it."""
        self.gone = True


class StreamTransport(StringTransport):
    """A TCP connection."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See `ITCPTransport`."""


class Case(SynchronousTestCase):
    """A relay's host, a client's, and what the client is told."""

    def setUp(self) -> None:
        """Make both hosts."""
        self.internet = Internet(5, link=Link(latency=0.01))
        self.relay = self.internet.host(ADDRESS)
        self.runtime = runtime_on(self.internet.host(), Random(5))
        self.connections: list[Server] = []
        self.told: list[Any] = []

    def listen(self, certificate: PrivateCertificate | None = None) -> None:
        """Listen on port 3478, with TLS if there is a certificate."""
        connections = self.connections
        factory: Any = Factory.forProtocol(lambda: Server(connections))
        if certificate is not None:
            clock = self.runtime.clock
            factory = TLSMemoryBIOFactory(certificate.options(), False, factory, clock=clock)
        factory.noisy = False
        self.relay.reactor.listenTCP(3478, factory)

    def open(self, transport: Transport, host: str = ADDRESS, trust: Any = None) -> RelayStream:
        """Connect."""
        return RelayStream(
            self.runtime,
            RelayServer(host, 3478, transport),
            (ADDRESS, 3478),
            self.told.append,
            lambda: self.told.append("connected"),
            lambda reason: self.told.append(("lost", reason)),
            trust,
        )

    def lost(self) -> str:
        """Return why the connection was lost, which was told once and last."""
        word, reason = self.told[-1]
        self.assertEqual(word, "lost")
        self.assertEqual(sum(isinstance(one, tuple) for one in self.told), 1)
        return str(reason)


class TcpTests(Case):
    """Over TCP."""

    def test_frames(self) -> None:
        """Frames go out, and come in whole."""
        self.listen()
        stream = self.open(Transport.TCP)
        self.internet.run(1)
        stream.write(FRAME + stun.encode(stun.request(bytes(12))))
        self.internet.run(1)
        self.assertEqual(self.told, ["connected", FRAME, stun.encode(stun.request(bytes(12)))])

    def test_close(self) -> None:
        """Closing closes, and isn't told; what is written after it is dropped."""
        self.listen()
        stream = self.open(Transport.TCP)
        self.internet.run(1)
        stream.close()
        stream.write(FRAME)
        self.internet.run(1)
        self.assertEqual((self.told, stream.unsent), (["connected"], 1))
        self.assertTrue(self.connections[0].gone)

    def test_close_early(self) -> None:
        """Closing before the connection is there leaves nothing behind."""
        self.listen()
        stream = self.open(Transport.TCP)
        stream.close()
        self.internet.run(CONNECT_TIMEOUT + 1)
        self.assertEqual(self.told, [])
        self.assertEqual(list(self.runtime.reactor.getDelayedCalls()), [])

    def test_refused(self) -> None:
        """A relay that isn't there is told at once."""
        self.open(Transport.TCP)
        self.internet.run(1)
        self.assertIn("can't be reached: ", self.lost())

    def test_name(self) -> None:
        """A name isn't looked up: the address that was judged is the one connected to."""
        self.internet.dns["relay.example"] = "203.0.113.99"
        self.listen()
        self.open(Transport.TCP, host="relay.example")
        self.internet.run(1)
        self.assertEqual((self.told, len(self.connections)), (["connected"], 1))

    def test_silent(self) -> None:
        """A host that answers nothing is given up after CONNECT_TIMEOUT."""
        self.relay.online = False
        self.open(Transport.TCP)
        self.internet.run(CONNECT_TIMEOUT - 0.1)
        self.assertEqual(self.told, [])
        self.internet.run(0.2)
        self.assertEqual(self.lost(), "can't be reached: timed out")

    def test_relay_closes(self) -> None:
        """When the relay closes, it is told once."""
        self.listen()
        self.open(Transport.TCP)
        self.internet.run(1)
        transport: Any = self.connections[0].transport
        transport.loseConnection()
        self.internet.run(1)
        self.assertEqual(self.lost(), "closed the connection")

    def test_garbage(self) -> None:
        """A stream that can't be cut is ended."""
        self.listen()
        self.open(Transport.TCP)
        self.internet.run(1)
        self.connections[0].write(b"\x80\r\n\r\n")
        self.internet.run(1)
        self.assertIn("neither STUN nor ChannelData", self.lost())
        self.assertTrue(self.connections[0].gone)

    def test_full(self) -> None:
        """While the connection takes no more, frames are dropped, and it goes on after."""
        self.listen()
        stream = self.open(Transport.TCP)
        self.internet.run(1)
        self.relay.online = False
        big = encode_channel_data(0x4000, bytes(4000), True)
        for _ in range(400):
            stream.write(big)
            self.internet.run(0.001)
        self.assertGreater(stream.unsent, 50)
        self.relay.online = True
        self.internet.run(10)
        unsent = stream.unsent
        stream.write(FRAME)
        self.internet.run(5)
        self.assertEqual((stream.unsent, self.told[-1]), (unsent, FRAME))

    def test_udp(self) -> None:
        """A relay over UDP has no stream."""
        self.assertRaises(LocalProtocolError, self.open, Transport.UDP)

    def test_interfaces(self) -> None:
        """The protocol provides what its transports call."""
        reactor, transport = MemoryReactorClock(), StreamTransport()
        self.runtime = attrs.evolve(self.runtime, reactor=reactor)
        self.open(Transport.TCP)
        ((_, _, factory, *_),) = reactor.tcpClients
        protocol: Any = factory.buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        self.assertTrue(verifyObject(IHandshakeListener, transport.producer))
        self.assertTrue(verifyObject(IPushProducer, transport.producer))


class TlsTests(Case):
    """Over TLS."""

    def test_frames(self) -> None:
        """With a certificate that is trusted, frames go both ways."""
        certificate = private_certificate(ADDRESS)
        self.listen(certificate)
        stream = self.open(Transport.TLS, trust=Certificate(certificate.original))
        self.internet.run(1)
        stream.write(FRAME)
        self.internet.run(1)
        self.assertEqual(self.told, ["connected", FRAME])
        stream.close()
        self.internet.run(1)
        self.assertTrue(self.connections[0].gone)

    def test_untrusted(self) -> None:
        """One that the platform doesn't trust is refused before anything is sent."""
        self.listen(private_certificate(ADDRESS))
        self.open(Transport.TLS)
        self.internet.run(1)
        self.assertIn("is signed by itself ('203.0.113.7'), and nobody vouches", self.lost())

    def test_another_host(self) -> None:
        """So is a good one for another host."""
        certificate = private_certificate("203.0.113.99")
        self.listen(certificate)
        self.open(Transport.TLS, trust=Certificate(certificate.original))
        self.internet.run(1)
        self.assertNotIn("connected", self.told)
        self.assertIn("is for 203.0.113.99, not for 203.0.113.7: another server", self.lost())

    def test_close_after_the_end(self) -> None:
        """One that is closed when it is gone already, for either reason, is gone."""
        certificate = private_certificate(ADDRESS)
        self.listen(certificate)
        untrusted = self.open(Transport.TLS)
        broken_off = self.open(Transport.TLS, trust=Certificate(certificate.original))
        self.internet.run(1)
        self.relay.kill()
        self.internet.run(1)
        self.assertEqual(sum(isinstance(one, tuple) for one in self.told), 2)
        for stream in (untrusted, broken_off):
            stream.close()
        self.assertEqual(sum(isinstance(one, tuple) for one in self.told), 2)

    def test_silent(self) -> None:
        """A port that takes the connection and shakes no hands is given up in time."""
        self.relay.reactor.listenTCP(3478, Factory.forProtocol(Protocol))
        self.open(Transport.TLS)
        self.internet.run(CONNECT_TIMEOUT + 1)
        self.assertEqual(self.lost(), "can't be reached: timed out")
