"""Proxies for tests: HTTP CONNECT and SOCKS5, on any reactor."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure


class Upstream(Protocol):
    """The connection that a proxy makes."""

    def __init__(self, client: ProxyProtocol) -> None:
        self.client = client

    def connectionMade(self) -> None:
        """Say so to whoever asked."""
        self.client.joined(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass bytes back."""
        self.client.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End with the other."""
        self.client.transport.loseConnection()  # type: ignore[union-attr]


class ProxyProtocol(Protocol):
    """A client's connection: a handshake, then a tunnel."""

    def __init__(self, proxy: ProxyServer) -> None:
        self.proxy = proxy
        self.data = b""
        self.upstream: Upstream | None = None

    def dataReceived(self, data: bytes) -> None:
        """Go on with the handshake, or pass bytes on."""
        if self.upstream is not None:
            self.upstream.transport.write(data)  # type: ignore[union-attr]
        else:
            self.data += data
            self.negotiate()

    def negotiate(self) -> None:
        """Read what has come."""
        raise NotImplementedError

    def say(self, data: bytes) -> None:
        """Write to the client, a byte at a time where the proxy is that slow."""
        for piece in [data] if self.proxy.is_whole else [data[n : n + 1] for n in range(len(data))]:
            self.transport.write(piece)  # type: ignore[union-attr]

    def open(self, host: str, port: int) -> None:
        """Connect to the other end."""
        self.proxy.asked.append((host, port))
        endpoint = HostnameEndpoint(self.proxy.reactor, host, port)
        connecting = endpoint.connect(Factory.forProtocol(lambda: Upstream(self)))
        connecting.addErrback(lambda _failure: self.refuse())

    def joined(self, upstream: Upstream) -> None:
        """The tunnel stands."""
        self.upstream = upstream
        self.grant()

    def grant(self) -> None:
        """Say that the tunnel stands."""
        raise NotImplementedError

    def refuse(self) -> None:
        """Say that it can't be had."""
        raise NotImplementedError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End with the other."""
        if self.upstream is not None:
            self.upstream.transport.loseConnection()  # type: ignore[union-attr]


class HttpProxy(ProxyProtocol):
    """HTTP CONNECT."""

    def negotiate(self) -> None:
        """Read the request."""
        head, end, _ = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        secret = fields.get("Proxy-Authorization", "Basic ").removeprefix("Basic ")
        if self.proxy.secret and b64decode(secret).decode() != self.proxy.secret:
            self.say(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        elif self.proxy.forbids:
            self.say(b"HTTP/1.1 403 Filtered\r\nContent-Length: 0\r\n\r\n")
        else:
            host, _, port = lines[0].split()[1].rpartition(":")
            self.open(host.strip("[]"), int(port))

    def grant(self) -> None:
        """See `ProxyProtocol`."""
        self.say(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")

    def refuse(self) -> None:
        """See `ProxyProtocol`."""
        self.say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


class SocksProxy(ProxyProtocol):
    """SOCKS5."""

    stage = 0

    def negotiate(self) -> None:
        """Read what comes next."""
        steps: list[Callable[[], bool]] = [self.methods, self.secret, self.request]
        while self.stage < len(steps) and steps[self.stage]():
            self.stage += 1

    def methods(self) -> bool:
        """Choose a way to authenticate."""
        if len(self.data) < 2 or len(self.data) < 2 + self.data[1]:
            return False
        offered, self.data = self.data[2 : 2 + self.data[1]], self.data[2 + self.data[1] :]
        wanted = 2 if self.proxy.secret else 0
        self.say(bytes([5, wanted if wanted in offered else 0xFF]))
        self.stage += wanted == 0
        return wanted in offered

    def secret(self) -> bool:
        """Check the user name and password."""
        if len(self.data) < 2 or len(self.data) < 3 + self.data[1]:
            return False
        name, rest = self.data[2 : 2 + self.data[1]], self.data[2 + self.data[1] :]
        if len(rest) < 1 + rest[0]:
            return False
        word, self.data = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        is_right = b":".join((name, word)).decode() == self.proxy.secret
        self.say(bytes([1, 0 if is_right else 1]))
        return is_right

    def request(self) -> bool:
        """Read where to connect to."""
        if len(self.data) < 5:
            return False
        size = {1: 4, 4: 16}.get(self.data[3], 1 + self.data[4])
        if len(self.data) < 6 + size:
            return False
        address, (port,) = self.data[4 : 4 + size], struct.unpack_from(">H", self.data, 4 + size)
        if self.proxy.forbids:
            self.refuse(2)
            return False
        host = address[1:].decode() if self.data[3] == 3 else str(ip_address(address))
        self.open(host, port)
        return True

    def grant(self) -> None:
        """See `ProxyProtocol`."""
        self.say(b"\x05\x00\x00\x03\x05proxy\x00\x00")

    def refuse(self, code: int = 5) -> None:
        """See `ProxyProtocol`."""
        self.say(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))


class ProxyServer(Factory):
    """
    A proxy.

    :ivar asked: where it was to connect to.
    :ivar secret: ``name:password`` that it wants, or "".
    :ivar forbids: whether it lets nobody through.
    :ivar is_whole: whether what it says comes at once.
    """

    noisy = False

    def __init__(self, reactor: Any, kind: type[ProxyProtocol], secret: str = "") -> None:
        self.reactor = reactor
        self.kind = kind
        self.secret = secret
        self.asked: list[tuple[str, int]] = []
        self.forbids = False
        self.is_whole = True

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See `Factory`."""
        return self.kind(self)
