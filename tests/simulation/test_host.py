"""Tests for the hosts and their reactors: interfaces, UDP ports, kill -9, and names."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import (
    CannotListenError,
    DNSLookupError,
    InvalidAddressError,
    MessageLengthError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
    IListeningPort,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IUDPTransport,
)
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.simulation.internet import Internet
from tests.simulation.recorder import Recorder

A, B = "203.0.113.10", "198.51.100.20"


class HostCase(SynchronousTestCase):
    """Two public hosts."""

    def setUp(self) -> None:
        self.internet = Internet(seed=1)
        self.a, self.b = self.internet.host(A), self.internet.host(B)


class ReactorTests(HostCase):
    """What a host's reactor provides."""

    def test_interfaces(self) -> None:
        """It provides time, UDP, TCP, name resolution, and what Twisted's transports need."""
        for interface in (
            IReactorTime,
            IReactorUDP,
            IReactorTCP,
            IReactorPluggableNameResolver,
            IReactorFDSet,
        ):
            self.assertTrue(verifyObject(interface, self.a.reactor))
        self.assertTrue(verifyObject(IHostnameResolver, self.a.reactor.nameResolver))

    def test_time(self) -> None:
        """It has the time of the internet's clock, and lists only its own calls."""
        reactor = self.a.reactor
        done: list[str] = []
        call = reactor.callLater(2, done.append, "called")
        self.assertEqual(self.internet.clock.seconds(), reactor.seconds())
        self.assertEqual([call], reactor.getDelayedCalls())
        self.assertEqual([], self.b.reactor.getDelayedCalls())
        self.internet.run(2)
        self.assertEqual(["called"], done)

    def test_failing_call(self) -> None:
        """An exception in a delayed call is logged, and time goes on."""
        done: list[int] = []
        self.a.reactor.callLater(1, [].pop)
        self.a.reactor.callLater(2, done.append, 1)
        self.internet.run(3)
        self.assertEqual([1], done)
        self.assertEqual(1, len(self.flushLoggedErrors(IndexError)))

    def test_negative_delay(self) -> None:
        """A delay below 0 is refused, as by a real reactor."""
        self.assertRaises(AssertionError, self.a.reactor.callLater, -1, print)


class UDPPortTests(HostCase):
    """A UDP port is what Twisted's would be."""

    def test_interfaces(self) -> None:
        """The port is the listening port and the transport."""
        recorder = Recorder.on(self.a)
        self.assertTrue(verifyObject(IListeningPort, recorder.transport))
        self.assertTrue(verifyObject(IUDPTransport, recorder.transport))

    def test_host(self) -> None:
        """It knows its endpoint; port 0 is a free ephemeral port."""
        self.assertEqual(
            IPv4Address("UDP", "0.0.0.0", 7), Recorder.on(self.a, 7).transport.getHost()
        )
        self.assertEqual(IPv4Address("UDP", A, 8), Recorder.on(self.a, 8, A).transport.getHost())
        self.assertTrue(32768 <= Recorder.on(self.a).port <= 60999)

    def test_taken(self) -> None:
        """A port is bound once, and only to an interface of the host."""
        Recorder.on(self.a, 7)
        self.assertRaises(CannotListenError, Recorder.on, self.a, 7)
        self.assertRaises(CannotListenError, Recorder.on, self.a, 7, A)
        self.assertRaises(CannotListenError, Recorder.on, self.a, 8, B)

    def test_ttl(self) -> None:
        """The TTL is set on the handle, for the datagrams that follow."""
        recorder, target = Recorder.on(self.a), Recorder.on(self.b, 7)
        handle = recorder.transport.getHandle()
        self.assertEqual(64, handle.getsockopt(socket.IPPROTO_IP, socket.IP_TTL))
        for ttl in (2, 64):
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            self.assertEqual(ttl, handle.getsockopt(socket.IPPROTO_IP, socket.IP_TTL))
            recorder.transport.write(b"%d" % ttl, (B, 7))
        self.internet.run(1)
        self.assertEqual([b"64"], [data for data, _ in target.received])
        self.assertRaises(OSError, handle.setsockopt, socket.IPPROTO_IP, socket.IP_TTL, 0)

    def test_refused_writes(self) -> None:
        """Names, impossible ports and giants are refused at once."""
        transport = Recorder.on(self.a).transport
        self.assertRaises(InvalidAddressError, transport.write, b"", ("example.com", 7))
        self.assertRaises(OSError, transport.write, b"", (B, 0))
        self.assertRaises(MessageLengthError, transport.write, bytes(70_000), (B, 7))

    def test_connected(self) -> None:
        """A connected port writes to, and hears from, its peer alone."""
        recorder, peer = Recorder.on(self.a, 7), Recorder.on(self.b, 7)
        recorder.transport.connect(B, 7)
        recorder.transport.write(b"x")
        Recorder.on(self.b, 8).send(b"stranger", (A, 7))
        peer.send(b"peer", (A, 7))
        self.internet.run(1)
        self.assertEqual([(b"x", (A, 7))], peer.received)
        self.assertEqual([(b"peer", (B, 7))], recorder.received)

    def test_cut(self) -> None:
        """A datagram longer than the protocol takes is cut."""
        target = Recorder()
        self.b.reactor.listenUDP(7, target, maxPacketSize=4)
        Recorder.on(self.a).send(b"123456", (B, 7))
        self.internet.run(1)
        self.assertEqual(b"1234", target.received[0][0])

    def test_failing_protocol(self) -> None:
        """An exception of the protocol is logged, and the port stays open."""

        class Failing(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: object) -> None:
                raise ValueError(datagram)

        self.b.reactor.listenUDP(7, Failing())
        sender = Recorder.on(self.a)
        sender.send(b"1", (B, 7))
        sender.send(b"2", (B, 7))
        self.internet.run(1)
        self.assertEqual(2, len(self.flushLoggedErrors(ValueError)))

    def test_stop(self) -> None:
        """A stopped port hears nothing; its protocol is told, and the port is free again."""
        recorder = Recorder.on(self.a, 7)
        stopped = recorder.transport.stopListening()
        self.assertNoResult(stopped)
        self.internet.run(0)
        self.successResultOf(stopped)
        self.assertIs(None, recorder.transport)
        Recorder.on(self.a, 7)


class KillTests(HostCase):
    """kill -9, and a new life."""

    def test_timers(self) -> None:
        """No pending call of a killed host fires; others' do; new ones are forgotten."""
        done: list[str] = []
        old = self.a.reactor
        old.callLater(1, done.append, "killed")
        self.b.reactor.callLater(1, done.append, "alive")
        self.a.kill()
        old.callLater(1, done.append, "too late")
        self.internet.run(2)
        self.assertEqual(["alive"], done)

    def test_udp(self) -> None:
        """Its sockets are gone, in both directions, and nobody is told."""
        old, other = Recorder.on(self.a, 7), Recorder.on(self.b, 7)
        old.send(b"before", (B, 7))
        self.a.kill()
        old.transport.write(b"after", (B, 7))
        other.send(b"x", (A, 7))
        self.internet.run(1)
        self.assertEqual([b"before"], [data for data, _ in other.received])
        self.assertEqual([], old.received)

    def test_boot(self) -> None:
        """After a boot there is a fresh reactor, and the old ports are free."""
        Recorder.on(self.a, 7)
        old = self.a.reactor
        self.a.kill()
        self.assertIs(self.a.boot(), self.a.reactor)
        self.assertIsNot(old, self.a.reactor)
        again = Recorder.on(self.a, 7)
        Recorder.on(self.b).send(b"x", (A, 7))
        self.internet.run(1)
        self.assertEqual(1, len(again.received))


class NameTests(HostCase):
    """Names resolve without a thread."""

    def connect(self, name: str) -> Any:
        """Connect an endpoint to this name."""
        factory = Factory.forProtocol(Protocol)
        return HostnameEndpoint(self.a.reactor, name, 80).connect(factory)

    def test_name_and_literal(self) -> None:
        """`HostnameEndpoint` connects to names of the internet's DNS and to literals."""
        self.internet.dns["registry.example"] = B
        self.b.reactor.listenTCP(80, Factory.forProtocol(Protocol))
        for name in ("registry.example", B):
            connecting = self.connect(name)
            self.internet.run(1)
            protocol = self.successResultOf(connecting)
            self.assertEqual(IPv4Address("TCP", B, 80), protocol.transport.getPeer())

    def test_unknown(self) -> None:
        """An unknown name, or any name when offline, is a lookup error."""
        self.internet.dns["registry.example"] = B
        unknown = self.connect("nobody.example")
        self.a.online = False
        offline = self.connect("registry.example")
        self.internet.run(1)
        self.failureResultOf(unknown, DNSLookupError)
        self.failureResultOf(offline, DNSLookupError)
