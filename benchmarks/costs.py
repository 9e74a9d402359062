"""
What each thing costs that ``benchmarks.million`` counts, for a registry over Redis.

``twistd p2psignal --store redis://...`` runs on one core; a redis-server of its own, and this
program, which is all the peers, on another.  Each run starts both servers anew and measures

* the registry's resident memory when it has been asked nothing; its growth while each peer opens
  an event stream; and its growth while each opens a connection, asks one thing, and keeps it;
* the processor time of both servers for the requests of each kind, ROUNDS by each peer, over
  several kept connections at once.  An event stream has a connection of its own, whose beginning
  and end count with it.  An offer goes to a stream of the same process;
* the registry's processor time while streams are held, less what it takes without any;
* the memory of Redis, without its buffers for clients: its growth while peers that it knows
  register again, which adds used nonces alone; and while new ones register and subscribe, less
  two nonces for each.

The processor time and the memory of Redis are those of its INFO.  The model knows one cost of a
script: the mean of the kinds, as often as it has them with a lease of LEASE.  Rate limits are off.

Printed are medians over the runs, in brackets their range, and at last the command that gives
the medians to the model.

Run ``python -m benchmarks.costs [--peers N] [--runs N] [--connections N] [--seconds S]``; it
needs Linux and Debian's redis-server.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import Protocol

import attrs

from benchmarks.asking import TIMEOUT, Connection, Site, Streams, ask_all, new_people
from benchmarks.million import KIB, MIB, Inputs, Load
from benchmarks.registry import show, spread
from benchmarks.serving import (
    LOAD_CORE,
    SERVER_CORE,
    UNLIMITED,
    allow_many_files,
    on_core,
    processor_time,
    registry,
    resident,
    room,
    serving,
)
from p2pchat.identity.keys import Identity
from tests.ports import free_port
from tests.registry.store.redis_server import NO_REDIS, RedisServer

ROUNDS = 3  # requests of each kind by each peer
SETTLE = 1.0  # seconds for both servers to come to rest
REST = 3.0  # seconds for which nobody asks; the registry tells Redis that it lives as often
LEASE = 60.0  # seconds; the registry's default, and the one with which Redis has most to do
CPU = ("used_cpu_sys", "used_cpu_user")  # of Redis's INFO; seconds
WARM = 100  # other peers that register before, so that Redis has its scripts and buffers
AT_REST = 200_000.0  # microseconds a second; less is no more than holding streams
MICRO = 1e6

KINDS = ("register", "renew", "subscribe", "deliver", "look_up")  # of requests

# Unit, and digits after the point; those at the end are no inputs of the model.
UNITS = {
    **dict.fromkeys(KINDS, ("µs", 0)),
    "connect": ("µs", 0),
    "hold": ("µs a second", 2),
    "process": ("MiB", 0),
    "stream": ("KiB", 1),
    "connection": ("KiB", 1),
    "redis_record": ("bytes", 0),
    "redis_nonce": ("bytes", 0),
    "redis_script": ("µs", 0),
    **dict.fromkeys((f"Redis: {name}" for name in KINDS), ("µs a script", 1)),
    "process at rest": ("µs a second", 0),
}


class Closable(Protocol):
    """What keeps connections."""

    def close(self) -> None:
        """Close them."""


@attrs.define
class Run:
    """
    One registry over one Redis, and what has been found out about them.

    :ivar connections: on which requests are asked.
    :ivar found: by name, in the units of UNITS.
    """

    site: Site
    pid: int
    redis: RedisServer
    people: Sequence[Identity]
    connections: Sequence[Connection]
    found: defaultdict[str, float] = attrs.Factory(lambda: defaultdict(float))

    def measure(self, seconds: float) -> dict[str, float]:
        """Measure everything; memory first, while little has been freed that could be reused."""
        self.rest()
        self.register(new_people(WARM))
        empty, tokens = self.redis_memory(), self.register(self.people)
        ask_all(self.connections, self.look_ups())  # which fills the caches that it can
        time.sleep(SETTLE)
        with closing(Streams(self.site)) as streams, ExitStack() as kept:
            self.keep_connections(kept)
            with self.growing("stream"), self.timing("subscribe", len(self.people)):
                streams.open(self.people, len(self.connections))
            each = (self.redis_memory() - empty) / len(self.people)
            self.end("connect", kept)
            self.ask(tokens, streams)
            self.hold(seconds)
            self.end("subscribe", streams)
        self.found["redis_record"] = each - 2 * self.found["redis_nonce"]
        self.found["connect"] -= self.found["look_up"]
        self.found["Redis: subscribe"] /= 2  # one script to begin a stream, one to end it
        self.found["redis_script"] = one_script(self.found)
        return self.found

    # -- one thing after the other

    def rest(self) -> None:
        """Measure a process that nobody uses."""
        time.sleep(SETTLE)
        self.found["process"] = resident(self.pid) / MIB
        self.found["process at rest"] = self.busy(REST)

    def register(self, people: Sequence[Identity]) -> list[str]:
        """Let some peers register, and return the tokens of their leases."""
        requests = [self.site.registration(person) for person in people]
        answers = ask_all(self.connections, requests)
        return [json.loads(one.partition(b"\r\n\r\n")[2])["renewal"] for one in answers]

    def keep_connections(self, kept: ExitStack) -> None:
        """Measure connections that wait for their next request."""
        look_ups, at_once = self.look_ups(), len(self.connections)
        with self.growing("connection"), self.timing("connect", len(self.people)):
            for start in range(0, len(look_ups), at_once):
                some = look_ups[start : start + at_once]
                ends = [kept.enter_context(self.site.dial()) for _ in some]
                ask_all([Connection(end) for end in ends], some)

    def look_ups(self) -> list[bytes]:
        """Write a request for each peer's record."""
        return [self.site.look_up(person) for person in self.people]

    def ask(self, tokens: Sequence[str], streams: Streams) -> None:
        """Measure requests on kept connections."""
        site, people = self.site, self.people
        following = [*people[1:], people[0]]
        for _ in range(ROUNDS):
            self.take("look_up", self.look_ups())
            self.take("renew", list(map(site.renewal, people, tokens)))
            ids = (person.peer_id for person in following)
            self.take("deliver", list(map(site.offer, people, ids)))
            streams.await_documents(len(people))
        before = self.redis_memory()
        for _ in range(ROUNDS):  # at last, because the tokens are new ones then
            self.take("register", list(map(site.registration, people)))
        used = ROUNDS * len(people)
        self.found["redis_nonce"] = (self.redis_memory() - before) / used

    def take(self, name: str, requests: list[bytes]) -> None:
        """Measure one of the rounds of a kind of request."""
        with self.timing(name, ROUNDS * len(requests)):
            ask_all(self.connections, requests)

    def hold(self, seconds: float) -> None:
        """Measure streams on which nothing comes but keepalives."""
        more = self.busy(seconds) - self.found["process at rest"]
        self.found["hold"] = more / len(self.people)

    def end(self, name: str, ends: Closable) -> None:
        """Measure what it costs when each peer closes what it has opened."""
        with self.timing(name, len(self.people)):
            ends.close()
            self.await_rest()

    # -- how it is measured

    def busy(self, seconds: float) -> float:
        """Return the microseconds a second that the registry computes from now on."""
        before = processor_time(self.pid)
        time.sleep(seconds)
        return (processor_time(self.pid) - before) / seconds * MICRO

    def await_rest(self) -> None:
        """Wait until the registry has taken notice of what has just ended."""
        until = time.monotonic() + TIMEOUT
        while self.busy(0.1) > AT_REST:
            if time.monotonic() > until:
                raise SystemExit("the registry doesn't come to rest")

    @contextmanager
    def growing(self, name: str) -> Iterator[None]:
        """Measure what the registry's memory grows by, for each peer."""
        before = resident(self.pid)
        yield
        time.sleep(SETTLE)
        self.found[name] = (resident(self.pid) - before) / len(self.people) / KIB

    @contextmanager
    def timing(self, name: str, count: int) -> Iterator[None]:
        """Add the processor time of both servers, for one of so many requests of a kind."""
        ours, redis = processor_time(self.pid), self.redis_info(*CPU)
        yield
        self.found[name] += (processor_time(self.pid) - ours) / count * MICRO
        self.found[f"Redis: {name}"] += (self.redis_info(*CPU) - redis) / count * MICRO

    def redis_memory(self) -> float:
        """Return the bytes that Redis uses for what it holds."""
        return self.redis_info("used_memory") - self.redis_info("mem_clients_normal")

    def redis_info(self, *names: str) -> float:
        """Return the sum of some lines of Redis's INFO."""
        lines = (line.partition(":") for line in self.redis.ask("INFO").splitlines())
        values = {name: value for name, _, value in lines}
        return sum(float(values[name]) for name in names)


def one_script(found: Mapping[str, float]) -> float:
    """Return what Redis takes for a script, in the mixture that the model has."""
    load = Load(Inputs(), LEASE)
    shares = {
        "register": load.again + load.arrivals,
        "renew": load.renewals,
        "subscribe": 2 * load.arrivals,
        "look_up": load.calls,
        "deliver": load.deliveries,
    }
    return sum(share * found[f"Redis: {name}"] for name, share in shares.items()) / load.scripts


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Start both servers, and measure once."""
    site, redis = Site(free_port()), RedisServer()
    most = room(2 * options.peers + options.connections + 1)
    words = (f"--store={redis.url}", "--lease=3600", "--stun=0", *UNLIMITED, *most)
    command = on_core(SERVER_CORE, registry(site.port, *words))
    with closing(redis), ExitStack() as stack:
        redis.start()
        pid = stack.enter_context(serving(command, site.port))
        ends = [stack.enter_context(site.dial()) for _ in range(options.connections)]
        connections = [Connection(end) for end in ends]
        run = Run(site, pid, redis, new_people(options.peers), connections)
        return run.measure(options.seconds)


def report(runs: Sequence[dict[str, float]]) -> None:
    """Print the table, and the command that gives the medians to the model."""
    words: list[str] = []
    rows: list[tuple[str, ...]] = [("", "median and range", "unit")]
    for name, (unit, digits) in UNITS.items():
        values = [run[name] for run in runs]
        rows.append((name, spread(values, digits), unit))
        if name in attrs.fields_dict(Inputs):
            words.append(f"--{name.replace('_', '-')} {median(values):.{digits}f}")
    show(rows, rst=False)
    print("python -m benchmarks.million", *words)


def main() -> None:
    """Measure as often as told, and print."""
    parser = argparse.ArgumentParser(description="what the model of a million peers multiplies")
    parser.add_argument("--peers", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--connections", type=int, default=8, help="that ask at the same time")
    held = "for which idle streams are held; a keepalive comes every 5"
    parser.add_argument("--seconds", type=float, default=30.0, help=held)
    options = parser.parse_args()
    if NO_REDIS:
        raise SystemExit(NO_REDIS)
    allow_many_files()
    os.sched_setaffinity(0, {LOAD_CORE})  # Redis too
    runs = []
    for number in range(1, options.runs + 1):
        print(f"run {number} of {options.runs}", file=sys.stderr)
        runs.append(measure(options))
    report(runs)


if __name__ == "__main__":
    main()
