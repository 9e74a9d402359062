"""
What others can cost a peer and a registry, and what honest people wait for meanwhile.

The real programs run as processes of their own on loopback, each scenario with new ones, and
attackers beside them; everything ends with the scenario, whatever happens.  Somebody honest is
timed twice: alone, just before, and beside the attack.  The longest wait may be 100 ms for a line
to a peer, and 50 ms for a request to the registry; or twice the longest without an attack, where
the machine is so busy that it is more.

Run ``python -m benchmarks.hostile [--only NAME] [--seconds S] [--runs N] [--long] [--json]``; it
needs Linux.  The exit status is 1 where something is wrong that a slow machine doesn't excuse: a
request that was led elsewhere, memory without bound, a contact whose call fails.  With ``--check``
it is 1, too, where somebody honest waited for too long.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from benchmarks.findings import MIB, Found, Plan
from benchmarks.hostile_calls import CALL_SCENARIOS
from benchmarks.hostile_peers import PEER_SCENARIOS
from benchmarks.hostile_registry import REGISTRY_SCENARIOS
from benchmarks.hostile_requests import REQUEST_SCENARIOS
from benchmarks.hostile_strangers import STRANGER_SCENARIOS
from benchmarks.serving import allow_many_files
from benchmarks.waits import Cost, Waits

SCENARIOS = {
    **PEER_SCENARIOS,
    **CALL_SCENARIOS,
    **REGISTRY_SCENARIOS,
    **REQUEST_SCENARIOS,
    **STRANGER_SCENARIOS,
}
DEADLINE = 300.0  # seconds for one scenario, beyond three times those of the attack and the freeze
FROZEN, LONG_FROZEN = 20.0, 60.0  # seconds

HEADINGS = ("", "alone, ms", "beside, ms", "allowed", "memory, MiB", "computed")


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End a block with an error after so many seconds."""

    def over(*_: object) -> None:
        raise TimeoutError(f"not done in {seconds:.0f} seconds")

    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def play(name: str, plan: Plan) -> Found:
    """Play a scenario; what can't be played is wrong."""
    try:
        with deadline(DEADLINE + 3 * (plan.seconds + plan.frozen)):
            return SCENARIOS[name](plan)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return Found(None, Waits(), Waits(), Cost(), 0, [f"not played: {error}"], [])


def typical(found: list[Found]) -> Found:
    """Return the run of the middle: those that went wrong count as the worst."""
    in_order = sorted(found, key=lambda one: (bool(one.wrong), one.beside.longest))
    return in_order[len(in_order) // 2]


def milliseconds(waits: Waits) -> str:
    """Write median and longest."""
    if not waits.seconds:
        return "-"
    return f"{waits.median * 1000:.1f} / {waits.longest * 1000:.0f}"


def row(name: str, found: Found) -> str:
    """Write what was found on one line, and below it what is wrong, and the rest."""
    cost = found.cost
    memory = " / ".join(f"{size / MIB:.0f}" for size in (cost.before, cost.peak, cost.after))
    cells = [
        milliseconds(found.alone),
        milliseconds(found.beside),
        "-" if found.allowed is None else f"{found.allowed * 1000:.0f}",
        memory,
        f"{cost.computed:.1f} s",
    ]
    first = f"{name:26}" + "".join(f"{cell:>18}" for cell in cells) + f"   {found.verdict}"
    below = [f"    WRONG: {fault}" for fault in found.wrong] + [
        f"    {note}" for note in found.notes
    ]
    return "\n".join([first, *below])


def as_json(name: str, found: Found) -> str:
    """Write what was found as an object; times in milliseconds, memory in bytes."""
    times = {
        which: {
            "median": round(waits.median * 1000, 3),
            "longest": round(waits.longest * 1000, 3),
            "count": len(waits.seconds),
        }
        for which, waits in (("alone", found.alone), ("beside", found.beside))
    }
    allowed = None if found.allowed is None else round(found.allowed * 1000, 3)
    members: dict[str, Any] = {
        "scenario": name,
        **times,
        "allowed": allowed,
        "cost": attrs.asdict(found.cost),
        "verdict": found.verdict,
        "wrong": found.wrong,
        "notes": found.notes,
    }
    return json.dumps(members)


def chosen(wanted: list[str]) -> list[str]:
    """Return the scenarios whose names begin as wanted, or all."""
    names = [name for name in SCENARIOS if not wanted or name.startswith(tuple(wanted))]
    if not names:
        raise SystemExit(f"no such scenario; there are: {'; '.join(SCENARIOS)}")
    return names


def main() -> None:
    """Play, and print a row for each scenario."""
    parser = argparse.ArgumentParser(description="what others can cost a peer and a registry")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="or its start")
    parser.add_argument("--seconds", type=float, default=10.0, help="that an attack lasts")
    parser.add_argument("--runs", type=int, default=1, help="of which the middle one is shown")
    parser.add_argument("--long", action="store_true", help="freeze for 60 seconds, not 20")
    parser.add_argument("--check", action="store_true", help="fail where a wait is too long")
    parser.add_argument("--json", action="store_true", help="an object for each scenario and run")
    options = parser.parse_args()
    names = chosen(options.only)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends
    allow_many_files()
    frozen = LONG_FROZEN if options.long else min(FROZEN, 2 * options.seconds)
    plan = Plan(options.seconds, frozen)
    if not options.json:
        print(f"{HEADINGS[0]:26}" + "".join(f"{heading:>18}" for heading in HEADINGS[1:]))
        print(f"{'':26}" + "".join(f"{unit:>18}" for unit in UNITS), flush=True)
    failed = False
    for name in names:
        found = [play(name, plan) for _ in range(options.runs)]
        shown = found if options.json else [typical(found)]
        for one in shown:
            print(as_json(name, one) if options.json else row(name, one), flush=True)
        middle = typical(found)
        failed = failed or bool(middle.wrong) or (options.check and middle.is_over)
    sys.exit(int(failed))


UNITS = ("median / longest", "median / longest", "ms", "before/peak/after", "by the victim")


if __name__ == "__main__":
    main()
