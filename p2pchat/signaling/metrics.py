"""
What is counted, and how it is shown to Prometheus.

:class:`Counts` is the one place where things are counted; ``/status`` and ``/metrics`` show the
same figures.  Counting is a dictionary entry and, for an answer, one histogram: about a
microsecond.  What is only true at a moment (peers online, records) is read when somebody asks.

Labels are routes, methods, statuses, reasons and outcomes, all from fixed lists: never an
address, an id, a name, or anything else that a stranger could choose.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

import attrs
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from p2pchat.signaling.openapi import ROUTES

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode("ascii")
PREFIX = "p2psignal_"
BUCKETS = (  # seconds; a look-up takes some tens of microseconds, a signature some hundreds
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
OTHER = "other"  # any method or path that isn't ours

# By how many segments a path has, and the first.
_ROUTES = {(one.count("/"), one.split("/")[1].encode("ascii")): one for one in ROUTES}


def route_of(path: bytes) -> str:
    """Return the route that a path belongs to, or OTHER."""
    return _ROUTES.get(
        (path.count(b"/"), path.split(b"/", 2)[1]) if b"/" in path else (0, b""), OTHER
    )


@attrs.define
class Latencies:
    """
    How long the answers of one route took.

    :ivar total: seconds of all together.
    """

    total: float = 0.0
    _counts: list[int] = attrs.Factory(lambda: [0] * (len(BUCKETS) + 1))

    def add(self, seconds: float) -> None:
        """Count an answer."""
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many took at most so many seconds, for each of BUCKETS and for all."""
        bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))


class Counts:
    """
    What happened since the start.

    :ivar answers: by method, route and status.
    :ivar refusals: by reason.
    :ivar documents: passed between peers, by type and outcome: ``delivered`` to a stream, or
        ``dropped`` because there was none that took it.
    :ivar stun: datagrams by outcome.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str, int]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.documents: Counter[tuple[str, str]] = Counter()
        self.stun: Counter[str] = Counter()
        self._latencies = {route: Latencies() for route in (*ROUTES, OTHER)}

    def answered(self, method: bytes, path: bytes, status: int, seconds: float) -> None:
        """
        Count an answer.

        :param seconds: how long it took.
        """
        route = route_of(path)
        name = method.decode("latin-1")
        self.answers[name if name in METHODS else OTHER, route, status] += 1
        self._latencies[route].add(seconds)

    @property
    def errors(self) -> Counter[int]:
        """How many answers had an error status, by status."""
        errors: Counter[int] = Counter()
        for (_, _, status), number in self.answers.items():
            if status >= 400:
                errors[status] += number
        return errors

    def delivered(self, kind: str | None = None) -> int:
        """Return how many documents were delivered, of one type or of all."""
        return sum(
            number
            for (type_, outcome), number in self.documents.items()
            if outcome == "delivered" and kind in {None, type_}
        )

    def collect(self) -> Iterator[Metric]:
        """Return everything, as Prometheus takes it."""
        yield _counter(
            *("answers", "Answers to requests.", ("method", "route", "status")),
            (
                ((method, route, str(status)), n)
                for (method, route, status), n in self.answers.items()
            ),
        )
        yield _counter(
            *("refusals", "Requests refused.", ("reason",)),
            (((reason,), n) for reason, n in self.refusals.items()),
        )
        yield _counter(
            *("documents", "Documents for peers.", ("type", "outcome")), self.documents.items()
        )
        yield _counter(
            *("stun", "STUN datagrams received.", ("outcome",)),
            (((outcome,), n) for outcome, n in self.stun.items()),
        )
        latencies = HistogramMetricFamily(
            PREFIX + "answer_seconds",
            "From a whole request to the head of its answer.",
            labels=["route"],
        )
        for route, taken in self._latencies.items():
            latencies.add_metric([route], taken.buckets(), taken.total)
        yield latencies


def _counter(
    name: str, help_: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], int]]
) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help_, labels=labels)
    for value, number in sorted(values):
        family.add_metric(value, number)
    return family


@attrs.frozen(eq=False)
class Gauge:
    """
    Something that is only true at a moment.

    :ivar read: tells how much of it there is now.
    """

    name: str
    help: str
    read: Callable[[], float]


@attrs.frozen(eq=False)
class _Everything(Collector):
    """What is read when Prometheus asks."""

    counts: Counts
    gauges: tuple[Gauge, ...]

    def collect(self) -> Iterator[Metric]:
        """Return it all."""
        yield from self.counts.collect()
        for gauge in self.gauges:
            yield GaugeMetricFamily(PREFIX + gauge.name, gauge.help, value=gauge.read())


class Exposition:
    """The figures of one registry, and of the process that it runs in, as text."""

    def __init__(self, counts: Counts, gauges: Iterable[Gauge]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Everything(counts, tuple(gauges)))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return the text format of Prometheus."""
        return generate_latest(self._registry)
