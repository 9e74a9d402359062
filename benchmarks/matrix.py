"""
Every pair of NAT kinds: does p2pchat join it, over what path, how soon; and aioice, beside it.

Owns the runs; `matrix_table` lays them out, the lab is that of `tests.lab`. For each pair one lab
is built, with a registry and a coturn relay on its public host, and the two take turns there, each
run with fresh processes and NATs that have forgotten everything. See README.rst.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import attrs

from benchmarks.aioice_pair import connect_aioice
from benchmarks.matrix_table import KINDS, PAIRS, Cell, Outcome, Runs, grid, totals
from tests.lab.impairment import ETHERNET_MTU, Impairment
from tests.lab.peers import Event, JsonPeer, Registry
from tests.lab.relay import Relay, reason_without_relay
from tests.lab.topology import LEFT_CABLE, RIGHT_CABLE, Lab, reason_to_skip

START_LIMIT = 30.0  # seconds; for a process to be ready
CONNECT_LIMIT = 15.0  # seconds; for either program to join, in one run
SETTLE_LIMIT = 3.0  # seconds; for a relayed conversation to find its direct path
SETTLE_TRIPS = 50  # round trips; added to these

OPTIONS = ("--accept", "all")
NO_CONVERSATION = "failed"  # what a peer tells when a call came to nothing


@attrs.frozen
class Network:
    """
    What each side's cable does to packets, in both directions.

    :ivar delay: milliseconds from one peer to the other and back; to the server it is half of that.
    :ivar loss: percent of the packets, on each cable and each way.
    :ivar mtu: bytes of IP.
    :ivar silent: whether nobody is told of packets that are too large.
    """

    delay: float = 0.0
    loss: float = 0.0
    mtu: int = ETHERNET_MTU
    silent: bool = False

    @property
    def cables(self) -> tuple[str, ...]:
        """The cables that must be impaired; none where there is nothing to do."""
        return () if self == Network() else (LEFT_CABLE, RIGHT_CABLE)

    def impairment(self) -> Impairment:
        """Return what each direction of each cable does."""
        one_way = self.delay / 1000 / 4  # two cables, there and back
        return Impairment(one_way, loss=self.loss / 100, mtu=self.mtu, icmp=not self.silent)

    def describe(self) -> str:
        """Return a sentence on it."""
        told = ", and tells nobody of larger ones" if self.silent else ""
        sentences = {
            f"The round trip between the peers takes {self.delay:.0f} ms.": self.delay > 0,
            f"Each side's cable loses {self.loss:g} % of packets each way.": self.loss > 0,
            f"Each side's cable carries packets of {self.mtu:,} bytes{told}.": self.mtu
            < ETHERNET_MTU,
        }
        return " ".join(sentence for sentence, true in sentences.items() if true)


@attrs.frozen
class Course:
    """What is run for each pair."""

    runs: int
    aioice_runs: int
    aioice_turn: str  # transport to the relay; "none": without
    p2pchat_relay: bool
    network: Network = Network()

    def run(self, left: str, right: str) -> Cell:
        """Build the lab of one pair and let both programs try."""
        with ExitStack() as closing:
            lab = Lab()
            closing.callback(lab.close)
            lab.build(left, right, cables=self.network.cables)
            for cable in lab.cables.values():
                cable.change(self.network.impairment())
            relay = Relay(lab.server)
            closing.callback(relay.close)
            relay.start()
            registry = Registry(lab.server, relay=relay if self.p2pchat_relay else None)
            closing.callback(registry.close)
            registry.start()
            return self._take_turns(left, right, lab, relay, registry)

    def _take_turns(
        self, left: str, right: str, lab: Lab, relay: Relay, registry: Registry
    ) -> Cell:
        chat: list[Outcome | None] = []
        ice: list[Outcome | None] = []
        for n in range(max(self.runs, self.aioice_runs)):
            if n < self.runs:
                chat.append(attempt(lambda n=n: call(lab, registry, self.network, n)))  # type: ignore[misc]
            if n < self.aioice_runs:
                ice.append(attempt(lambda: self._check(lab, relay)))
        return Cell(left, right, Runs(tuple(chat)), Runs(tuple(ice)))

    def _check(self, lab: Lab, relay: Relay) -> Outcome:
        turn = None if self.aioice_turn == "none" else relay
        joined = connect_aioice(lab, turn, self.aioice_turn, CONNECT_LIMIT)
        return Outcome(joined.both, joined.local, joined.remote)


def attempt(run: Callable[[], Outcome]) -> Outcome | None:
    """Do one run; where it does not join, say why on standard error and return None."""
    try:
        return run()
    except (AssertionError, ConnectionError) as problem:
        print(f"    {str(problem).splitlines()[0]}", file=sys.stderr, flush=True)
        return None


def call(lab: Lab, registry: Registry, network: Network, n: int) -> Outcome:
    """
    Let one side call the other, by turns, and send a first message.

    The clock starts when `/connect` is typed, and stops when the caller is told of the delivery.
    Raises AssertionError when that does not happen within CONNECT_LIMIT.
    """
    lab.reboot_nats()
    trust = registry.relay.certificate_file if registry.relay is not None else ""
    with ExitStack() as closing:
        peers = []
        for host, name in ((lab.left, f"alice{n}"), (lab.right, f"bob{n}")):
            peers.append(JsonPeer.start(host, name, registry.url, *OPTIONS, trust=trust))
            closing.callback(peers[-1].close)
        for peer in peers:
            peer.wait_for("registered", START_LIMIT)
        caller, callee = peers if n % 2 == 0 else reversed(peers)
        return converse(caller, callee, lab, network)


def converse(caller: JsonPeer, callee: JsonPeer, lab: Lab, network: Network) -> Outcome:
    """Call, say one line, and wait until the path is the best that there can be."""
    pieces = fragments(lab)
    began = caller.send(f"/connect {callee.username}")
    await_success(caller, "connected", began)
    caller.send("hello")
    delivered = await_success(caller, "delivered", began)
    first = path_of(caller)
    deadline = time.monotonic() + SETTLE_LIMIT + SETTLE_TRIPS * network.delay / 1000
    while "relay" in path_of(caller) and may_settle(lab) and time.monotonic() < deadline:
        time.sleep(0.05)
    local, remote = path_of(caller)
    moved = "relay" in first and "relay" not in (local, remote)
    took = (delivered["arrived"] - began) * 1000
    return Outcome(took, local, remote, moved, fragmented=fragments(lab) > pieces)


def fragments(lab: Lab) -> int:
    """Return how many pieces of packets the cables have carried so far."""
    return sum(cable.fragments() for cable in lab.cables.values())


def await_success(caller: JsonPeer, event: str, began: float) -> Event:
    """Wait for an event, but no longer than the call can succeed."""
    remaining = began + CONNECT_LIMIT - time.monotonic()
    found = caller.wait_for_any((event, NO_CONVERSATION), remaining)
    if found["event"] == NO_CONVERSATION:
        raise AssertionError(f"p2pchat: {found['reason']}: {found['explanation']}")
    return found


def path_of(peer: JsonPeer) -> tuple[str, str]:
    """Return the candidate types of the path in use, its own end first."""
    latest = peer.named("path")[-1]
    return latest["local"], latest["remote"]


def may_settle(lab: Lab) -> bool:
    """Tell whether a better path than the relay can exist, so that waiting for it makes sense."""
    kinds = [box.kind for box in (*lab.left.nat, *lab.right.nat)]
    return "udp-blocked" not in kinds and kinds.count("symmetric") < 2


def run_all(course: Course, pairs: Iterable[tuple[str, str]]) -> list[Cell]:
    """Run each pair, with a line on standard error as each is done."""
    cells = []
    for left, right in pairs:
        began = time.monotonic()
        cells.append(course.run(left, right))
        chat, ice = cells[-1].p2pchat.columns(), cells[-1].aioice.columns()
        words = f"p2pchat {', '.join(chat)}; aioice {', '.join(ice)}"
        took = time.monotonic() - began
        print(f"{cells[-1].title}: {words} ({took:.1f} s)", file=sys.stderr, flush=True)
    return cells


def report(course: Course, cells: Sequence[Cell], took: float) -> str:
    """Return the whole page: what was run, the sums, the table."""
    turn = "no relay" if course.aioice_turn == "none" else f"TURN over {course.aioice_turn}"
    ours = "the same relay" if course.p2pchat_relay else "no relay"
    words = (
        f"p2pchat {version('p2pchat')} with {ours}, {course.runs} runs for each pair; aioice "
        f"{version('aioice')} with {turn}, {course.aioice_runs} run(s); Python "
        f"{platform.python_version()}; {took:.0f} s in all."
    )
    network = course.network
    table = grid(cells, network.delay, burden=bool(network.cables))
    return f"{words} {network.describe()}\n\n{totals(cells)}\n\n{table}\n"


def pair(text: str) -> tuple[str, str]:
    """Read LEFT,RIGHT."""
    left, right = text.split(",")
    if not {left, right} <= set(KINDS):
        raise ValueError(text)
    return left, right


def read_command_line(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options, or end the program with what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of p2pchat, for each pair")
    parser.add_argument("--aioice-runs", type=int, default=1, help="of aioice, for each pair")
    parser.add_argument("--aioice-turn", choices=("udp", "tcp", "none"), default="udp")
    parser.add_argument("--no-relay", action="store_true", help="p2pchat gets none")
    parser.add_argument(
        "--pair", type=pair, action="append", metavar="LEFT,RIGHT", help=", ".join(KINDS)
    )
    parser.add_argument("--delay", type=float, default=0.0, help="ms, round trip between peers")
    parser.add_argument("--loss", type=float, default=0.0, help="%%, on each cable, each way")
    parser.add_argument("--mtu", type=int, default=ETHERNET_MTU, help="bytes of IP, each cable")
    parser.add_argument("--silent", action="store_true", help="nobody is told of the MTU")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args(arguments)
    if reason := reason_to_skip() or reason_without_relay():
        parser.error(reason)
    return options


def main(arguments: Sequence[str]) -> None:
    """Run the pairs asked for, all unless told otherwise, and print the table."""
    options = read_command_line(arguments)
    network = Network(options.delay, options.loss, options.mtu, options.silent)
    runs = options.runs, options.aioice_runs
    course = Course(*runs, options.aioice_turn, not options.no_relay, network)
    began = time.monotonic()
    cells = run_all(course, options.pair or PAIRS)
    text = report(course, cells, time.monotonic() - began)
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
