"""
How long two peers behind NATs take to connect: p2pchat and aioice, side by side in the same lab.

Owns the runs and the table; the lab and the peers are those of `tests.lab`. The two take turns,
each run with fresh processes and NATs that have forgotten everything, so that whatever else the
machine does meets both alike. See README.rst for what the figures mean.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

from benchmarks.aioice_pair import connect_aioice
from tests.lab.peers import JsonPeer, Registry
from tests.lab.rulesets import NAT_KINDS
from tests.lab.topology import Lab, reason_to_skip

START_LIMIT = 30.0  # seconds; for a process to be ready
CALL_LIMIT = 60.0  # seconds; from calling to the first delivery

Samples = dict[str, list[float]]

PATH = "p2pchat: path, at the caller"
CONNECTED = "p2pchat: connected, at the caller"
BOTH_CONNECTED = "p2pchat: connected, at both"
DELIVERED = "p2pchat: first message delivered"
AIOICE_CALLER = "aioice: connect(), controlling"
AIOICE = "aioice: connect(), both"
ROWS = (PATH, CONNECTED, BOTH_CONNECTED, DELIVERED, AIOICE_CALLER, AIOICE)


def time_aioice(lab: Lab) -> dict[str, float]:
    """Connect two agents once; the clock starts when both know all candidates of the other."""
    joined = connect_aioice(lab)
    return {AIOICE_CALLER: joined.controlling, AIOICE: joined.both}


def time_p2pchat(lab: Lab, registry: Registry, run: int) -> dict[str, float]:
    """Call once by name; the clock starts when `/connect` is typed, before any signalling."""
    lab.reboot_nats()
    alice = JsonPeer.start(lab.left, f"alice{run}", registry.url, "--accept", "all")
    bob = JsonPeer.start(lab.right, f"bob{run}", registry.url, "--accept", "all")
    try:
        for peer in (alice, bob):
            peer.wait_for("registered", START_LIMIT)
        began = alice.send(f"/connect {bob.username}")
        connected = alice.wait_for("connected", CALL_LIMIT)
        alice.send("hello")
        delivered = alice.wait_for("delivered", CALL_LIMIT)
        path = alice.wait_for("path", CALL_LIMIT)
        answered = bob.wait_for("connected", CALL_LIMIT)
        both = max(connected["arrived"], answered["arrived"])
        moments = (path["arrived"], connected["arrived"], both, delivered["arrived"])
        return {row: (at - began) * 1000 for row, at in zip(ROWS[:4], moments, strict=True)}
    finally:
        alice.close()
        bob.close()


def measure(lab: Lab, registry: Registry, runs: int) -> Samples:
    """Let the two take turns `runs` times and gather all samples, in milliseconds."""
    samples: Samples = {row: [] for row in ROWS}
    for run in range(runs):
        for taken in (time_p2pchat(lab, registry, run), time_aioice(lab)):
            for name, milliseconds in taken.items():
                samples[name].append(milliseconds)
    return samples


def table(title: str, samples: Samples) -> str:
    """Lay out minimum, median, maximum, and the median's ratio to that of aioice's both sides."""
    basis = statistics.median(samples[AIOICE])
    lines = [title, f"{'milliseconds':36}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}"]
    for name, taken in samples.items():
        middle = statistics.median(taken)
        lines.append(
            f"{name:36}{min(taken):9.1f}{middle:9.1f}{max(taken):9.1f}{middle / basis:8.3f}"
        )
    return "\n".join(lines)


def compare(left: str, right: str, runs: int) -> str:
    """Build the lab for one pair, measure, and return the table."""
    lab = Lab().build(left, right)
    registry = Registry(lab.server)
    try:
        registry.start()
        return table(f"{left} x {right}, {runs} runs each", measure(lab, registry, runs))
    finally:
        registry.close()
        lab.close()


def pair(text: str) -> tuple[str, str]:
    """Read LEFT,RIGHT."""
    left, right = text.split(",")
    if not {left, right} <= set(NAT_KINDS):
        raise ValueError(text)
    return left, right


def main(arguments: Sequence[str]) -> None:
    """Measure the pairs asked for and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each, for each pair")
    parser.add_argument(
        "--pair", type=pair, action="append", metavar="LEFT,RIGHT", help=", ".join(NAT_KINDS)
    )
    options = parser.parse_args(arguments)
    if reason := reason_to_skip():
        parser.error(reason)
    for left, right in options.pair or [("port-restricted", "port-restricted")]:
        print(compare(left, right, options.runs), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
