"""The UDP sockets, on a transport or a reactor that the test plays."""

from __future__ import annotations

import socket
import sys
from errno import EADDRINUSE, EHOSTUNREACH, EMFILE, ENETUNREACH, EPERM
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from p2pchat.peer.datagrams import DEFAULT_TTL, MAX_SOCKETS, PeerProtocol, PeerSockets
from p2pchat.traversal.punching import LOW_TTL
from p2pchat.traversal.routes import SOCKETS, Datagram, Fragmentation
from p2pchat.wire.addresses import Address, Family

SOURCE = ("192.0.2.1", 4000)


@attrs.define
class FakeTransport:
    """
    A UDP transport, and its socket.

    :ivar written: (data, address, TTL of the socket at that moment).
    :ivar trouble: raised by the next writes.
    """

    written: list[tuple[bytes, tuple[str, int], int]] = attrs.Factory(list)
    options: list[tuple[int, int, int]] = attrs.Factory(list)
    ttl: int = 64
    trouble: Exception | None = None

    def write(self, data: bytes, address: tuple[str, int]) -> None:
        """Send, or fail."""
        if self.trouble is not None:
            raise self.trouble
        self.written.append((data, address, self.ttl))

    def getHandle(self) -> FakeTransport:
        """Return the socket: this."""
        return self

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set the TTL."""
        self.options.append((level, option, value))
        self.ttl = value


class PeerProtocolTests(SynchronousTestCase):
    """Both directions of one socket."""

    def setUp(self) -> None:
        self.received: list[tuple[str, list[bytes], Address]] = []
        self.protocol = PeerProtocol(
            "base", lambda base, batch, source: self.received.append((base, batch, source))
        )
        self.transport = FakeTransport()
        self.protocol.transport = self.transport  # type: ignore[assignment]

    @given(st.binary(max_size=50))
    def test_any_bytes(self, data: bytes) -> None:
        """Every datagram is handed on as it is, with the socket's name; others judge it."""
        self.received.clear()
        self.protocol.datagramReceived(data, SOURCE)
        self.assertEqual(self.received, [("base", [data], SOURCE)])

    def test_source(self) -> None:
        """Of a longer source address, host and port count."""
        self.protocol.datagramReceived(b"x", ("2001:db8::1", 4000, 0, 0))
        self.assertEqual(self.received, [("base", [b"x"], ("2001:db8::1", 4000))])

    def test_ttl(self) -> None:
        """A low TTL is set for the datagram that wants it and set back for the next."""
        for ttl in (None, LOW_TTL, LOW_TTL, None, None):
            self.protocol.send([b"x"], SOURCE, ttl)
        ttls = [ttl for *_, ttl in self.transport.written]
        self.assertEqual(ttls, [DEFAULT_TTL, LOW_TTL, LOW_TTL, DEFAULT_TTL, DEFAULT_TTL])
        option = (socket.IPPROTO_IP, socket.IP_TTL)
        self.assertEqual(self.transport.options, [(*option, LOW_TTL), (*option, DEFAULT_TTL)])

    def test_fragmentation(self) -> None:
        """The rule for fragments is set for what wants another, where the system has one."""
        ways = Fragmentation.ALLOWED, Fragmentation.AS_KNOWN, Fragmentation.FORBIDDEN
        for way in (Fragmentation.AS_KNOWN, *ways):
            self.protocol.send([b"x"], SOURCE, None, way)
        expected = [(socket.IPPROTO_IP, 10, value) for value in (0, 1, 3)]
        self.assertEqual(self.transport.options, expected if sys.platform == "linux" else [])

    def test_network_refuses(self) -> None:
        """What the network doesn't take is lost and counted; the next goes out."""
        for trouble in (
            OSError(ENETUNREACH, "Network is unreachable"),
            OSError(EHOSTUNREACH, "No route to host"),
            PermissionError(EPERM, "Operation not permitted"),
            MessageLengthError("message too long"),
            ValueError("an IPv6 address on an IPv4 socket"),
        ):
            self.transport.trouble = trouble
            self.protocol.send([b"x"], SOURCE, LOW_TTL)
        self.transport.trouble = None
        self.protocol.send([b"y"], SOURCE, None)
        self.assertEqual(self.protocol.unsent, 5)
        self.assertEqual(self.transport.written, [(b"y", SOURCE, DEFAULT_TTL)])

    def test_closed(self) -> None:
        """A socket that is gone takes nothing, without a word."""
        self.protocol.transport = None
        self.protocol.send([b"x"], SOURCE, None)
        self.assertEqual(self.transport.written, [])


@attrs.define(eq=False)
class FakePort:
    """
    A listening port, and the transport of its protocol.

    :ivar closing: fires when the port is closed; `None`: at once.
    """

    number: int
    protocol: DatagramProtocol
    transport: FakeTransport
    is_open: bool = True
    closing: Deferred[None] | None = None

    def getHost(self) -> IPv4Address:
        """Return its number; nobody asks for more."""
        return IPv4Address("UDP", "0.0.0.0", self.number)

    def stopListening(self) -> Deferred[None] | None:
        """Close it."""
        self.is_open = False
        return self.closing


@attrs.define(eq=False)
class FakeReactor:
    """
    A reactor that has UDP ports, as many as the test allows.

    :ivar trouble: raised by the next calls.
    :ivar ipv6: the IPv6 ports that may be had, 0 for any.
    """

    ports: list[FakePort] = attrs.Factory(list)
    trouble: Exception | None = None
    ipv6: tuple[int, ...] = ()

    def listenUDP(self, number: int, protocol: DatagramProtocol, interface: str = "") -> FakePort:
        """Open a port."""
        if self.trouble is not None:
            raise self.trouble
        if interface and number not in self.ipv6:
            raise CannotListenError(interface, number, OSError(EADDRINUSE, "in use"))
        transport = FakeTransport()
        port = FakePort(number or 40_000 + len(self.ports), protocol, transport)
        protocol.transport = transport  # type: ignore[assignment]
        self.ports.append(port)
        return port

    @property
    def open(self) -> list[FakePort]:
        """The ports that are open."""
        return [port for port in self.ports if port.is_open]


class PeerSocketsTests(SynchronousTestCase):
    """The chat socket, and the many that open and close around it."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.received: list[tuple[str, list[bytes], Address]] = []
        self.sockets = PeerSockets(
            self.reactor, lambda base, batch, source: self.received.append((base, batch, source))
        )
        self.sockets.bind(5000)

    def send(self, number: int, ufrag: str = "aaaa", ttl: int | None = None) -> None:
        """Send from one of the many."""
        self.sockets.send([Datagram(b"x", SOURCE, ttl, f"{SOCKETS}{ufrag}/{number}")])

    def test_chat_socket(self) -> None:
        """It is bound as the person wants, and is what datagrams leave from by default."""
        (chat,) = self.reactor.open
        self.assertEqual((chat.number, self.sockets.ports), (5000, {Family.IPV4: 5000}))
        self.sockets.send([Datagram(b"x", SOURCE)])
        self.assertEqual(chat.transport.written, [(b"x", SOURCE, DEFAULT_TTL)])

    def test_ipv6(self) -> None:
        """With IPv6 there are two, on the same port if it is free; each has its family."""
        for free, number in (((5000, 0), 5000), ((0,), 40_001)):
            self.reactor = FakeReactor(ipv6=free)
            sockets = PeerSockets(self.reactor, lambda *_received: None)
            sockets.bind(5000)
            self.assertEqual(sockets.ports, {Family.IPV4: 5000, Family.IPV6: number})
            to = ("2001:db8::1", 4000)
            sockets.send([Datagram(b"x", SOURCE)])
            sockets.send([Datagram(b"y", to, LOW_TTL)])
            ipv4, ipv6 = self.reactor.open
            self.assertEqual(ipv4.transport.written, [(b"x", SOURCE, DEFAULT_TTL)])
            self.assertEqual(ipv6.transport.written, [(b"y", to, LOW_TTL)])
            hops = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, LOW_TTL)
            self.assertEqual(ipv6.transport.options, [hops])
            sockets.close()
            self.assertEqual(self.reactor.open, [])

    def test_no_ipv6(self) -> None:
        """Without IPv6, what wants to go there is lost, and the rest goes out."""
        self.sockets.send([Datagram(b"x", ("2001:db8::1", 4000))])
        self.sockets.send([Datagram(b"y", SOURCE)])
        (chat,) = self.reactor.open
        self.assertEqual(chat.transport.written, [(b"y", SOURCE, DEFAULT_TTL)])

    def test_port_taken(self) -> None:
        """Whoever binds the chat socket hears that its port is taken."""
        sockets = PeerSockets(self.reactor, lambda *_received: None)
        self.reactor.trouble = CannotListenError("", 5000, OSError(EADDRINUSE, "in use"))
        self.assertRaises(CannotListenError, sockets.bind, 5000)

    def test_not_bound(self) -> None:
        """Before it is bound nothing is sent, and nothing raises."""
        PeerSockets(self.reactor, lambda *_received: None).send([Datagram(b"x", SOURCE)])
        self.assertEqual(len(self.reactor.open), 1)

    def test_order(self) -> None:
        """What is sent together goes out in order, whatever socket and TTL each wants."""
        base = f"{SOCKETS}aaaa/1"
        wanted = [(b"a", None, ""), (b"b", LOW_TTL, ""), (b"c", None, ""), (b"d", None, base)]
        self.sockets.send([Datagram(data, SOURCE, ttl, base) for data, ttl, base in wanted])
        chat, other = self.reactor.open
        sent = [(data, ttl) for data, _, ttl in chat.transport.written]
        self.assertEqual(sent, [(b"a", DEFAULT_TTL), (b"b", LOW_TTL), (b"c", DEFAULT_TTL)])
        self.assertEqual(other.transport.written, [(b"d", SOURCE, DEFAULT_TTL)])

    def test_opens_on_first_use(self) -> None:
        """Each other socket opens with the first datagram from it, on any port, once."""
        for number in (0, 1, 0, 1, 1):
            self.send(number, ttl=LOW_TTL)
        _, first, second = self.reactor.open
        self.assertEqual(len(first.transport.written), 2)
        self.assertEqual(len(second.transport.written), 3)
        self.assertEqual({ttl for *_, ttl in first.transport.written}, {LOW_TTL})

    def test_received(self) -> None:
        """What comes in is handed on with the name of its socket."""
        self.send(7)
        for port in self.reactor.open:
            port.protocol.datagramReceived(b"y", SOURCE)
        self.assertEqual(
            self.received, [("", [b"y"], SOURCE), (f"{SOCKETS}aaaa/7", [b"y"], SOURCE)]
        )

    def test_released(self) -> None:
        """The sockets of an attempt close, but for those kept; others' stay, and so does ours."""
        for number in range(10):
            self.send(number)
            self.send(number, "aaaabbbb")
        kept = frozenset({f"{SOCKETS}aaaa/3", f"{SOCKETS}aaaabbbb/99", ""})
        self.sockets.release("aaaa", kept)
        self.assertEqual(len(self.reactor.open), 1 + 1 + 10)
        self.send(3)
        self.assertEqual(len(self.reactor.open), 12)
        self.sockets.release("aaaa", frozenset())
        self.sockets.release("aaaa", frozenset())
        self.assertEqual(len(self.reactor.open), 11)

    def test_no_file_descriptors(self) -> None:
        """Where the system gives no more sockets, fewer have to do; later ones may open again."""
        self.send(0)
        for trouble in (
            CannotListenError("", 0, OSError(EMFILE, "Too many open files")),
            OSError(EMFILE, "Too many open files"),
        ):
            self.reactor.trouble = trouble
            self.send(1)
            self.send(0)
            self.sockets.send([Datagram(b"x", SOURCE)])
        self.reactor.trouble = None
        self.send(1)
        chat, first, second = self.reactor.open
        counts = [len(port.transport.written) for port in (chat, first, second)]
        self.assertEqual(counts, [2, 3, 1])

    def test_limit(self) -> None:
        """However many an attempt, or many of them, want, MAX_SOCKETS are open at a time."""
        for number in range(MAX_SOCKETS):
            self.send(number)
            self.send(number, "bbbb")
        self.assertEqual(len(self.reactor.open), 1 + MAX_SOCKETS)
        self.sockets.release("aaaa", frozenset())
        self.send(0, "cccc")
        self.assertEqual(len(self.reactor.open), 1 + MAX_SOCKETS // 2 + 1)

    def test_other_bases(self) -> None:
        """What is no socket of ours opens none."""
        for base in ("relay/1", "stream/1", "socket", "sock/aaaa/1", " "):
            self.sockets.send([Datagram(b"x", SOURCE, base=base)])
        self.assertEqual(len(self.reactor.open), 1)
        self.assertEqual(self.reactor.open[0].transport.written, [])

    def test_close(self) -> None:
        """Closing closes everything, and waits for what takes its time."""
        waiting: Deferred[None] = Deferred()
        for number in range(3):
            self.send(number)
        self.reactor.ports[2].closing = waiting
        self.reactor.ports[0].closing = succeed(None)
        done: Deferred[Any] = self.sockets.close()
        self.assertEqual(self.reactor.open, [])
        self.assertNoResult(done)
        waiting.callback(None)
        self.successResultOf(done)


class RealSocketTests(TestCase):
    """One socket of the system itself."""

    def test_broadcast(self) -> None:
        """What goes to the broadcast address of a subnet of this machine is refused, and lost."""
        from twisted.internet import reactor  # noqa: PLC0415 - the only test here that needs it

        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(("0.0.0.0", 0))
        receiver.settimeout(5)
        sockets = PeerSockets(reactor, lambda *_received: None)
        sockets.bind(0)
        self.addCleanup(sockets.close)
        port = receiver.getsockname()[1]
        for host in ("127.255.255.255", "255.255.255.255", "127.0.0.1"):
            sockets.send([Datagram(host.encode(), (host, port))])
        self.assertEqual(receiver.recv(100), b"127.0.0.1")
