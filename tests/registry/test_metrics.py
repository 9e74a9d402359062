"""What is counted, and what Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.http.connections import HEAD_DEADLINE
from p2pchat.registry.http.resource import WATCHING, HttpSettings, MetricsResource
from p2pchat.registry.http.site import RejectingProtocol
from p2pchat.registry.metrics import BUCKETS, OTHER, Metrics
from p2pchat.wire.documents import Removal, Sealed, Subscription
from tests.registry.web import Response, Web, identity, request_bytes

ALICE, BOB = identity(1), identity(2)
Value = Callable[..., float]


def families(text: bytes) -> dict[str, Metric]:
    """Read the text format, by Prometheus' own reader."""
    return {one.name: one for one in text_string_to_metric_families(text.decode("utf-8"))}


def value(text: bytes, name: str, **labels: str) -> float:
    """Return the value of one sample, 0 where there is none."""
    for family in families(text).values():
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return sample.value
    return 0.0


class MetricsTests(SynchronousTestCase):
    """The figures."""

    def setUp(self) -> None:
        self.metrics = Web().registry.metrics

    def test_route_of(self) -> None:
        """A path belongs to the route that would serve it, whatever stands in it."""
        for path, route in (
            (b"/register", "/register"),
            (b"/peer/x", "/peer/{peer_id}"),
            (b"/peer/x/y", OTHER),
            (b"/peer", OTHER),
            (b"/openapi.json", "/openapi.json"),
            (b"/wp-admin", OTHER),
            (b"*", OTHER),
            (b"", OTHER),
        ):
            self.assertEqual(self.metrics.route_of(path), route, path)

    def test_answers(self) -> None:
        """Answers count by method, route and status; how long they took, by route."""
        self.metrics.answered(b"GET", b"/peer/x", 404, 0.0002)
        self.metrics.answered(b"GET", b"/peer/y", 404, 0.002)
        self.metrics.answered(b"GET", b"/peer/z", 404, 0.0025)
        labels = {"method": "GET", "route": "/peer/{peer_id}", "status": "404"}
        text = self.metrics.text()
        self.assertEqual(value(text, "p2psignal_answers_total", **labels), 3)
        seconds = "p2psignal_answer_seconds"
        route = {"route": "/peer/{peer_id}"}
        for bound, number in (
            ("0.0001", 0),
            ("0.00025", 1),
            ("0.001", 1),
            ("0.0025", 3),
            ("+Inf", 3),
        ):
            self.assertEqual(value(text, seconds + "_bucket", le=bound, **route), number, bound)
        self.assertEqual(value(text, seconds + "_count", **route), 3)
        self.assertAlmostEqual(value(text, seconds + "_sum", **route), 0.0047)
        self.assertEqual(self.metrics.errors, {404: 3})

    def test_strangers_choose_no_labels(self) -> None:
        """Whatever methods and paths come, there are only so many samples."""
        for number in range(1000):
            method, path = b"X%d" % number, b"/%d/%d" % (number, number)
            self.metrics.answered(method, path, 405, 0.0)
        self.assertEqual(self.metrics.answers, {(OTHER, OTHER, 405): 1000})
        self.assertNotIn(b"999/", self.metrics.text())

    def test_gauges(self) -> None:
        """A gauge shows what is true when it is read."""
        there = [1]
        self.metrics.gauge("things", "Things.", lambda: len(there))
        self.assertEqual(value(self.metrics.text(), "p2psignal_things"), 1)
        there.append(2)
        self.assertEqual(value(self.metrics.text(), "p2psignal_things"), 2)

    def test_process(self) -> None:
        """The figures of the process are there; two registries of one process don't meet."""
        self.metrics.refused("stopping")
        text = Metrics().text()
        self.assertNotIn(b"stopping", text)
        self.assertGreater(value(text, "process_resident_memory_bytes"), 1_000_000)
        self.assertIn("python_gc_collections", families(text))

    def test_buckets(self) -> None:
        """Buckets go up."""
        self.assertEqual(list(BUCKETS), sorted(set(BUCKETS)))


class RouteTests(SynchronousTestCase):
    """GET /metrics and /healthz."""

    def setUp(self) -> None:
        self.web = Web()

    def metrics(self, ip: str = "127.0.0.1") -> Response:
        return self.web.ask("GET", "/metrics", ip=ip)

    def test_same_figures(self) -> None:
        """What happened shows in the metrics, and the same in the status."""
        for person in (ALICE, BOB):
            self.web.register(person)
        self.web.subscribe(BOB, self.web.signed(BOB, Subscription()))
        token = self.web.signed(ALICE, Sealed(bytes(64)), BOB.peer_id)
        self.assertEqual(self.web.post(f"/deliver/{BOB.peer_id}", token).status, 202)
        token = self.web.signed(BOB, Sealed(bytes(64)), ALICE.peer_id)
        self.web.post(f"/deliver/{ALICE.peer_id}", token)  # ALICE is offline
        self.web.post("/register", self.web.signed(ALICE, Removal()))
        self.web.ask("POST", "/register", headers={"Content-Length": "1000000"})
        status = self.web.ask("GET", "/status").json
        text = self.metrics().body
        for name, labels, expected in (
            ("peers_registered", {}, 2),
            ("event_streams", {}, 1),
            ("documents_total", {"outcome": "delivered"}, 1),
            ("documents_total", {"outcome": "dropped"}, 1),
            ("refusals_total", {"reason": "peer-offline"}, 1),
            ("refusals_total", {"reason": "wrong-type"}, 1),
            ("refusals_total", {"reason": "body-too-large"}, 1),
            ("answers_total", {"method": "POST", "route": "/register", "status": "200"}, 2),
            (
                "answers_total",
                {"method": "GET", "route": "/events/{peer_id}", "status": "200"},
                1,
            ),
        ):
            self.assertEqual(value(text, f"p2psignal_{name}", **labels), expected, name)
        self.assertEqual((status["peers_registered"], status["peers_online"]), (2, 1))
        self.assertEqual(status["deliveries"], 1)
        count = value(text, "p2psignal_answer_seconds_count", route="/deliver/{peer_id}")
        self.assertEqual(count, 2)
        self.assertEqual(status["errors"], {"400": 1, "404": 1, "413": 1})
        refused = {"body-too-large": 1, "peer-offline": 1, "wrong-type": 1}
        self.assertEqual(status["refusals"], refused)

    def test_names_nobody(self) -> None:
        """No id, name or address of a peer is in it."""
        self.web.register(ALICE, "alice")
        text = self.metrics().body
        for secret in (ALICE.peer_id, "alice", "203.0.113.5"):
            self.assertNotIn(secret.encode(), text)

    def test_local_only(self) -> None:
        """Programs of this machine may read it, others not."""
        for ip, status in (
            ("127.0.0.1", 200),
            ("127.8.9.1", 200),
            ("203.0.113.5", 403),
        ):
            response = self.metrics(ip)
            self.assertEqual(response.status, status, ip)
        self.assertEqual(response.reason, "local-only")
        self.web = Web(http=HttpSettings(local_metrics=False))
        self.assertEqual(self.metrics().reason, "local-only")

    def test_page(self) -> None:
        """On an endpoint of its own everybody may read it, and nothing else is there."""
        web = Web()
        web.site = MetricsResource(web.registry).site()
        response = web.ask("GET", "/metrics")
        self.assertEqual((response.status, response.headers["cache-control"]), (200, "no-store"))
        self.assertTrue(response.headers["content-type"].startswith("text/plain"))
        self.assertIn("p2psignal_event_streams", families(response.body))
        self.assertEqual(web.ask("GET", "/status").status, 404)

    def test_watched_when_full(self) -> None:
        """That endpoint has connections of its own, with deadlines like all."""
        web = Web(http=HttpSettings(connections=Limits(1, 1)))
        web.connect().send(request_bytes("GET", "/status"))
        self.assertEqual(web.ask("GET", "/status").reason, "too-many-connections")
        web.site = MetricsResource(web.registry).site()
        self.assertEqual(web.ask("GET", "/metrics").status, 200)
        silent = [web.connect() for _ in range(WATCHING.total + 1)]
        self.assertIsInstance(silent[-1].protocol, RejectingProtocol)
        web.pass_time(int(HEAD_DEADLINE) + 1)
        self.assertTrue(all(one.wire.aborted for one in silent))

    def test_healthy(self) -> None:
        """While it serves, it is healthy."""
        response = self.web.ask("GET", "/healthz")
        self.assertEqual((response.status, response.json), (200, {"status": "ok"}))

    def test_stopping(self) -> None:
        """While it stops, a load balancer is told to send nobody."""
        self.web.registry.stopping = True
        response = self.web.ask("GET", "/healthz")
        self.assertEqual((response.status, response.reason), (503, "stopping"))
        self.assertEqual(response.headers["retry-after"], "1")
