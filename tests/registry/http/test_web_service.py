"""Starting and stopping the HTTP port."""

from __future__ import annotations

import errno
import signal
from typing import Any, cast

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat.errors import ConfigurationError
from p2pchat.host_addresses import HostAddress, Outlook
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.connections import UNLIMITED
from p2pchat.registry.http.web_service import (
    FLUSH,
    GOODBYES,
    LONGEST_GOODBYE,
    PATIENCE,
    STEP,
    WebService,
)
from p2pchat.registry.registry import Settings
from p2pchat.wire.documents import Registration, Subscription
from p2pchat.wire.origins import origin
from tests.openapi.signing import person, sign
from tests.registry.process import running_registry
from tests.registry.web import HOST, Web, identity, request_bytes


@implementer(IStreamServerEndpoint)
@attrs.define
class RefusingEndpoint:
    """An endpoint whose port can't be had."""

    number: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Fail, as a busy port does."""
        return fail(CannotListenError("192.0.2.1", 8000, OSError(self.number, "no")))


@implementer(IStreamServerEndpoint)
@attrs.define
class BoundEndpoint:
    """An endpoint whose port is bound to an address."""

    interface: str

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Bind it."""
        return succeed(self)

    def getHost(self) -> IPv4Address:
        """Return where it is."""
        return IPv4Address("TCP", self.interface, 8000)


UNKNOWN = "unknown-peer"
ADDRESSES = [
    HostAddress("172.17.0.1", "docker0", Outlook.INWARD),
    *map(HostAddress, ("127.0.0.1", "192.0.2.80", "10.0.0.7", "::1", "2001:db8::80")),
]


class Silence:
    """As much of a request as an event stream needs, without a connection."""

    def write(self, data: bytes) -> None:
        """Write nowhere."""

    setHeader = registerProducer = unregisterProducer = lambda *_arguments: None


class WebServiceTests(SynchronousTestCase):
    """The life of the port."""

    def setUp(self) -> None:
        self.web = Web()
        self.web.registry.stop()
        self.reactor = MemoryReactorClock()

    def service(self, endpoint: IStreamServerEndpoint) -> WebService:
        return WebService(self.web.site, endpoint, registry=self.web.registry)

    def test_serves(self) -> None:
        """The site is served where the endpoint says, and leases end while it runs."""
        service = self.service(TCP4ServerEndpoint(self.reactor, 8000))
        service.privilegedStartService()
        service.startService()
        self.assertEqual(
            [server[:2] for server in self.reactor.tcpServers], [(8000, self.web.site)]
        )
        self.web.register(identity(1))
        self.web.pass_time(61)
        self.assertEqual(self.web.registered, 0)

    def said(self, interface: str, secure: bool = False) -> str:
        """Return what the log says of a port that was bound to this address."""
        runtime = attrs.evolve(self.web.registry.runtime, interface_addresses=lambda: ADDRESSES)
        self.web.registry.runtime = runtime
        endpoint = BoundEndpoint(interface)
        service = WebService(self.web.site, endpoint, registry=self.web.registry, secure=secure)
        with capturedLogs() as events:
            service.privilegedStartService()
        return "\n".join(str(formatEvent(event)) for event in events)

    def test_says_what_to_dial(self) -> None:
        """The log has the URLs for peers, and says who isn't served where that may be forgotten."""
        first = "Peers use --server http://192.0.2.80:8000 or http://10.0.0.7:8000 or"
        said = self.said("0.0.0.0")
        self.assertIn(first, said)
        self.assertIn("No --public-url", said)
        self.assertIn("--public-url http://NAME:8000", said)
        self.assertNotIn("2001:db8", said)
        self.assertIn("Peers use --server https://10.0.0.7:8000\n", self.said("10.0.0.7", True))
        said = self.said("127.0.0.1")
        self.assertTrue(said.endswith("Peers use --server http://127.0.0.1:8000"), said)

    def test_says_public_url(self) -> None:
        """Where the operator gave URLs, it repeats them."""
        origins = ("https://registry.example:443", "http://registry.test:8000")
        self.web = Web(Settings(audiences=Audiences(origins)))
        said = self.said("0.0.0.0")
        self.assertTrue(said.endswith(" or ".join(origins)), said)
        self.assertNotIn("No --public-url", said)

    def test_stops(self) -> None:
        """Streams say bye, and the last events have a moment to leave."""
        service = self.service(TCP4ServerEndpoint(self.reactor, 8000))
        service.privilegedStartService()
        service.startService()
        self.web.register(identity(1))
        stream = self.web.subscribe(identity(1), self.web.signed(identity(1), Subscription()))
        stopping = service.stopService()
        self.assertIn(b"event: bye", stream.wire.value())
        self.assertTrue(stream.wire.disconnecting)
        self.assertNoResult(stopping)
        stream.hang_up()
        self.pump(PATIENCE + 3 * STEP + FLUSH)  # the client never closes
        self.successResultOf(stopping)
        self.web.pass_time(61)
        self.assertEqual(self.web.registered, 1)  # the sweeping has ended

    def pump(self, seconds: float) -> None:
        """Turn the clock in small steps, a tenth further for those that fall between two."""
        self.web.clock.pump([STEP / 10] * round(11 * seconds / STEP + 2))

    def stopping(self) -> Deferred[Any]:
        """Start a service, and begin to stop it."""
        service = self.service(TCP4ServerEndpoint(self.reactor, 8000))
        service.privilegedStartService()
        service.startService()
        return service.stopService()

    def test_idle_connections(self) -> None:
        """A connection on which nothing is asked is closed at once, used or not."""
        fresh, used = self.web.connect(), self.web.connect()
        used.send(request_bytes("GET", "/status"))
        self.assertFalse(used.wire.disconnecting)
        stopping = self.stopping()
        for connection in (fresh, used):
            self.assertTrue(connection.wire.disconnecting)
            connection.hang_up()
        self.pump(3 * STEP + FLUSH)
        self.successResultOf(stopping)

    def test_answers_under_way(self) -> None:
        """A request that has begun is answered, and told that the connection ends."""
        begun = self.web.connect()
        begun.send(request_bytes("POST", "/register", b"x", {"Content-Length": "2"}))
        stopping = self.stopping()
        self.pump(PATIENCE / 2)
        self.assertNoResult(stopping)
        begun.send(b"x")
        response = begun.response()
        self.assertEqual((response.status, response.headers["connection"]), (415, "close"))
        self.assertTrue(begun.wire.disconnecting)
        begun.hang_up()
        self.pump(3 * STEP + FLUSH)
        self.successResultOf(stopping)

    def test_plain_answers_under_way(self) -> None:
        """So is one that waits for the store; what the same client asks behind it isn't."""
        answers = self.web.slow_down()
        begun = self.web.connect()
        begun.send(request_bytes("GET", f"/peer/{identity(1).peer_id}") * 2)
        stopping = self.stopping()
        self.assertFalse(begun.wire.disconnecting)
        answers[0].callback(None)
        response = begun.response()
        self.assertEqual((response.reason, response.headers["connection"]), (UNKNOWN, "close"))
        self.assertEqual(len(answers), 1)
        self.assertTrue(begun.wire.disconnecting)
        begun.hang_up()
        self.pump(3 * STEP + FLUSH)
        self.successResultOf(stopping)

    def test_asked_late(self) -> None:
        """Whoever gets a plain request in while the registry stops is answered, and no more."""
        self.stopping()
        late = self.web.connect()
        late.send(request_bytes("GET", f"/peer/{identity(1).peer_id}") * 2)
        response = late.response()
        self.assertEqual((response.reason, response.headers["connection"]), (UNKNOWN, "close"))
        self.assertTrue(late.wire.disconnecting)

    def test_slow_clients(self) -> None:
        """A client that takes for ever to ask isn't waited for."""
        begun = self.web.connect()
        begun.send(b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        stopping = self.stopping()
        self.pump(PATIENCE * 0.8)
        self.assertNoResult(stopping)
        self.pump(PATIENCE * 0.2 + 2 * STEP + FLUSH)
        self.successResultOf(stopping)

    def test_refuses_streams(self) -> None:
        """Meanwhile it says that it stops, and opens no more streams."""
        self.web.register(identity(1))
        begun = self.web.connect()
        begun.send(b"GET /healthz HTTP/1.1\r\n")
        late = self.web.connect()
        late.send(b"GET / HTTP/1.1\r\n")
        self.stopping()
        begun.send(f"Host: {HOST}\r\n\r\n".encode())
        self.assertEqual(begun.response().reason, "stopping")
        stream = self.web.subscribe(identity(1), self.web.signed(identity(1), Subscription()))
        self.assertEqual(stream.response().reason, "stopping")

    def many_streams(self, number: int) -> None:
        """Open event streams that need no registration."""
        for one in range(number):
            self.web.registry.streams.open(f"peer {one}", cast(Request, Silence()), UNLIMITED, 0.0)

    def test_no_storm(self) -> None:
        """Many streams are told bye one after the other, at a rate that another process takes."""
        self.many_streams(2 * GOODBYES)
        stopping = self.stopping()
        self.pump(1 - STEP)
        left = len(self.web.registry.streams)
        self.assertLess(abs(left - GOODBYES), GOODBYES / 5)
        self.pump(1 + FLUSH + 2 * STEP)
        self.assertEqual(len(self.web.registry.streams), 0)
        self.successResultOf(stopping)

    def test_bounded(self) -> None:
        """However many there are, it ends."""
        self.many_streams(round(1.5 * GOODBYES * LONGEST_GOODBYE))
        stopping = self.stopping()
        self.pump(LONGEST_GOODBYE + FLUSH + 2 * STEP)
        self.successResultOf(stopping)

    def test_never_started(self) -> None:
        """Stopping what never listened is no error."""
        stopping = self.service(TCP4ServerEndpoint(self.reactor, 8000)).stopService()
        self.web.clock.advance(FLUSH)
        self.successResultOf(stopping)

    def test_refused(self) -> None:
        """A port that can't be had is an error of one line: which, why, and what to do."""
        self.assertTrue(verifyObject(IStreamServerEndpoint, RefusingEndpoint(1)))
        for number, words in (
            (errno.EADDRINUSE, "TCP port 8000 on 192.0.2.1 is in use: stop the program"),
            (errno.EACCES, "choose one from 1024 on with --listen"),
            (errno.EADDRNOTAVAIL, "this machine has no address 192.0.2.1"),
            (errno.EIO, "can't be had: [Errno 5] no"),
        ):
            service = self.service(RefusingEndpoint(number))
            error = self.assertRaises(ConfigurationError, service.privilegedStartService)
            self.assertIn(words, str(error))


class ProcessTests(SynchronousTestCase):
    """The real program, stopped as a service manager stops it."""

    def test_terminated(self) -> None:
        """Streams say bye, idle connections close, nobody gets in, and it ends by the signal."""
        with running_registry() as registry:
            audience, alice = origin(registry.url), person(1)
            idle, stream = registry.connect(), registry.connect()
            kind = {"Content-Type": "application/jose"}
            idle.request("POST", "/register", sign(alice, audience, Registration("alice")), kind)
            self.assertEqual(idle.getresponse().read()[:1], b"{")
            signed = {"Authorization": f"JWS {sign(alice, audience, Subscription())}"}
            stream.request("GET", f"/events/{alice.peer_id}", headers=signed)
            response = stream.getresponse()
            self.assertEqual(response.readline(), b"event: ready\n")
            registry.terminate()
            self.assertIn(b"event: bye", response.read())
            self.assertEqual(idle.sock.recv(1), b"")
            self.assertRaises(ConnectionRefusedError, registry.ask, "/healthz")
            for connection in (idle, stream):
                connection.close()
            # twistd ends itself by the signal, once all is done: what a service manager expects.
            self.assertEqual(registry.wait(), -signal.SIGTERM)
            assert registry.process.stdout is not None
            self.assertIn("Server Shut Down", registry.process.stdout.read())
