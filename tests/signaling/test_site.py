"""The HTTP connection: bodies refused while they arrive, timeouts, what the log doesn't say."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.signaling.site import MAX_BODY, MAX_DISCARDED
from tests.signaling.web import HOST, Web, request_bytes


class BodyTests(SynchronousTestCase):
    """A body over 64 KiB."""

    def setUp(self) -> None:
        self.web = Web()
        self.connection = self.web.connect()

    def begin(self, header: str) -> bytes:
        """Send the head of a POST."""
        head = f"POST /register HTTP/1.1\r\nHost: {HOST}\r\n{header}\r\n\r\n"
        return self.connection.send(head.encode())

    def chunk(self, size: int) -> bytes:
        return self.connection.send(b"%x\r\n%b\r\n" % (size, bytes(size)))

    def assertTooLarge(self) -> None:
        """The answer is 413, and says that the connection ends."""
        response = self.connection.response()
        self.assertEqual((response.status, response.reason), (413, "body-too-large"))
        self.assertEqual(response.headers["connection"], "close")
        self.assertEqual(response.headers["server"], "p2pchat")

    def test_declared(self) -> None:
        """It is refused on its declared length, before a byte of it came; then hung up on."""
        self.begin(f"Content-Length: {MAX_BODY + 1}")
        self.assertTooLarge()
        self.assertFalse(self.connection.wire.disconnecting)
        self.web.clock.advance(2)
        self.assertTrue(self.connection.wire.disconnecting)
        self.assertEqual(self.web.registry.counts.errors[413], 1)

    def test_greatest(self) -> None:
        """A body of exactly the limit reaches its route."""
        self.connection.send(request_bytes("POST", "/register", bytes(MAX_BODY)))
        self.assertEqual(self.connection.response().status, 415)

    def test_chunked(self) -> None:
        """Without a length it is refused at the first byte too many."""
        self.begin("Transfer-Encoding: chunked")
        self.assertEqual(self.chunk(MAX_BODY), b"")
        self.chunk(1)
        self.assertTooLarge()

    def test_endless(self) -> None:
        """A client that goes on sending is hung up on."""
        self.begin("Transfer-Encoding: chunked")
        for _ in range(MAX_DISCARDED // MAX_BODY + 1):
            self.chunk(MAX_BODY)
        self.assertTrue(self.connection.wire.disconnecting)

    def test_complete(self) -> None:
        """A client that has sent all is hung up on without delay, and answered once."""
        written = self.connection.send(request_bytes("POST", "/register", bytes(MAX_BODY + 1)))
        self.assertEqual(written.count(b"HTTP/1.1"), 1)
        self.assertTrue(self.connection.wire.disconnecting)

    def test_gone_meanwhile(self) -> None:
        """A client that left after the refusal is no error."""
        self.begin(f"Content-Length: {MAX_BODY + 1}")
        self.connection.hang_up()
        self.web.clock.advance(3)
        self.assertEqual(self.flushLoggedErrors(), [])


class ConnectionTests(SynchronousTestCase):
    """The rest of a connection."""

    def setUp(self) -> None:
        self.web = Web()

    def test_idle(self) -> None:
        """A connection that is idle for a minute ends."""
        connection = self.web.connect()
        self.web.pass_time(59)
        self.assertFalse(connection.wire.aborted)
        self.web.pass_time(2)
        self.assertTrue(connection.wire.aborted)

    def test_stays_open(self) -> None:
        """One connection carries many requests, refused ones too."""
        connection = self.web.connect()
        written = b""
        for path in ("/status", "/nothing", "/peers"):
            written = connection.send(request_bytes("GET", path))
        self.assertEqual(written.count(b"HTTP/1.1 "), 3)
        self.assertFalse(connection.wire.disconnecting)

    def test_server_header(self) -> None:
        """The server says its name, not its libraries'."""
        for path in ("/status", "/nothing", "/%ff"):
            self.assertEqual(self.web.ask("GET", path).headers["server"], "p2pchat")

    def test_not_text(self) -> None:
        """A path or a Host that isn't text is malformed."""
        for path, host in (("/%ff", HOST), ("/status", "a b"), ("/status", "a:x")):
            response = self.web.ask("GET", path, headers={"Host": host})
            self.assertEqual((response.status, response.reason), (400, "malformed"))

    def test_http_1_only(self) -> None:
        """HTTP/2, which has no such limits here, isn't offered."""
        self.assertEqual(self.web.site.acceptableProtocols(), [b"http/1.1"])
