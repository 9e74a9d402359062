"""How the TCP connections of a peer are made."""

from __future__ import annotations

import socket
from collections.abc import Generator
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from p2pchat.peer.connector import SOUGHT, Connector
from p2pchat.peer.proxy import choose_proxies
from p2pchat.runtime import KEEPALIVE, MAX_SEGMENT, real_runtime
from p2pchat.wire.nat64 import Nat64Prefix
from tests.simulation.host import Host
from tests.simulation.internet import Internet
from tests.simulation.world import runtime_on

SERVER, PORT = "203.0.113.1", 8000


class Listening(Factory):
    """Notes who connects."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See `Factory`."""
        self.seen.append(getattr(addr, "host", ""))
        return Protocol()


class ConnectorTests(SynchronousTestCase):
    """:class:`Connector`."""

    def setUp(self) -> None:
        self.internet = Internet(1)
        server = self.internet.host(SERVER)
        self.seen: list[str] = []
        server.reactor.listenTCP(PORT, Listening(self.seen))

    def connect(self, host: Host, name: str, prefix: Nat64Prefix | None = None) -> None:
        """Connect from a host, as HTTP does."""
        runtime = runtime_on(host, Random(1))
        runtime.nat64.prefix = prefix
        connector = Connector(runtime, 5.0)
        endpoint = connector.endpoint("http", name, PORT)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        self.internet.run(1.0)
        self.successResultOf(connecting)

    def test_name(self) -> None:
        """A name is resolved, a literal taken as it is."""
        self.internet.dns["registry.example"] = SERVER
        for name in ("registry.example", SERVER):
            self.connect(self.internet.host(), name)
        self.assertEqual(len(self.seen), 2)

    def test_nat64(self) -> None:
        """An IPv4 literal is reached through the network's NAT64."""
        prefix = Nat64Prefix(bytes.fromhex("20010db80064006400000000"))
        nat = self.internet.nat()
        host = self.internet.host(behind=nat)
        host.give_ipv6("2001:db8:1::1")
        host.give_nat64(prefix)
        self.connect(host, SERVER, prefix)
        self.assertEqual(self.seen, [nat.address])

    def test_nat64_that_is_sought(self) -> None:
        """A literal waits until it shows how this network leads to IPv4, but not for long."""
        for prefix in (Nat64Prefix(bytes.fromhex("20010db80064006400000000")), None):
            nat = self.internet.nat()
            host = self.internet.host(behind=nat)
            host.give_ipv6(f"2001:db8:{nat.address.rpartition('.')[2]}::1")
            host.give_nat64(prefix or Nat64Prefix(bytes.fromhex("20010db80064006400000000")))
            runtime = runtime_on(host, Random(1))
            runtime.nat64.is_sought = True
            connector = Connector(runtime, 5.0)
            endpoint = connector.endpoint("http", SERVER, PORT)
            connecting = endpoint.connect(Factory.forProtocol(Protocol))
            self.internet.run(SOUGHT / 2)
            self.assertNoResult(connecting)
            if prefix is not None:
                runtime.nat64.prefix = prefix
                runtime.nat64.settle()
            self.internet.run(SOUGHT)
            connecting.addErrback(lambda failure: failure.trap(ConnectError))
            self.successResultOf(connecting)
        self.assertEqual(len(self.seen), 1)

    def test_unusable_proxy(self) -> None:
        """A connection through a proxy that can't be used fails with what is wrong with it."""
        proxies = choose_proxies({"HTTPS_PROXY": "https://proxy.example"}, None)
        runtime = attrs.evolve(runtime_on(self.internet.host(), Random(1)), proxy_for=proxies)
        connector = Connector(runtime, 5.0)
        connecting = connector.endpoint("https", SERVER, 443).connect(Factory())
        self.assertIn("HTTPS_PROXY: ", str(self.failureResultOf(connecting).value))


class SegmentTests(TestCase):
    """Connections of this system."""

    @inlineCallbacks
    def test_small_segments(self) -> Generator[Deferred[Any], Any, None]:
        """Segments are small, for large ones vanish on some paths, and silence is asked after."""
        from twisted.internet import reactor  # noqa: PLC0415 - as a program would

        real: Any = reactor
        listening = real.listenTCP(0, Listening([]), interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        runtime = real_runtime(real)
        connector = Connector(runtime, 5.0)
        endpoint = connector.endpoint("http", "127.0.0.1", listening.getHost().port)
        protocol = yield endpoint.connect(Factory.forProtocol(Protocol))
        self.addCleanup(protocol.transport.loseConnection)
        handle = protocol.transport.getHandle()
        size = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        self.assertLessEqual(size, MAX_SEGMENT)
        idle = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        asks = handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        self.assertEqual((bool(asks), idle), (True, KEEPALIVE["TCP_KEEPIDLE"]))
