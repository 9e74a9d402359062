"""
How many requests a second one core of this registry answers, beside FastAPI and uvicorn.

``twistd p2psignal`` and ``benchmarks.fastapi_registry`` (uvicorn with uvloop and httptools) run
side by side, bound to one core; wrk, bound to another, plays requests made beforehand over
CONNECTIONS kept connections, to one and to the other by turns:

register    a registration of one of IDENTITIES peers.  Ours is a signed document, each with a
            nonce of its own and each used once; theirs is the same members as plain JSON
look up     ``GET /peer/{peer_id}`` of those peers, in turn
renew       the lease of those peers once more.  Ours is ``POST /renew``; theirs has nothing
            cheaper than to register again

Rate limits are off.  Nothing but 2xx answers may come, else the run fails.

Printed are, for each job, medians over the runs and in brackets their range: requests a second;
the processor time that the server took for one, which depends less on what else the machine
does; latencies.  The ratios are those of the medians.  ``--rst`` prints them as a table.

With ``--store redis://...`` our records are in a Redis that runs already; theirs stay in memory.

Run ``python -m benchmarks.registry [--runs N] [--seconds S] [--rst] [--store URL]``; it needs
Linux, wrk, fastapi and ``uvicorn[standard]``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from statistics import median

import attrs

from benchmarks.asking import SEALING_KEY, Site
from benchmarks.serving import (
    LOAD_CORE,
    SERVER_CORE,
    UNLIMITED,
    on_core,
    processor_time,
    registry,
    serving,
)
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import sign_document
from p2pchat.wire.documents import Registration

SITE, THEIR_PORT = Site(18140), 18141  # their requests name our port, which doesn't matter
IDENTITIES = 2000
CONNECTIONS = 50
STUN_PORT = 18142  # asked nothing, but named in answers
GREATEST_RATE = 12_000  # requests a second that are made beforehand; more would be replays
JOBS = ("register", "look up", "renew")
UVICORN = (f"--port={THEIR_PORT}", "--loop=uvloop", "--http=httptools", "--no-access-log")
REPLAY = Path(__file__).with_name("replay.lua")

Requests = Iterator[bytes]


@attrs.frozen
class Sample:
    """
    One run.

    :ivar rate: requests a second.
    :ivar cost: microseconds of the server's processor time for a request.
    :ivar middle: the median latency in milliseconds.
    :ivar late: the 99th percentile of the latency in milliseconds.
    """

    rate: float
    cost: float
    middle: float
    late: float


@attrs.frozen
class Side:
    """One registry: how it is started, and what it is sent for each job."""

    name: str
    port: int
    command: list[str]
    requests: Callable[[str, int], Requests]


def people() -> list[Identity]:
    """Return the peers, always the same."""
    return [Identity.from_seed(number.to_bytes(32, "big")) for number in range(IDENTITIES)]


PEOPLE = people()


def look_ups() -> Requests:
    """Ask for each peer once."""
    for person in PEOPLE:
        yield SITE.look_up(person)


def members(number: int) -> dict[str, object]:
    """Return a registration's members, the envelope included."""
    return {
        "v": 2,
        "type": "registration",
        "iss": PEOPLE[number % IDENTITIES].peer_id,
        "aud": SITE.origin,
        "iat": time.time(),
        "jti": os.urandom(16).hex(),
        "username": f"peer {number % IDENTITIES}",
        "nat": "endpoint-independent",
        "addresses": [],
    }


def signed(job: str, count: int) -> Requests:
    """Write our requests."""
    if job == "look up":
        yield from look_ups()
    elif job == "renew":
        yield from renewals()
    else:
        for number in range(count):
            yield SITE.post("/register", document(number))


def document(number: int) -> str:
    """Sign a registration."""
    given = members(number)
    name, nat = str(given["username"]), str(given["nat"])
    body = Registration(name, nat, keys=(SEALING_KEY.record_key,))
    person = PEOPLE[number % IDENTITIES]
    return sign_document(person, SITE.origin, body, time.time(), str(given["jti"]))


def renewals() -> Requests:
    """Register each peer, and write the request that its answer allows."""
    for person, registration in zip(PEOPLE, signed("register", IDENTITIES), strict=True):
        token = json.loads(exchange(registration))["renewal"]
        yield SITE.renewal(person, token)


def exchange(sent: bytes, port: int = SITE.port) -> bytes:
    """Send a request on a connection of its own, and return the body of a good answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{answer.status}: {body!r}")
    return body


def unsigned(job: str, count: int) -> Requests:
    """Write the requests of the other side; renewing is registering again."""
    if job == "look up":
        yield from look_ups()
        return
    for number in range(count if job == "register" else 10 * IDENTITIES):
        body = json.dumps(members(number), separators=(",", ":")).encode()
        yield SITE.request("POST", "/register", body, "Content-Type: application/json")


OURS = Side(
    "p2psignal",
    SITE.port,
    registry(SITE.port, f"--stun={STUN_PORT}", *UNLIMITED),
    signed,
)
THEIRS = Side(
    "FastAPI",
    THEIR_PORT,
    [sys.executable, "-m", "uvicorn", "benchmarks.fastapi_registry:app", *UVICORN],
    unsigned,
)


def load(port: int, pid: int, requests: Path, seconds: int) -> Sample:
    """Let wrk play a file of requests."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(REPLAY), f"http://127.0.0.1:{port}", "--", str(requests)]
    before = processor_time(pid)
    run = subprocess.run(on_core(LOAD_CORE, command), check=False, capture_output=True, text=True)
    spent, said = processor_time(pid) - before, run.stdout
    rate, count = (re.search(what, said) for what in (r"/sec: +([0-9.]+)", r"(\d+) requests in"))
    if "Non-2xx" in said or "Socket errors" in said or rate is None or count is None:
        raise SystemExit(f"not every request was answered well:\n{said}")
    cost = spent / int(count[1]) * 1e6
    return Sample(float(rate[1]), cost, percentile(said, 50), percentile(said, 99))


def percentile(said: str, which: int) -> float:
    """Read a latency off wrk's table, in milliseconds."""
    found = re.search(rf" {which}% +([0-9.]+)(us|ms|s)\b", said)
    assert found is not None, said
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def write(requests: Requests, folder: Path) -> Path:
    """Write requests to a file for wrk."""
    path = folder / "requests"
    with path.open("wb") as file:
        for one in requests:
            file.write(b"%d\n" % len(one) + one)
    return path


Results = dict[tuple[str, str], list[Sample]]  # by side and job
Sides = tuple[Side, Side]


def measure(both: Sides, jobs: list[str], runs: int, seconds: int, folder: Path) -> Results:
    """Let both sides work by turns."""
    results: Results = defaultdict(list)
    with ExitStack() as stack:
        sides = [
            (side, stack.enter_context(serving(on_core(SERVER_CORE, side.command), side.port)))
            for side in both
        ]
        for side, _ in sides:
            for sent in side.requests("register", IDENTITIES):
                exchange(sent, side.port)
        for run in range(-1, runs):  # the first is to warm up
            for job in jobs:
                for side, pid in sides[:: 1 if run % 2 else -1]:
                    requests = write(side.requests(job, GREATEST_RATE * seconds), folder)
                    one = load(side.port, pid, requests, seconds)
                    results[side.name, job] += [one] if run >= 0 else []
                    print(f"{run + 1}: {side.name}, {job}: {one.rate:.0f}", file=sys.stderr)
    return results


def spread(values: list[float], digits: int = 0) -> str:
    """Return median and range, with so many digits after the point."""
    middle, least, most = (f"{of(values):,.{digits}f}" for of in (median, min, max))
    return f"{middle} ({least} to {most})"


def rows(results: Results, jobs: list[str]) -> Iterator[tuple[str, ...]]:
    """Return the table, its head first."""
    names = (OURS.name, THEIRS.name)
    yield ("", *names, "ratio")
    for job in jobs:
        ours, theirs = (results[name, job] for name in names)
        rates = [[one.rate for one in side] for side in (ours, theirs)]
        ratio = median(rates[0]) / median(rates[1])
        yield (f"{job}, a second", *map(spread, rates), f"{ratio:.2f}")
        costs = [[one.cost for one in side] for side in (ours, theirs)]
        ratio = median(costs[1]) / median(costs[0])
        yield (f"{job}, µs of processor", *map(spread, costs), f"{ratio:.2f}")
        late = [
            f"{median(one.middle for one in side):.1f}, {median(one.late for one in side):.1f}"
            for side in (ours, theirs)
        ]
        yield (f"{job}, ms: median, 99 %", *late, "")


def show(table: list[tuple[str, ...]], rst: bool) -> None:
    """Print a table."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    if rst:
        lines = [rule, lines[0].replace(" ", "\\", 1), rule, *lines[1:], rule]
    print("\n".join(lines))


def main() -> None:
    """Run both sides by turns, and print."""
    parser = argparse.ArgumentParser(description="this registry beside one on FastAPI")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--job", choices=JOBS, action="append")
    parser.add_argument("--rst", action="store_true")
    parser.add_argument("--store", default="", help="where ours keeps its records: redis://...")
    options = parser.parse_args()
    store = [f"--store={options.store}"] if options.store else []
    both = (attrs.evolve(OURS, command=[*OURS.command, *store]), THEIRS)
    jobs = options.job or list(JOBS)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(both, jobs, options.runs, options.seconds, Path(folder))
    show(list(rows(results, jobs)), options.rst)


if __name__ == "__main__":
    main()
