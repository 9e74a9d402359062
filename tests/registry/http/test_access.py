"""What every request passes first, over HTTP: tokens of its address, and whose Host it has."""

from __future__ import annotations

from itertools import product

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.rates import Rate, Rates
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.access import MAX_NAMED
from p2pchat.registry.http.client_address import TrustedProxies
from p2pchat.registry.http.resource import HttpSettings, MetricsResource
from p2pchat.registry.registry import Settings
from p2pchat.wire.documents import Registration
from tests.cases import each
from tests.registry.http.description import Operation, operations
from tests.registry.http.test_resource import ALICE, ResourceCase
from tests.registry.web import HOST, PORT, Web, request_bytes

ELSEWHERE = "203.0.113.6"
ONE = Rate(1, 1)


class TokenTests(ResourceCase):
    """Whatever is asked for takes a token, before anything else is done for it."""

    def setUp(self) -> None:
        self.web = Web(Settings(rates=Rates(documents=ONE, reads=ONE, watching=ONE)))

    @each(*product(operations(), (False, True)))
    def test_every_route(self, operation: Operation, torn: bool) -> None:
        """Every route, whichever way it is read, is refused when there is no token left."""
        path = operation.path.replace("{peer_id}", ALICE.peer_id)
        self.web.torn = torn
        self.web.ask(operation.method, path)
        response = self.web.ask(operation.method, path)
        self.assertRefused(response, 429, "too-many-requests")
        self.assertEqual(response.headers["retry-after"], "2")
        self.assertNotEqual(self.web.ask(operation.method, path, ip=ELSEWHERE).status, 429)

    @each(
        *(("GET", "/nowhere"), ("GET", "/no/where/at/all"), ("GET", "/"), ("POST", "/peers")),
        *(("DELETE", "/status"), ("HEAD", "/healthz/x"), ("OPTIONS", "/peers"), ("GET", "x")),
        *(("BREW", "/peers"), ("GET", "/%ff"), ("GET", "//peers"), ("GET", "/peers?limit=x")),
    )
    def test_no_route(self, method: str, path: str) -> None:
        """So is what has no route, or not with this method, or makes no sense."""
        self.assertNotEqual(self.web.ask(method, path).status, 429)
        self.assertEqual(self.web.ask(method, path).status, 429, (method, path))

    def test_no_head(self) -> None:
        """So is what isn't even a request."""
        for status in (400, 429, 429):
            connection = self.web.connect()
            connection.send(b"hello\r\n\r\n")
            self.assertEqual(connection.response().status, status)

    def test_unread(self) -> None:
        """It is refused before its body is there, and the connection goes on after it."""
        self.web.post("/register", "x")
        connection = self.web.connect()
        sent = request_bytes("POST", "/register", bytes(100))
        self.assertEqual(connection.send(sent[:-100]), b"")
        connection.send(sent[-100:])
        self.assertRefused(connection.response(), 429, "too-many-requests")
        self.assertFalse(connection.wire.disconnecting)

    def test_continue(self) -> None:
        """Whoever asks whether to send a body is told at once."""
        self.web.post("/register", "x")
        connection = self.web.connect()
        headers = {"Expect": "100-continue", "Content-Length": "100"}
        connection.send(request_bytes("POST", "/register", headers=headers))
        self.assertRefused(connection.response(), 429, "too-many-requests")
        self.assertEqual(connection.response().headers["connection"], "close")

    def test_watching(self) -> None:
        """A flood of other requests leaves health and metrics theirs, and the other way round."""
        ip = "127.0.0.1"
        for path in ("/nowhere", "/peers", "/register", "/openapi.json"):
            for method in ("GET", "POST"):
                self.web.ask(method, path, ip=ip)
        self.assertEqual(self.web.ask("GET", "/healthz", ip=ip).status, 200)
        self.assertEqual(self.web.ask("GET", "/metrics", ip=ip).status, 429)
        self.web.pass_time(1)
        self.assertEqual(self.web.ask("GET", "/metrics", ip=ip).status, 200)
        self.assertEqual(self.web.ask("GET", "/status", ip=ip).status, 200)

    def test_metrics_endpoint(self) -> None:
        """An endpoint of its own is no way around."""
        self.web.site = MetricsResource(self.web.registry).site()
        paths = ("/metrics", "/metrics", "/nowhere", "/nowhere")
        statuses = [self.web.ask("GET", path).status for path in paths]
        self.assertEqual(statuses, [200, 429, 404, 429])

    def test_behind_proxy(self) -> None:
        """The token is the client's, not its proxy's."""
        proxies = TrustedProxies.parse("10.0.0.0/8")
        self.web = Web(Settings(rates=Rates(reads=ONE)), http=HttpSettings(proxies))
        for client, status in ((ELSEWHERE, 404), (ELSEWHERE, 429), ("203.0.113.7", 404)):
            headers = {"X-Forwarded-For": client}
            answer = self.web.ask("GET", "/nowhere", headers=headers, ip="10.0.0.1")
            self.assertEqual(answer.status, status)


class HostTests(ResourceCase):
    """Only requests that are meant for this registry are answered."""

    def test_foreign(self) -> None:
        """By a name that it wasn't told, the registry answers nothing, whoever owns it."""
        for torn in (False, True):
            self.web.torn = torn
            for host in (f"evil.example:{PORT}", "192.0.2.81:8000", "localhost:8000", "192.0.2.80"):
                for path in ("/peers", "/status", "/healthz", "/nowhere", f"/peer/{ALICE.peer_id}"):
                    response = self.web.ask("GET", path, headers={"Host": host})
                    self.assertRefused(response, 421, "misdirected")
                    self.assertIn("--public-url http://", response.json["detail"])

    def test_loopback(self) -> None:
        """On this machine it is localhost, too, but no page's own name for it."""
        for host, status in (
            ("localhost:8000", 200),
            ("127.0.0.1:8000", 200),
            ("a.test:8000", 421),
        ):
            connection = self.web.connect("127.0.0.1", "127.0.0.1")
            connection.send(request_bytes("GET", "/metrics", headers={"Host": host}))
            self.assertEqual(connection.response().status, status, host)

    def test_another_registrys(self) -> None:
        """What was signed for another registry isn't taken, by whatever Host it comes."""
        theirs = "other.example:8000"
        token = self.web.signed(ALICE, Registration("alice"), f"http://{theirs}")
        for host, status in ((HOST, 403), (theirs, 421)):
            headers = {"Content-Type": "application/jose", "Host": host}
            answer = self.web.ask("POST", "/register", token.encode(), headers)
            self.assertEqual(answer.status, status)

    def test_twice(self) -> None:
        """Two hosts are one too many, though they be the same."""
        for torn in (0, 5):
            for second in (HOST, "evil.example"):
                sent = request_bytes("GET", "/status", headers={"host": second})
                connection = self.web.connect()
                connection.send(sent[:torn])
                connection.send(sent[torn:])
                self.assertRefused(connection.response(), 400, "malformed")

    def test_no_host(self) -> None:
        """A Host that is more than host and port makes no sense, nor does one that is missing."""
        for host in ("", f"{HOST}/x", f"{HOST}?x", f"{HOST}#x", f"x@{HOST}", f"{HOST},{HOST}"):
            response = self.web.ask("GET", "/status", headers={"Host": host})
            self.assertRefused(response, 400, "malformed")

    def test_told(self) -> None:
        """The log says what an operator may have forgotten, but not all that strangers invent."""
        self.web = Web(Settings(rates=Rates(reads=Rate(0, 0))))
        with capturedLogs() as events:
            for number in range(3 * MAX_NAMED):
                self.web.ask("GET", "/status", headers={"Host": f"{number // 2}.example"})
        told = [event["named"] for event in events if "named" in event]
        self.assertEqual(told, [f"http://{number}.example:80" for number in range(MAX_NAMED)])

    def test_public(self) -> None:
        """Given a public URL, a trusted proxy may use another Host, and nobody else."""
        proxies = TrustedProxies.parse("10.0.0.0/8")
        audiences = Audiences(("https://registry.example:443",))
        self.web = Web(Settings(audiences=audiences), http=HttpSettings(proxies))
        for ip, status in (("10.0.0.1", 200), (ELSEWHERE, 421)):
            answer = self.web.ask("GET", "/status", headers={"Host": "registries"}, ip=ip)
            self.assertEqual(answer.status, status)


class PageTests(SynchronousTestCase):
    """No page in a browser reads the metrics."""

    def test_pages(self) -> None:
        """What a browser says of a page is refused; what a person or a program asks isn't."""
        web = Web()
        for headers, status in (
            ({}, 200),
            ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "same-origin"}, 403),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
        ):
            answer = web.ask("GET", "/metrics", headers=headers, ip="127.0.0.1")
            self.assertEqual(answer.status, status, headers)
            self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertEqual(answer.reason, "not-for-pages")
