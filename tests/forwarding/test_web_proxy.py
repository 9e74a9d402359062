"""A browser and a service on loopback, and the proxy between them."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from p2pchat.forwarding.web_lock import WebLock
from p2pchat.forwarding.web_proxy import (
    MAX_STRANGERS,
    BrowserConnection,
    HostNames,
    ServiceConnection,
    WebProxy,
)

PATIENT = 10.0  # seconds
LOOPBACK = "127.0.0.1"
GET = b"GET / HTTP/1.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: "


class Wire(Protocol):
    """One end of a connection, by hand."""

    transport: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True


class ProxyTests(TestCase):
    """A service that a test plays, and browsers that were let in."""

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.clock: Any = reactor
        self.accepted: list[Wire] = []
        self.browsers: list[Wire] = []
        self.failures: list[BaseException] = []
        service = yield self.listen(Factory.forProtocol(self.service))
        self.lock = WebLock("", bytes)
        connector = TCP4ClientEndpoint(self.clock, LOOPBACK, service.getHost().port)
        names = HostNames("", "")
        self.proxy = WebProxy(self.lock, names, connector, self.failed, self.clock)
        port = yield self.listen(self.proxy)
        self.port = port.getHost().port
        self.lock.host = f"bob-web.localhost:{self.port}"
        self.proxy.names = HostNames(self.lock.host)
        self.stop_service = service.stopListening
        self.cookie = f"{self.lock.cookie_name}={'A' * 22}".encode()

    @inlineCallbacks
    def tearDown(self) -> Any:  # type: ignore[override]
        for one in (*self.browsers, *self.accepted):
            one.transport.abortConnection()
        yield self.until(lambda: all(one.is_lost for one in (*self.browsers, *self.accepted)))

    def service(self) -> Wire:
        """Return the service's end of a connection."""
        wire = Wire()
        self.accepted.append(wire)
        return wire

    def failed(self, error: BaseException) -> str:
        """Note why the service couldn't be reached."""
        self.failures.append(error)
        return "it is away"

    @inlineCallbacks
    def listen(self, factory: Any) -> Any:
        """Listen on loopback until the test ends."""
        port = yield TCP4ServerEndpoint(self.clock, 0, interface=LOOPBACK).listen(factory)
        self.addCleanup(port.stopListening)
        return port

    @inlineCallbacks
    def until(self, happened: Any) -> Any:
        """Wait until something holds."""
        end = self.clock.seconds() + PATIENT
        while not happened():
            self.assertLess(self.clock.seconds(), end, "it never came about")
            yield deferLater(self.clock, 0.005)

    @inlineCallbacks
    def browser(self) -> Any:
        """Return a browser's end of a connection."""
        wire = yield connectProtocol(TCP4ClientEndpoint(self.clock, LOOPBACK, self.port), Wire())
        self.browsers.append(wire)
        return wire

    def request(self, rest: bytes = b"", line: bytes = GET, body: bytes = b"") -> bytes:
        """Return a request that the lock lets pass."""
        host = b"Host: " + self.lock.host.encode()
        return (
            line + b"\r\n" + host + b"\r\nCookie: " + self.cookie + b"\r\n" + rest + b"\r\n" + body
        )

    @inlineCallbacks
    def test_exchanges(self) -> Any:
        """Requests follow each other, and so do the answers; our cookie stays here."""
        browser = yield self.browser()
        for number in (1, 2):
            browser.transport.write(self.request(b"X: %d\r\n" % number))
            yield self.until(
                lambda number=number: self.accepted and b"X: %d" % number in self.accepted[0].data
            )
            self.assertNotIn(b"p2pchat-", self.accepted[0].data)
            self.accepted[0].transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nn%d" % number
            )
            yield self.until(lambda number=number: browser.data.endswith(b"n%d" % number))
        self.assertEqual(len(self.accepted), 1)

    @inlineCallbacks
    def test_large(self) -> Any:
        """Large bodies go through both ways, whole."""
        browser = yield self.browser()
        body = bytes(range(256)) * 8192
        head = b"Content-Length: %d\r\n" % len(body)
        browser.transport.write(self.request(head, b"POST / HTTP/1.1", body))
        yield self.until(lambda: self.accepted and self.accepted[0].data.endswith(body))
        self.accepted[0].transport.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
        yield self.until(lambda: browser.data.endswith(body))

    @inlineCallbacks
    def test_until_the_end(self) -> Any:
        """An answer that lasts until the connection ends does so for the browser, too."""
        browser = yield self.browser()
        browser.transport.write(self.request(line=b"GET / HTTP/1.0"))
        yield self.until(lambda: self.accepted and self.accepted[0].data)
        self.accepted[0].transport.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        self.accepted[0].transport.loseConnection()
        yield self.until(lambda: browser.is_lost)
        self.assertTrue(browser.data.endswith(b"all of it"))

    @inlineCallbacks
    def test_web_socket(self) -> Any:
        """After 101 bytes go both ways as they are."""
        browser = yield self.browser()
        browser.transport.write(self.request(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        yield self.until(lambda: self.accepted and b"websocket" in self.accepted[0].data)
        service = self.accepted[0]
        service.transport.write(
            b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01a"
        )
        yield self.until(lambda: browser.data.endswith(b"\x81\x01a"))
        browser.transport.write(b"\x81\x81mask!")
        yield self.until(lambda: service.data.endswith(b"\x81\x81mask!"))

    @inlineCallbacks
    def test_strangers(self) -> Any:
        """Who has no cookie reaches no service; of many such connections the oldest goes."""
        browsers = []
        for _ in range(MAX_STRANGERS + 1):
            browsers.append((yield self.browser()))
        yield self.until(lambda: browsers[0].is_lost)
        browsers[-1].transport.write(
            b"GET / HTTP/1.1\r\nHost: " + self.lock.host.encode() + b"\r\n\r\n"
        )
        yield self.until(lambda: b"403" in browsers[-1].data)
        self.assertEqual(self.accepted, [])

    def test_many_at_once(self) -> None:
        """Of many connections in one turn no more are held than may be."""
        held = [self.proxy.buildProtocol(None) for _ in range(MAX_STRANGERS)]
        for one in held:
            one.transport = StringTransport()
        for _ in range(3):
            self.proxy.buildProtocol(None).transport = StringTransport()
        self.assertEqual(len(self.proxy.strangers), MAX_STRANGERS)
        self.assertEqual([one.transport.disconnecting for one in held[:4]], [True] * 3 + [False])
        for one in list(held):
            self.proxy.gone(one)

    @inlineCallbacks
    def test_pipelined(self) -> Any:
        """Thousands of requests in one piece are answered by our page, one after the other."""
        browser = yield self.browser()
        host = b"Host: " + self.lock.host.encode()
        request = b"\r\n".join([b"GET / HTTP/1.1", host, b"", b""])
        browser.transport.write(request * 2000)
        yield self.until(lambda: browser.data.count(b"HTTP/1.1 403") == 2000)

    @inlineCallbacks
    def test_no_http(self) -> Any:
        """What is no HTTP is answered with a page, on either side."""
        browser = yield self.browser()
        browser.transport.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        yield self.until(lambda: browser.is_lost)
        self.assertIn(b"400", browser.data)
        browser = yield self.browser()
        browser.transport.write(self.request())
        yield self.until(lambda: self.accepted and self.accepted[-1].data)
        self.accepted[-1].transport.write(b"SSH-2.0-x\r\n\r\n")
        yield self.until(lambda: browser.is_lost)
        self.assertIn(b"502", browser.data)

    @inlineCallbacks
    def test_away(self) -> Any:
        """A service that can't be reached is a page with the reason."""
        yield self.stop_service()
        browser = yield self.browser()
        browser.transport.write(self.request())
        yield self.until(lambda: browser.is_lost)
        self.assertIn(b"502", browser.data)
        self.assertIn(b"it is away", browser.data)
        self.assertEqual(len(self.failures), 1)

    @inlineCallbacks
    def test_broken_off(self) -> Any:
        """An answer that breaks off breaks off for the browser, too."""
        browser = yield self.browser()
        browser.transport.write(self.request())
        yield self.until(lambda: self.accepted and self.accepted[0].data)
        self.accepted[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npart")
        yield self.until(lambda: browser.data.endswith(b"part"))
        self.accepted[0].transport.abortConnection()
        yield self.until(lambda: browser.is_lost)

    def test_interfaces(self) -> None:
        """The end of a service cares for halves."""
        browser = BrowserConnection(self.proxy)
        self.assertTrue(verifyObject(IHalfCloseableProtocol, ServiceConnection(browser)))

    def test_names(self) -> None:
        """A service that expects another name is called by it, in both directions."""
        names = HostNames("bob-web.localhost:1", "wiki.local")
        headers = [(b"Host", b"bob-web.localhost:1"), (b"Origin", b"http://bob-web.localhost:1")]
        changed = [(b"Host", b"wiki.local"), (b"Origin", b"http://wiki.local")]
        self.assertEqual(list(names.to_service(headers)), changed)
        location = [(b"Location", b"http://wiki.local/x"), (b"Other", b"http://wiki.local/")]
        shown = [(b"Location", b"http://bob-web.localhost:1/x"), location[1]]
        self.assertEqual(list(names.to_browser(location)), shown)
