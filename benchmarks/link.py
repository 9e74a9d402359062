"""
How fast a link carries bulk, and what a datagram of it costs.

Two processes on loopback for each carrier, the carriers by turns in the same run: p2pchat's link
between two whole endpoints, their drivers and sockets; a stream of a service on such a link; qh3
alone on the same sockets; TLS over TCP in Twisted; and magic-wormhole's connection for files.  The
processor time is that of both ends together, for every DATAGRAM bytes: what a datagram of the link
carries.

Run ``python -m benchmarks.link [--runs N] [--megabytes N] [--only NAME] [--rst]``; for the last
carrier ``pip install -e '.[benchmark]'``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import react

from benchmarks.bulk import Carrier, Spent, Tally
from benchmarks.bulk_quic import EngineCarrier, LinkCarrier
from benchmarks.bulk_streams import StreamsCarrier
from benchmarks.bulk_tcp import HAS_WORMHOLE, TLSCarrier, WormholeCarrier

MEGABYTE = 1_000_000
DATAGRAM = 1169  # bytes of bulk in a QUIC datagram of 1,200
PATIENCE = 120.0  # seconds for one transfer

LINK, STREAM, ENGINE = "p2pchat", "p2p: stream", "bare qh3"
CARRIERS: dict[str, Callable[[], Carrier]] = {
    LINK: LinkCarrier,
    STREAM: StreamsCarrier,
    ENGINE: EngineCarrier,
    "TLS over TCP": TLSCarrier,
    "magic-wormhole": WormholeCarrier,
}


@attrs.frozen
class Transfer:
    """One transfer: megabytes a second, and microseconds of processor time a datagram."""

    rate: float
    sending: float
    receiving: float

    @property
    def cost(self) -> float:
        """What both ends spend on a datagram."""
        return self.sending + self.receiving


def tell(spent: Spent) -> None:
    """Tell the parent what this end has spent."""
    print(json.dumps(attrs.asdict(spent)), flush=True)


@inlineCallbacks
def receive(carrier: Carrier, size: int) -> Any:
    """Be the receiving end: tell how to reach it, and what it has spent."""
    where = yield carrier.receive(Tally(size, tell))
    print(where, flush=True)
    yield Deferred()  # the parent ends this process


@inlineCallbacks
def send(carrier: Carrier, size: int, where: str) -> Any:
    """Be the sending end: tell what it has spent."""
    yield carrier.reach(where)
    start = Spent.so_far()
    yield carrier.pour(size)
    tell(Spent.so_far().since(start))


def transfer(name: str, size: int) -> Transfer:
    """Run both ends of one carrier."""
    command = [sys.executable, "-m", "benchmarks.link", "--size", str(size), "--end", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        try:
            where = receiver.stdout.readline().strip()
            told = subprocess.check_output(
                [*command, "--where", where], text=True, timeout=PATIENCE
            )
            received = Spent(**json.loads(receiver.stdout.readline()))
        finally:
            receiver.kill()
    sent, microseconds = Spent(**json.loads(told)), 1e6 * DATAGRAM / size
    return Transfer(
        size / received.seconds / MEGABYTE,
        sent.computed * microseconds,
        received.computed * microseconds,
    )


def spread(values: Sequence[float], digits: int) -> str:
    """Write median and range."""
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def row(found: list[Transfer], beside: list[Transfer]) -> list[str]:
    """Write what a carrier did, and its ratios to the bare engine."""
    rate = median(one.rate for one in found) / median(one.rate for one in beside)
    cost = median(one.cost for one in found) / median(one.cost for one in beside)
    return [
        spread([one.rate for one in found], 0),
        f"{rate:.2f}",
        spread([one.cost for one in found], 1),
        f"{median(one.sending for one in found):.1f}",
        f"{median(one.receiving for one in found):.1f}",
        f"{cost:.2f}",
    ]


HEADINGS = ["", "MB/s", "ratio", "µs a datagram", "sending", "receiving", "ratio"]


def table(results: dict[str, list[Transfer]], rst: bool) -> str:
    """Write one row a carrier."""
    rows = [[name, *row(found, results[ENGINE])] for name, found in results.items()]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        written = zip(cells, widths, strict=True)
        return "  ".join(cell.ljust(width) for cell, width in written).rstrip()

    rule = line(["=" * width for width in widths])
    lines = [line(HEADINGS), *map(line, rows)]
    if rst:
        lines[0] = "\\" + lines[0][1:]
        lines = [rule, lines[0], rule, *lines[1:], rule]
    return "\n".join(lines)


def compare(names: list[str], runs: int, size: int, rst: bool) -> None:
    """Let the carriers take turns, and print what they did."""
    results: dict[str, list[Transfer]] = {name: [] for name in names}
    for _ in range(runs):
        for name, found in results.items():
            found.append(transfer(name, size))
            print(f"{name}: {found[-1].rate:.0f} MB/s", file=sys.stderr)
    print(f"{runs} runs by turns, {size // MEGABYTE} MB each; medians and ranges\n")
    print(table(results, rst))


def chosen(wanted: list[str]) -> list[str]:
    """Return the carriers to run: those wanted or all, and the one that others are compared to."""
    names = [name for name in CARRIERS if not wanted or name in wanted or name == ENGINE]
    if "magic-wormhole" in names and not HAS_WORMHOLE:
        names.remove("magic-wormhole")
        print("magic-wormhole isn't installed (extra `benchmark`): left out\n")
    return names


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="how fast a link carries bulk, and what it costs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--only", action="append", default=[], choices=CARRIERS)
    parser.add_argument("--rst", action="store_true", help="a table for docs/performance.rst")
    parser.add_argument("--end", choices=CARRIERS, help=argparse.SUPPRESS)
    parser.add_argument("--where", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.end is None:
        size = options.megabytes * MEGABYTE
        compare(chosen(options.only), options.runs, size, options.rst)
        return
    carrier = CARRIERS[options.end]()
    if options.where is None:
        react(lambda _reactor: receive(carrier, options.size))
    else:
        react(lambda _reactor: send(carrier, options.size, options.where))


if __name__ == "__main__":
    main()
