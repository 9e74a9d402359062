"""
What honest people wait for beside an attack, and what its victim pays.

A line waits from ``sent`` to ``delivered``, as the program that sent it tells; a request from its
first byte to its answer; a call until it is connected.  Each probe has a pace and an end.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Array, Event, Process, Queue
from pathlib import Path
from queue import Empty
from statistics import median
from threading import Thread
from typing import Any

import attrs

from benchmarks.asking import Connection, Site, new_people
from benchmarks.programs import POLL, Peer
from benchmarks.serving import processor_time, resident

PAUSE = 0.05  # seconds between two honest lines, or two requests
LONGEST = 60.0  # seconds that an honest line is waited for
SETTLING = 1.0  # seconds after an attack, before the memory that stays is read
MIB = 1024 * 1024
NICENESS = 10  # of attackers, who have machines of their own; ours is for the honest
SLACK = 0.01  # seconds that an attacker whom the machine kept waiting makes up for
TALLIES = 8  # numbers that an attacker counts in
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


@attrs.frozen
class Waits:
    """Seconds that each line or request waited."""

    seconds: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """Half waited longer."""
        return median(self.seconds) if self.seconds else 0.0

    @property
    def longest(self) -> float:
        """Nobody waited longer."""
        return max(self.seconds, default=0.0)


@attrs.define
class Cost:
    """
    What an attack cost a process.

    :ivar before: resident bytes before it, and so on.
    :ivar computed: seconds of processor time.
    """

    before: int = 0
    peak: int = 0
    after: int = 0
    computed: float = 0.0

    @property
    def growth(self) -> int:
        """The most bytes that it had beyond those before."""
        return self.peak - self.before


@contextmanager
def cost_of(pid: int) -> Iterator[Cost]:
    """Measure what a block costs a process."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak, proc(5)
    cost, began = Cost(resident(pid)), processor_time(pid)
    yield cost
    cost.computed = processor_time(pid) - began
    time.sleep(SETTLING)
    peak = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    assert peak is not None
    cost.peak, cost.after = int(peak[1]) * 1024, resident(pid)


# -- attackers


@attrs.define
class Attack:
    """
    One that goes on.

    :ivar tally: numbers that the attacker counts in.
    """

    tally: Any
    _process: Any

    def complaints(self) -> list[str]:
        """Tell whether the attacker gave up, which makes the figures worthless."""
        return [] if self._process.is_alive() else ["the attacker gave up"]


@attrs.define
class Pace:
    """Lets something happen so many times a second; what was missed isn't made up for at once."""

    rate: float
    _due: float = attrs.field(init=False, factory=time.monotonic)

    def is_due(self) -> bool:
        """Tell whether it may happen now; then it has."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = max(self._due, now - SLACK) + 1 / self.rate
        return True

    def wait(self) -> None:
        """Wait until it may happen."""
        while not self.is_due():
            time.sleep(max(0.0, self._due - time.monotonic()))


@contextmanager
def attacking(attack: Callable[..., None], *arguments: object) -> Iterator[Attack]:
    """
    Run an attacker in a process of its own until the block is left.

    It is called with a tally and an event: what comes before it waits for that is preparation.
    """
    tally, ready, begin = Array("q", TALLIES), Event(), Event()
    wanted = (tally, ready, begin, attack, arguments)
    process = Process(target=_run, args=wanted, daemon=True)
    process.start()
    try:
        until = time.monotonic() + LONGEST
        while not ready.wait(POLL) and process.is_alive() and time.monotonic() < until:
            pass
        begin.set()
        yield Attack(tally, process)
    finally:
        process.kill()
        process.join()


def _run(tally: Any, ready: Any, begin: Any, attack: Any, arguments: tuple[object, ...]) -> None:
    os.nice(NICENESS)
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def prepared() -> None:
        ready.set()
        begin.wait()

    attack(tally, prepared, *arguments)


def _end_with(parent: int) -> None:
    """End this process when its parent has gone, however that went."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


# -- honest lines, calls and requests


def lines(
    speaker: Peer,
    listener: str,
    seconds: float,
    pause: float = PAUSE,
    lasts: Callable[[], bool] = lambda: False,
) -> Waits:
    """
    Say lines for so long, and wait for their delivery; the rest has waited until now.

    :param lasts: whether the attack goes on; then more lines are said, for LONGEST at most.
    """
    since, before = len(speaker.told), speaker.counts["delivered"]
    said: list[float] = []
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds or (elapsed < LONGEST and lasts()):
        said.append(time.monotonic())
        speaker.say(f"line {len(said)}", listener)
        time.sleep(pause)
    arrived = speaker.await_count("delivered", before + len(said), LONGEST) - before
    waits = [
        event["milliseconds"] / 1000
        for event in speaker.told[since:]
        if event["event"] == "delivered"
    ]
    now = time.monotonic()
    return Waits(tuple(waits + [now - at for at in said[arrived:]]))


def call(caller: Peer, called: str, answering: Peer | None = None) -> tuple[float, str]:
    """
    Call somebody, whose person accepts at once where one is asked, and hang up again.

    Returns the seconds until it was connected, and why it wasn't, or "".
    """
    began, since = time.monotonic(), len(caller.told)
    asked = 0 if answering is None else len(answering.told)
    caller.command(f"/connect {called}")
    while time.monotonic() < began + LONGEST:
        time.sleep(POLL)
        outcome = caller.find(("connected", "failed", "error"), since)
        if outcome is not None:
            break
        if answering is not None and answering.find(("offer",), asked, peer_id=caller.peer_id):
            answering.command(f"/accept {caller.peer_id}")
            answering = None
    took = time.monotonic() - began
    if outcome is None:
        return took, "nothing came of it"
    if outcome["event"] != "connected":
        return took, str(outcome.get("explanation") or outcome.get("reason"))
    caller.command(f"/disconnect {called}")
    caller.expect("disconnected", since=since)
    return took, ""


def requests(site: Site, source: str, seconds: float) -> tuple[Waits, list[str]]:
    """
    Register and look ourselves up, by turns, in a process that does nothing else.

    Returns what each waited, and what went wrong.
    """
    found: Any = Queue()
    process = Process(target=_ask, args=(site, source, seconds, found), daemon=True)
    process.start()
    try:
        waits, complaints = found.get(timeout=seconds + LONGEST)
        return Waits(tuple(waits)), complaints
    except Empty:
        return Waits((LONGEST,)), ["an honest request got no answer"]
    finally:
        process.kill()
        process.join()


def _ask(site: Site, source: str, seconds: float, found: Any) -> None:
    [me] = new_people(1)
    waits: list[float] = []
    until = time.monotonic() + seconds
    try:
        end = Connection(site.dial(source))
        while time.monotonic() < until:
            sent = site.look_up(me) if len(waits) % 2 else site.registration(me)
            began = time.monotonic()
            end.ask(sent)
            waits.append(time.monotonic() - began)
            time.sleep(PAUSE)
    except (OSError, SystemExit) as error:
        found.put((waits, [f"an honest request: {error}"]))
    else:
        found.put((waits, []))
