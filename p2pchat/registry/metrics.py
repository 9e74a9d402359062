"""
Counters and gauges, for ``/status`` and for Prometheus.

:class:`Metrics` is the one place where things are counted; ``/status`` and ``/metrics`` show the
same figures.  Counting an answer takes about two microseconds.  Gauges (peers online, records) are
read when somebody asks.

Labels are routes, methods, statuses, reasons and outcomes, all from fixed lists: never an
address, an id, a name, or anything else that a stranger could choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode("ascii")
PREFIX = "p2psignal_"
BUCKETS = (  # seconds; a look-up takes some tens of microseconds, a signature some hundreds
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
METHODS = frozenset({b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS"})
OTHER = "other"  # any method or path that isn't ours
DELIVERED = "delivered"

disable_created_metrics()  # else each counter would have a second series, of when it began


class Metrics:
    """The figures of one registry, and of the process that it runs in."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._answers = self._counter("answers", "Answers to requests.", *labels)
        self._refusals = self._counter("refusals", "Requests refused.", "reason")
        self._documents = self._counter("documents", "Documents for peers.", "outcome")
        self._nameplates = self._counter("nameplates", "What was done at nameplates.", "outcome")
        self._mail = self._counter("mail", "What was done at mailboxes.", "outcome")
        self._presence = self._counter("presence", "Peers asked about.", "outcome")
        self._stun = self._counter("stun", "STUN datagrams received.", "outcome")
        self._seconds = Histogram(
            PREFIX + "answer_seconds",
            "From a whole request to the head of its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._gauges: dict[str, Gauge] = {}
        self._seconds.labels(OTHER)
        self._routes: dict[tuple[int, bytes], str] = {}  # by segments, and the first of them
        self._answered: dict[tuple[bytes, str, int], tuple[_Count, _Observe]] = {}
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def _counter(self, name: str, help_: str, *labels: str) -> PrometheusCounter:
        return PrometheusCounter(PREFIX + name, help_, labels, registry=self._registry)

    def gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Show what ``read`` returns at that time; a second gauge of a name replaces the first."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(PREFIX + name, help_, registry=self._registry)
        self._gauges[name].set_function(read)

    def expect(self, routes: Iterable[str]) -> None:
        """Show these routes, such as ``/peer/{peer_id}``, from now on; all others are OTHER."""
        for route in routes:
            self._seconds.labels(route)
            self._routes[route.count("/"), route.split("/")[1].encode("ascii")] = route

    def route_of(self, path: bytes) -> str:
        """Return the route that a path belongs to, or OTHER."""
        segments = path.count(b"/")
        return self._routes.get((segments, path.split(b"/", 2)[1]), OTHER) if segments else OTHER

    def answered(self, method: bytes, path: bytes, status: int, seconds: float) -> None:
        """
        Count an answer.

        :param seconds: how long it took.
        """
        key = (method if method in METHODS else b"", self.route_of(path), status)
        count, observe = self._answered.get(key) or self._first(key)
        count()
        observe(seconds)

    def _first(self, key: tuple[bytes, str, int]) -> tuple[_Count, _Observe]:
        """Look the counters of a kind of answer up once: that takes longer than counting."""
        method, route, status = key
        counter = self._answers.labels(method.decode("ascii") or OTHER, route, str(status))
        found = self._answered[key] = counter.inc, self._seconds.labels(route).observe
        return found

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refusals.labels(reason).inc()

    def passed(self, taken: bool) -> None:
        """Count a document for a peer, and whether a stream took it."""
        self._documents.labels(DELIVERED if taken else "dropped").inc()

    def nameplate(self, outcome: str) -> None:
        """Count what was done at a nameplate: claimed, responded, completed or released."""
        self._nameplates.labels(outcome).inc()

    def mail(self, outcome: str, count: int = 1) -> None:
        """Count what was done at mailboxes: published, allowed, given, kept, fetched, ..."""
        self._mail.labels(outcome).inc(count)

    def presence(self, online: int, asked: int) -> None:
        """Count peers of a question about many: those that are online, and the others."""
        self._presence.labels("online").inc(online)
        self._presence.labels("absent").inc(asked - online)

    def datagram(self, outcome: str) -> None:
        """Count a STUN datagram."""
        self._stun.labels(outcome).inc()

    @property
    def answers(self) -> Counter[tuple[str, str, int]]:
        """How many answers there were, by method, route and status."""
        return Counter(
            {(method, route, int(status)): n for (method, route, status), n in _read(self._answers)}
        )

    @property
    def errors(self) -> Counter[int]:
        """How many answers had an error status, by status."""
        errors: Counter[int] = Counter()
        for (_, _, status), number in self.answers.items():
            if status >= 400:
                errors[status] += number
        return errors

    @property
    def refusals(self) -> Counter[str]:
        """How many requests were refused, by reason."""
        return Counter({reason: number for (reason,), number in _read(self._refusals)})

    @property
    def delivered(self) -> int:
        """How many documents streams took."""
        return dict(_read(self._documents)).get((DELIVERED,), 0)

    @property
    def stun(self) -> Counter[str]:
        """How many STUN datagrams came, by outcome."""
        return Counter({outcome: number for (outcome,), number in _read(self._stun)})

    def text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self._registry)


_Count = Callable[[], None]
_Observe = Callable[[float], None]


def _read(counter: PrometheusCounter) -> Iterator[tuple[tuple[str, ...], int]]:
    """Return how much was counted, by the values of the labels."""
    for family in counter.collect():
        for sample in family.samples:
            yield tuple(sample.labels.values()), int(sample.value)
