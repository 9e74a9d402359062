"""
What can cost a peer its conversations: long lines, PINGs, a reader that is deaf, a freeze.

Each scenario runs the real programs around a registry of its own and tells what it found.  The
victim has a friend, whose lines are timed without the attack and then beside it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread
from typing import Any

from benchmarks.asking import Site, new_people
from benchmarks.findings import MIB, Found, Plan
from benchmarks.programs import PATIENCE, Peer, console
from benchmarks.raw_peer import RawPeer, run
from benchmarks.scene import connected, id_of, scene
from benchmarks.waits import PAUSE, Waits, attacking, cost_of, lines
from p2pchat.wire import messages
from p2pchat.wire.entries import MAX_TEXT
from p2pchat.wire.framing import encode_frame

LINE_LIMIT = 0.1  # seconds that an honest line may wait
GROWTH = 64 * MIB  # bytes; a peer that only listens has about 70 MiB in all
HELD = 6 * MIB  # bytes; for answers that can't go out, and for strangers of whom nothing comes

CHINESE, FOUR_BYTES, TAG = "\u6f22", "\U00010348", "\U000e0001"

AT_ONCE = 200  # PINGs that are written together

UNREAD = 192 * MIB  # of text to a reader that is deaf, where there is time for it
AHEAD = 0.5  # of the lines that may be delivered before what is in buffers and pipes is full


# -- long lines


def long_lines(plan: Plan, columns: int) -> Found:
    """An accepted peer sends the longest texts there are to a console of so many columns."""
    count = 1 if plan.brief else 4
    texts = [
        *[FOUR_BYTES * MAX_TEXT] * count,
        *[CHINESE * MAX_TEXT] * (5 * count),
        *["\n" * (MAX_TEXT - 1) + "x"] * count,
        *[TAG * MAX_TEXT] * count,
    ]
    with scene() as here, ExitStack() as stack:
        size = (24, columns)
        victim = stack.enter_context(
            console(here.home, "victim", here.site.origin, size, "--accept=all")
        )
        friend, attacker = here.peers(friend=(), attacker=())
        victim_id = id_of(friend, "victim")
        for one in (friend, attacker):
            connected(one, victim_id)
        alone = lines(friend, victim_id, plan.alone)
        shown, before = victim.output.taken, attacker.counts["delivered"]
        with cost_of(victim.pid) as cost:
            for text in texts:
                attacker.say(text, victim_id)
            beside = lines(
                friend,
                victim_id,
                plan.seconds,
                lasts=lambda: attacker.counts["delivered"] < before + len(texts),
            )
            delivered = attacker.counts["delivered"] - before
        shown = victim.output.taken - shown
    faults = [f"only {delivered} of {len(texts)} texts arrive"] if delivered < len(texts) else []
    notes = [f"{len(texts)} texts, {shown // 1000} kB of terminal output"]
    return Found(LINE_LIMIT, alone, beside, cost, GROWTH, faults, notes)


# -- PINGs


def ping(tally: Any, prepared: Callable[[], None], site: Site, victim: str) -> None:
    """Send PINGs as fast as they go, and let no answer out; count them and their bytes."""
    [me] = new_people(1)
    one = RawPeer(site, "127.4.0.1", me, victim, reads=False)
    one.call()
    prepared()

    written = encode_frame(messages.encode(messages.Ping(1)))

    def more(one: RawPeer) -> None:
        while one.room:
            one.write(written * AT_ONCE)
            tally[0] += AT_ONCE

    run([one], more)


def pings(plan: Plan) -> Found:
    """An accepted peer sends PINGs, and grants no flow control for the PONGs."""
    with scene() as here:
        victim, friend = here.peers(victim=("--accept=all",), friend=())
        connected(friend, victim.peer_id)
        alone = lines(friend, victim.peer_id, plan.alone)
        with attacking(ping, here.site, victim.peer_id) as attack, cost_of(victim.pid) as cost:
            beside = lines(friend, victim.peer_id, plan.seconds)
            faults = attack.complaints()
        sent = attack.tally[0]
    faults += [] if sent > 1000 else [f"the attack came to {sent} PINGs only"]
    return Found(LINE_LIMIT, alone, beside, cost, HELD, faults, [f"{sent} PINGs"])


# -- deaf readers


def deaf(plan: Plan) -> Found:
    """Nobody reads what the victim writes: its peers must see that their lines don't arrive."""
    count = (UNREAD // 8 if plan.brief else UNREAD) // MAX_TEXT
    with scene() as here:
        victim, attacker = here.peers(victim=("--accept=all",), attacker=())
        connected(attacker, victim.peer_id)
        alone = lines(attacker, victim.peer_id, plan.alone)
        heard, before = victim.counts["message"], attacker.counts["delivered"]
        with cost_of(victim.pid) as cost:
            victim.output.hears.clear()
            Thread(target=_pour, args=(attacker, victim.peer_id, count), daemon=True).start()
            early = _until_it_stops(attacker, plan.seconds) - before
        victim.output.hears.set()
        began = time.monotonic()
        arrived = victim.await_count("message", heard + count, 4 * PATIENCE) - heard
        caught_up = time.monotonic() - began
        delivered = attacker.await_count("delivered", before + count, PATIENCE) - before
    faults = []
    if early > AHEAD * count:
        faults.append(f"{early} of {count} lines delivered that nobody read")
    if arrived < count or delivered < count:
        faults.append(f"{arrived} of {count} lines arrive in the end, {delivered} are delivered")
    notes = [
        f"{early} of {count} lines delivered unread; read again, all there in {caught_up:.1f} s"
    ]
    return Found(None, alone, Waits(), cost, GROWTH, faults, notes)


def _pour(speaker: Peer, listener: str, count: int) -> None:
    for number in range(count):
        speaker.say(f"{number:8}{'.' * (MAX_TEXT - 8)}", listener)


def _until_it_stops(speaker: Peer, seconds: float) -> int:
    """Return how many lines were delivered when no more have been for so many seconds."""
    until = time.monotonic() + 2 * PATIENCE
    last, since = -1, time.monotonic()
    while time.monotonic() < min(until, since + seconds):
        time.sleep(PAUSE)
        delivered = speaker.counts["delivered"]
        if delivered != last:
            last, since = delivered, time.monotonic()
    return last


# -- a freeze


def freeze(plan: Plan) -> Found:
    """A peer stands still, as a laptop that sleeps; then both have something to say."""
    pause = 0.5 if plan.frozen >= 20 else 0.2
    with scene() as here:
        victim, friend = here.peers(victim=("--accept=all",), friend=())
        connected(friend, victim.peer_id)
        alone = _both(friend, victim, pause, plan.alone)
        with cost_of(victim.pid) as cost:
            os.kill(victim.pid, signal.SIGSTOP)
            time.sleep(plan.frozen)
            os.kill(victim.pid, signal.SIGCONT)
            first = _both(friend, victim, pause / 2, 1.0)
            beside = _both(friend, victim, pause, max(plan.seconds, 10 * pause))
    notes = [
        f"frozen for {plan.frozen:.0f} s; lines of the first second {first.median * 1000:.0f} ms, "
        f"longest {first.longest * 1000:.0f}"
    ]
    return Found(LINE_LIMIT, alone, beside, cost, GROWTH, [], notes)


def _both(one: Peer, other: Peer, pause: float, seconds: float) -> Waits:
    """Let both say lines at once; what each waited."""
    found: list[Waits] = []
    speaking = Thread(
        target=lambda: found.append(lines(other, one.peer_id, seconds, pause)), daemon=True
    )
    speaking.start()
    ours = lines(one, other.peer_id, seconds, pause)
    speaking.join()
    return Waits(ours.seconds + found[0].seconds)


PEER_SCENARIOS: dict[str, Callable[[Plan], Found]] = {
    "lines, 80 columns": lambda plan: long_lines(plan, 80),
    "lines, 24 columns": lambda plan: long_lines(plan, 24),
    "pings": pings,
    "deaf": deaf,
    "freeze": freeze,
}
