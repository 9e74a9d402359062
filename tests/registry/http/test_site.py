"""The HTTP connection: bodies refused while they arrive, timeouts, what the log doesn't say."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.logger import capturedLogs, eventAsText
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.http.client_address import TrustedProxies
from p2pchat.registry.http.connections import BODY_DEADLINE, HEAD_DEADLINE, STALL
from p2pchat.registry.http.resource import HttpSettings
from p2pchat.registry.http.site import (
    MAX_BODY,
    MAX_DISCARDED,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    MAX_NAME,
    MAX_REJECTING,
)
from p2pchat.registry.metrics import OTHER
from tests.registry.web import HOST, Connection, Web, identity, request_bytes

ALICE = identity(1)


class BodyTests(SynchronousTestCase):
    """A body over MAX_BODY."""

    def setUp(self) -> None:
        self.web = Web()
        self.connection = self.web.connect()

    def begin(self, header: str) -> bytes:
        """Send the head of a POST."""
        head = f"POST /register HTTP/1.1\r\nHost: {HOST}\r\n{header}\r\n\r\n"
        return self.connection.send(head.encode())

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
        self.assertEqual(self.web.registry.metrics.errors[413], 1)

    def test_greatest(self) -> None:
        """A body of exactly the limit reaches its route."""
        self.connection.send(request_bytes("POST", "/register", bytes(MAX_BODY)))
        self.assertEqual(self.connection.response().status, 415)

    def test_chunked(self) -> None:
        """Without a length it is refused unread: each of its bytes might come in a chunk."""
        self.begin("Transfer-Encoding: chunked")
        response = self.connection.response()
        self.assertEqual((response.status, response.reason), (411, "length-required"))
        self.assertEqual(response.headers["connection"], "close")
        for _ in range(100):
            self.connection.send(b"1\r\nx\r\n")
        self.assertEqual(self.connection.response(), response)
        self.web.clock.advance(2)
        self.assertTrue(self.connection.wire.disconnecting)

    def test_endless(self) -> None:
        """A client that goes on sending is hung up on."""
        self.begin("Transfer-Encoding: chunked")
        for _ in range(MAX_DISCARDED // MAX_BODY + 1):
            self.connection.send(bytes(MAX_BODY))
        self.assertTrue(self.connection.wire.disconnecting)

    def test_continue(self) -> None:
        """Whoever asks whether to go on is told so only if it isn't refused."""
        for length, answers in ((5, [b"100"]), (MAX_BODY + 1, [b"413"])):
            self.connection = self.web.connect()
            written = self.begin(f"Content-Length: {length}\r\nExpect: 100-continue")
            self.assertEqual(re.findall(rb"HTTP/1.1 ([0-9]+)", written), answers)

    def test_complete(self) -> None:
        """A client that has sent all is hung up on without delay, and answered once."""
        written = self.connection.send(request_bytes("POST", "/register", bytes(MAX_BODY + 1)))
        self.assertEqual(written.count(b"HTTP/1.1"), 1)
        self.assertTrue(self.connection.wire.disconnecting)

    def test_gone_meanwhile(self) -> None:
        """A client that left after the refusal is no error."""
        before = len(self.web.clock.getDelayedCalls())
        self.begin(f"Content-Length: {MAX_BODY + 1}")
        self.connection.hang_up()
        self.assertEqual(len(self.web.clock.getDelayedCalls()), before)
        self.web.clock.advance(3)
        self.assertEqual(self.flushLoggedErrors(), [])


class TlsTests(SynchronousTestCase):
    """A client that speaks TLS where the registry doesn't."""

    def test_told_at_once(self) -> None:
        """It is answered without waiting for more, in HTTP, which no TLS begins with."""
        connection = Web().connect()
        connection.send(b"\x16\x03\x01\x02\x00\x01")
        self.assertEqual(connection.response().status, 400)
        self.assertTrue(connection.wire.disconnecting)


class DeadlineTests(SynchronousTestCase):
    """What a client must have done by when."""

    def setUp(self) -> None:
        self.web = Web()
        self.connection = self.web.connect()

    def drip(self, seconds: int) -> None:
        """Send a byte of a header each second."""
        for _ in range(seconds):
            if not self.connection.wire.aborted:
                self.connection.send(b"a")
            self.web.pass_time(1)

    def test_silent(self) -> None:
        """A connection that asks nothing ends."""
        self.web.pass_time(int(HEAD_DEADLINE) - 1)
        self.assertFalse(self.connection.wire.aborted)
        self.web.pass_time(1)
        self.assertTrue(self.connection.wire.aborted)
        self.assertEqual(len(self.web.site.connections), 0)

    def test_slow_head(self) -> None:
        """A byte now and then doesn't move the deadline, on the first request or a later one."""
        for line in (b"GET /status HT", b"GET /status HTTP/1.1\r\nHost: a\r\nX-"):
            for before in (b"", request_bytes("GET", "/status")):
                self.connection = self.web.connect()
                self.connection.send(before)
                self.connection.send(line)
                self.drip(int(HEAD_DEADLINE) - 1)
                self.assertFalse(self.connection.wire.aborted)
                self.drip(1)
                self.assertTrue(self.connection.wire.aborted)

    def test_slow_body(self) -> None:
        """A body has its own time, and no more."""
        head = f"POST /register HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 500\r\n\r\n"
        self.connection.send(head.encode())
        self.drip(int(BODY_DEADLINE) - 1)
        self.assertFalse(self.connection.wire.aborted)
        self.drip(1)
        self.assertTrue(self.connection.wire.aborted)

    def test_takes_nothing(self) -> None:
        """A client that takes no answers is asked nothing more, and dropped in the end."""
        self.connection.send(request_bytes("GET", "/status"))
        before = len(self.connection.wire.value())
        self.connection.fill()
        for path in ("/status", f"/peer/{ALICE.peer_id}"):
            self.connection.send(request_bytes("GET", path))
        self.assertEqual(len(self.connection.wire.value()), before)
        self.assertEqual(self.connection.wire.producerState, "paused")
        self.web.pass_time(int(STALL))
        self.assertTrue(self.connection.wire.aborted)

    def test_takes_late(self) -> None:
        """A client that takes them in time has all answers, in order."""
        self.connection.send(request_bytes("GET", "/status"))
        self.connection.fill()
        for path in ("/nothing", f"/peer/{ALICE.peer_id}", "/peers"):
            self.connection.send(request_bytes("GET", path))
        self.connection.drain()
        reasons = [b"200", b"no-such-route", b"unknown-peer", b'"peers":[]']
        places = [self.connection.wire.value().index(one) for one in reasons]
        self.assertEqual(places, sorted(places))
        self.assertEqual(self.connection.wire.producerState, "producing")


class PipeliningTests(SynchronousTestCase):
    """Several requests at once."""

    def setUp(self) -> None:
        self.web = Web()
        self.connection = self.web.connect()

    def test_order(self) -> None:
        """Plain requests and others are answered in order, however the bytes are cut."""
        paths = [f"/peer/{ALICE.peer_id}", "/status", f"/peer/{ALICE.peer_id}", "/nothing"]
        sent = b"".join(request_bytes("GET", path) for path in paths) * 3
        for size in (len(sent), 1, 7, 50, 111):
            connection = self.web.connect()
            for start in range(0, len(sent), size):
                connection.send(sent[start : start + size])
            words = re.findall(b"problems/[a-z-]+|uptime", connection.wire.value())
            expected = [b"problems/unknown-peer", b"uptime"] * 2
            expected[3] = b"problems/no-such-route"
            self.assertEqual(words, expected * 3)

    def test_slow_store(self) -> None:
        """A request behind one that waits for the store waits, and nothing more is read."""
        answers = self.web.slow_down()
        ask = request_bytes("GET", f"/peer/{ALICE.peer_id}")
        self.connection.send(ask * 2)
        self.connection.send(request_bytes("GET", "/status"))
        self.assertEqual(len(answers), 1)
        self.assertEqual(self.connection.wire.producerState, "paused")
        self.web.pass_time(int(HEAD_DEADLINE) + 1)
        for _ in range(2):
            answers[-1].callback(None)
        written = self.connection.wire.value()
        self.assertEqual(written.count(b"problems/unknown-peer"), 2)
        self.assertIn(b"uptime", written)
        self.assertEqual(self.connection.wire.producerState, "producing")

    def test_gone_meanwhile(self) -> None:
        """A client that left while the store was asked is no error, and the store is told."""
        answers = self.web.slow_down()
        self.connection.send(request_bytes("GET", f"/peer/{ALICE.peer_id}"))
        self.connection.hang_up()
        self.assertTrue(answers[0].called)
        self.assertEqual(self.connection.wire.value(), b"")
        self.assertEqual(self.flushLoggedErrors(), [])


class RoomTests(SynchronousTestCase):
    """Connections for which there is no room."""

    def setUp(self) -> None:
        self.web = Web(http=HttpSettings(connections=Limits(4, 2)))

    def busy(self, ip: str) -> Connection:
        """Open a connection that has asked something."""
        connection = self.web.connect(ip)
        connection.send(request_bytes("GET", "/status"))
        return connection

    def assertRefused(self, connection: Connection, status: int) -> None:
        """It is told so when it asks, and ended."""
        self.assertEqual(connection.wire.value(), b"")
        connection.send(request_bytes("GET", "/status"))
        response = connection.response()
        self.assertEqual((response.status, response.reason), (status, "too-many-connections"))
        self.assertIn("retry-after", response.headers)
        self.assertTrue(connection.wire.disconnecting)

    def test_source(self) -> None:
        """One address has its share."""
        for _ in range(2):
            self.busy("192.0.2.1")
        self.assertRefused(self.web.connect("192.0.2.1"), 429)
        self.assertEqual(self.busy("192.0.2.2").response().status, 200)

    def test_all(self) -> None:
        """There is an end to it in all."""
        for number in range(4):
            self.busy(f"192.0.2.{number}")
        self.assertRefused(self.web.connect("192.0.2.9"), 503)
        metrics = self.web.registry.metrics
        self.assertEqual(metrics.answers[OTHER, OTHER, 503], 1)
        self.assertEqual(metrics.refusals, {"too-many-connections": 1})

    def test_silent_ones_make_room(self) -> None:
        """Whoever asks nothing goes first, the oldest before all."""
        silent = [self.web.connect(f"192.0.2.{number}") for number in range(3)]
        self.busy("192.0.2.3")
        newer = self.busy("192.0.2.4")
        self.assertEqual([one.wire.aborted for one in silent], [True, False, False])
        self.assertEqual(newer.response().status, 200)

    def test_proxy(self) -> None:
        """A trusted proxy speaks for many, and has no share of its own."""
        proxies = TrustedProxies.parse("192.0.2.1")
        self.web = Web(http=HttpSettings(proxies=proxies, connections=Limits(4, 2)))
        for _ in range(4):
            self.assertEqual(self.busy("192.0.2.1").response().status, 200)

    def test_mute(self) -> None:
        """One that is refused and asks nothing is gone within moments."""
        for _ in range(2):
            self.busy("192.0.2.1")
        refused = self.web.connect("192.0.2.1")
        self.web.pass_time(2)
        self.assertTrue(refused.wire.aborted)
        self.assertEqual(self.web.site.rejecting, 0)

    def test_flood(self) -> None:
        """So many are refused at a time; those above are closed without a word."""
        for _ in range(2):
            self.busy("192.0.2.1")
        for _ in range(MAX_REJECTING):
            self.web.connect("192.0.2.1")
        self.assertIsNone(self.web.site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 4)))


class HeadTests(SynchronousTestCase):
    """Heads that are too long, or none."""

    def test_refused(self) -> None:
        """They are answered with a reason, and the connection ends."""
        many = "".join(f"X-{number}: x\r\n" for number in range(MAX_HEADERS + 1))
        for head in (
            f"GET /status HTTP/1.1\r\nHost: {HOST}\r\n{many}\r\n",
            f"GET /status HTTP/1.1\r\nX: {'x' * MAX_HEAD}\r\n\r\n",
            f"GET /status HTTP/1.1\r\nHost: {HOST}\r\nno colon\r\n\r\n",
            f"POST /register HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: -1\r\n\r\n",
            f"GET /{'x' * MAX_LINE} HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
            f"GET /status?{'&a' * (MAX_LINE // 2)} HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
            f"GET /status HTTP/1.1\r\nHost: {HOST}\r\n{'X' * (MAX_NAME + 1)}: x\r\n\r\n",
            f"GET /status HTTP/1.1\r\nHost: {HOST}\r\nX: y\r\n z\r\n\r\n",
            f" GET /status HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
        ):
            web = Web()
            connection = web.connect()
            connection.send(head.encode())
            response = connection.response()
            self.assertEqual((response.status, response.reason), (400, "malformed"))
            self.assertTrue(connection.wire.disconnecting)
            self.assertEqual(web.registry.metrics.refusals, {"malformed": 1})
            self.assertEqual(web.registry.metrics.errors, {400: 1})

    def test_framing(self) -> None:
        """Where there may be doubt of where a request ends, it is refused, and nobody's mistake."""
        for lines in (
            *(f"Content-Length: {length}" for length in ("9" * 4301, "9" * 11, "", "+3", "0x3")),
            *(f"Content-Length: {length}" for length in ("3, 3", "3 3", "\u0663", "1_0", "3;")),
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            *(f"Transfer-Encoding: {one}" for one in ("identity", "gzip", "chunked, chunked", "")),
            *(f"Transfer-Encoding: {one}" for one in ("chunked, identity", "gzip, chunked", "x")),
            "Transfer-Encoding : chunked",
            "Content-Length : 3",
        ):
            connection = Web().connect()
            head = f"POST /register HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n"
            connection.send(head.encode() + b"xyz")
            response = connection.response()
            self.assertEqual((response.status, response.reason), (400, "malformed"), lines)
            self.assertTrue(connection.wire.disconnecting)
            self.assertEqual(self.flushLoggedErrors(), [], lines)

    @settings(max_examples=300)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["Content-Length", "Transfer-Encoding", "Host", "Expect", "Cookie"])
                | st.sampled_from(
                    ["Connection", "Upgrade", "Range", "Authorization", "Content-Type"]
                )
                | st.text(st.characters(max_codepoint=255), max_size=8),
                st.sampled_from(["chunked", "identity", "100-continue", "close", "1", "9" * 5000])
                | st.text(st.characters(max_codepoint=255), max_size=20),
            ),
            max_size=6,
        ),
        st.sampled_from(["GET", "POST", "DELETE", "OPTIONS", "HEAD", "CONNECT"]),
    )
    def test_any_head(self, headers: list[tuple[str, str]], method: str) -> None:
        """Whatever stands in a head, it is answered or waited for, and is nobody's mistake."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"{method} /status HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n".encode("latin-1")
        connection = Web().connect()
        for at in range(0, len(head), 700):
            connection.send(head[at : at + 700])
        self.assertFalse(connection.wire.aborted)
        self.assertNotIn(b" 500 ", bytes(connection.wire.value()))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_mistake(self) -> None:
        """A mistake of ours ends its connection; the log doesn't say whose, and not each time."""

        class Broken:
            """Routes that fail below what answers failures."""

            access = Web().resource.access

            def answer_plain(self, _request: object, _connection: object) -> None:
                """Fail."""
                raise ValueError("a mistake")

        web = Web()
        web.site.routes = Broken()
        with capturedLogs() as logged:
            for _ in range(3):
                connection = web.connect("203.0.113.77")
                connection.send(request_bytes("GET", "/status"))
                self.assertTrue(connection.wire.aborted)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertNotIn("203.0.113.77", "".join(eventAsText(event) for event in logged))

    def test_byte_by_byte(self) -> None:
        """A head that comes in single bytes is read once."""
        connection = Web().connect()
        for byte in request_bytes("GET", "/status"):
            connection.send(bytes([byte]))
        self.assertEqual(connection.response().status, 200)


class ConnectionTests(SynchronousTestCase):
    """The rest of a connection."""

    def setUp(self) -> None:
        self.web = Web()

    def test_idle(self) -> None:
        """A connection that is idle for a minute after a request ends."""
        connection = self.web.connect()
        connection.send(request_bytes("GET", "/status"))
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

    def test_date(self) -> None:
        """Every answer has the registry's own time, whichever way it is made."""
        for torn in (False, True):
            self.web.torn = torn
            for path, host in (("/status", HOST), ("/%ff", HOST), ("/nothing", HOST), ("/x", "a")):
                answer = self.web.ask("GET", path, headers={"Host": host})
                self.assertEqual(answer.headers["date"], "Fri, 15 Jan 2027 08:00:00 GMT")

    def test_not_text(self) -> None:
        """A path or a Host that isn't text is malformed."""
        for path, host in (("/%ff", HOST), ("/status", "a b"), ("/status", "a:x")):
            response = self.web.ask("GET", path, headers={"Host": host})
            self.assertEqual((response.status, response.reason), (400, "malformed"))

    def test_http_1_only(self) -> None:
        """HTTP/2, which has no such limits here, isn't offered."""
        self.assertEqual(self.web.site.acceptableProtocols(), [b"http/1.1"])
