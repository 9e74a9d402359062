"""The one UDP socket, on a transport that the test plays."""

from __future__ import annotations

import socket
from errno import EHOSTUNREACH, ENETUNREACH, EPERM

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import MessageLengthError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.datagrams import DEFAULT_TTL, PeerProtocol
from p2pchat.traversal.datagrams import Datagram
from p2pchat.traversal.punching import LOW_TTL
from p2pchat.wire import stun

SOURCE = ("192.0.2.1", 4000)
STUN = stun.encode(stun.request(bytes(12)))
QUIC = b"\x40" + bytes(30)


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
    """Both directions of the socket."""

    def setUp(self) -> None:
        self.stun: list[tuple[bytes, tuple[str, int]]] = []
        self.quic: list[tuple[bytes, tuple[str, int]]] = []
        self.protocol = PeerProtocol(
            lambda data, address: self.stun.append((data, address)),
            lambda data, address: self.quic.append((data, address)),
        )
        self.transport = FakeTransport()
        self.protocol.transport = self.transport  # type: ignore[assignment]

    def test_demultiplexing(self) -> None:
        """STUN and QUIC go their ways; what is neither is counted."""
        for data in (STUN, QUIC, b"", b"noise", b"\x80", bytes(20), STUN[:19]):
            self.protocol.datagramReceived(data, SOURCE)
        self.assertEqual(self.stun, [(STUN, SOURCE)])
        self.assertEqual(self.quic, [(QUIC, SOURCE), (b"noise", SOURCE)])
        self.assertEqual(self.protocol.refused, 4)

    @settings(deadline=None)
    @given(st.binary(max_size=50))
    def test_any_bytes(self, data: bytes) -> None:
        """Every datagram is somebody's, or counted."""
        before = len(self.stun) + len(self.quic) + self.protocol.refused
        self.protocol.datagramReceived(data, SOURCE)
        after = len(self.stun) + len(self.quic) + self.protocol.refused
        self.assertEqual(after, before + 1)

    def test_ttl(self) -> None:
        """A low TTL is set for the datagram that wants it and set back for the next."""
        for ttl in (None, LOW_TTL, LOW_TTL, None, None):
            self.protocol.send(Datagram(b"x", SOURCE, ttl))
        ttls = [ttl for *_, ttl in self.transport.written]
        self.assertEqual(ttls, [DEFAULT_TTL, LOW_TTL, LOW_TTL, DEFAULT_TTL, DEFAULT_TTL])
        option = (socket.IPPROTO_IP, socket.IP_TTL)
        self.assertEqual(self.transport.options, [(*option, LOW_TTL), (*option, DEFAULT_TTL)])

    def test_network_refuses(self) -> None:
        """What the network doesn't take is lost and counted; the next goes out."""
        for trouble in (
            OSError(ENETUNREACH, "Network is unreachable"),
            OSError(EHOSTUNREACH, "No route to host"),
            PermissionError(EPERM, "Operation not permitted"),
            MessageLengthError("message too long"),
        ):
            self.transport.trouble = trouble
            self.protocol.send(Datagram(b"x", SOURCE, LOW_TTL))
        self.transport.trouble = None
        self.protocol.send(Datagram(b"y", SOURCE))
        self.assertEqual(self.protocol.unsent, 4)
        self.assertEqual(self.transport.written, [(b"y", SOURCE, DEFAULT_TTL)])

    def test_closed(self) -> None:
        """A socket that is gone takes nothing, without a word."""
        self.protocol.transport = None
        self.protocol.send(Datagram(b"x", SOURCE))
        self.assertEqual(self.transport.written, [])
