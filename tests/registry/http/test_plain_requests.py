"""Plain requests: which are, and that both ways of reading a request have the same answers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.http.plain_requests import (
    MAX_PLAIN_BODY,
    MAX_PLAIN_HEAD,
    MAX_PLAIN_HEADERS,
    PlainRequest,
    read_plain,
)
from tests.registry.http import test_resource
from tests.registry.web import HOST, Web

PLAIN = b"POST /deliver/abc HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz"


def read(data: bytes) -> tuple[PlainRequest, int] | None:
    """Read a request at the start."""
    return read_plain(data, 0)


class ReadTests(SynchronousTestCase):
    """What is plain."""

    def test_read(self) -> None:
        """Method, path, headers and body are those of the request; what follows is left."""
        found = read_plain(b"..." + PLAIN + b"GET", 3)
        assert found is not None
        request, end = found
        self.assertEqual((request.method, request.path), (b"POST", b"/deliver/abc"))
        self.assertEqual((request.getHeader(b"host"), request.getHeader(b"x")), (b"h", None))
        self.assertEqual((request.content.read(), end), (b"xyz", 3 + len(PLAIN)))

    def test_whole_only(self) -> None:
        """A request that isn't whole yet isn't read."""
        for end in range(len(PLAIN)):
            self.assertIsNone(read(PLAIN[:end]))

    def test_not_plain(self) -> None:
        """What means more than a question and an answer, or is odd, is for twisted.web."""
        for line in (
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue",
            b"Upgrade: websocket",
            b"Connection: close",
            b"Host: again",
            b"HOST: again",
            b"Content-Length: 3",
            b"X: \xff",
            b"X: \x00",
            b"X: a\r\n b",
            b" X: a",
            b"X : a",
            b"X",
            b": a",
        ):
            self.assertIsNone(read(PLAIN.replace(b"Host: h", b"Host: h\r\n" + line)), line)

    def test_other_lines(self) -> None:
        """Another method, path or version is for twisted.web too."""
        for line in (
            b"HEAD /peer/a HTTP/1.1",
            b"DELETE /peer/a HTTP/1.1",
            b"GET /peer/a HTTP/1.0",
            b"GET /peer/%61 HTTP/1.1",
            b"GET /peers?limit=1 HTTP/1.1",
            b"GET //peer HTTP/1.1",
            b"GET http://h/peer/a HTTP/1.1",
            b"GET /a/b/c HTTP/1.1",
            b"GET  /peer/a HTTP/1.1",
        ):
            self.assertIsNone(read(line + b"\r\nHost: h\r\n\r\n"), line)

    def test_lengths(self) -> None:
        """A length that isn't one, or with GET, isn't plain."""
        for length in (b"x", b"-1", b"+3", b"3, 3", b"", b"0x3", b"100000"):
            self.assertIsNone(read(PLAIN.replace(b"Length: 3", b"Length: " + length)), length)
        self.assertIsNone(read(PLAIN.replace(b"POST", b"GET")))

    def test_sizes(self) -> None:
        """Nor is what is large; the greatest that is, is read."""
        for size, plain in ((MAX_PLAIN_BODY, True), (MAX_PLAIN_BODY + 1, False)):
            data = PLAIN.replace(b": 3", b": %d" % size)[:-3] + bytes(size)
            self.assertIs(read(data) is not None, plain)
        for size in (MAX_PLAIN_HEAD, MAX_PLAIN_HEADERS + 1):
            lines = b"".join(b"A%d: a\r\n" % number for number in range(size))
            self.assertIsNone(read(b"GET /a HTTP/1.1\r\n" + lines + b"\r\n"))

    @given(st.binary(max_size=80), st.integers(0, len(PLAIN)))
    def test_anything(self, junk: bytes, at: int) -> None:
        """Whatever comes, what is read ends within what came."""
        data = PLAIN[:at] + junk + PLAIN[at:]
        found = read(data)
        self.assertTrue(found is None or 0 < found[1] <= len(data))


class Torn:
    """Requests come in two pieces, so that twisted.web and Klein answer them."""

    web: Web

    def setUp(self) -> None:
        """Tear them."""
        self.torn = True
        super().setUp()  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "web":
            value.torn = True
        super().__setattr__(name, value)


class TornRegisterTests(Torn, test_resource.RegisterTests):
    """POST /register, the other way."""


class TornRenewTests(Torn, test_resource.RenewTests):
    """POST /renew, the other way."""


class TornReadTests(Torn, test_resource.ReadTests):
    """GET /peer and others, the other way."""


class TornDeliverTests(Torn, test_resource.DeliverTests):
    """POST /deliver, the other way."""


class SameTests(SynchronousTestCase):
    """The two ways, side by side."""

    def test_same(self) -> None:
        """Status, headers and body are the same, whatever is asked of the routes that have two."""
        jose = {"Content-Type": "application/jose"}
        alice = test_resource.ALICE.peer_id
        for method, path, body, headers in (
            ("GET", f"/peer/{alice}", b"", {}),
            ("GET", "/peer/nobody", b"", {}),
            ("GET", f"/peer/{alice}", b"", {"Host": "a b"}),
            ("POST", "/register", b"", jose),
            ("POST", "/register", b"x.y.z", jose),
            ("POST", "/register", b"x", {}),
            ("POST", f"/deliver/{alice}", b"a.b.c", jose),
            ("POST", f"/renew/{alice}", b"", {"Authorization": "Lease x"}),
            ("POST", f"/renew/{alice}", b"", {}),
            ("POST", f"/peer/{alice}", b"", {}),
            ("GET", "/register", b"", {}),
        ):
            answers = []
            for torn in (False, True):
                web = Web()
                web.torn = torn
                answer = web.ask(method, path, body, headers)
                answer.headers.pop("date", None)
                answers.append((answer, web.registry.metrics.errors))
            self.assertEqual(*answers)

    def test_host(self) -> None:
        """The host of these tests is one that both ways accept."""
        self.assertEqual(Web().ask("GET", "/status", headers={"Host": HOST}).status, 200)
