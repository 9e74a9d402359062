"""
What 10,000 idle event streams on one process of the registry cost, and how fast offers are.

``twistd p2psignal`` runs on one core; this program, on another, holds the other ends of all the
streams.  Measured are

* the growth of the server's resident memory while the streams open, for each of them; the records
  of their peers are there before;
* from the moment when an offer is sent to a peer picked at random until its bytes are on that
  peer's stream, OFFERS_A_SECOND times a second, while another process registers peers
  REGISTRATIONS_A_SECOND times a second, and keepalives go to everybody.

The offers' clock is in one process, so that nothing is compared across clocks.

Run ``python -m benchmarks.streams [--streams N] [--seconds S]``; it needs Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from multiprocessing import Process
from statistics import median, quantiles

from benchmarks.asking import Connection, Site, Streams, new_people
from benchmarks.serving import (
    LOAD_CORE,
    SERVER_CORE,
    UNLIMITED,
    allow_many_files,
    on_core,
    registry,
    resident,
    room,
    serving,
)
from p2pchat.identity.keys import Identity

SITE = Site(18143)
REGISTRATIONS_A_SECOND = 200
OFFERS_A_SECOND = 50
SETTLE = 3.0  # seconds for the server to come to rest
BATCH = 200  # streams that are being opened at a time
GREATEST_SIZE = 20 * 1024  # bytes a stream; the target
GREATEST_DELAY = 10.0  # milliseconds at the median; the target


def command(streams: int) -> list[str]:
    """Return the command of a registry that takes that many streams from here."""
    options = ("--lease=3600", "--stun=0", *UNLIMITED, *room(streams + 1000))
    return on_core(SERVER_CORE, registry(SITE.port, *options))


def register_for_ever() -> None:
    """Register peers at a steady rate, until this process is ended."""
    connection, due = Connection(SITE.dial()), time.monotonic()
    people = new_people(REGISTRATIONS_A_SECOND)
    while True:
        for person in people:
            connection.ask(SITE.registration(person))
            due += 1 / REGISTRATIONS_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))


def delays(streams: Streams, author: Identity, seconds: float) -> list[float]:
    """Send offers to peers picked at random; return milliseconds until each was there."""
    found: list[float] = []
    connection = Connection(SITE.dial())
    connection.ask(SITE.registration(author))
    peers = list(streams.ends)
    due = time.monotonic()
    while len(found) < seconds * OFFERS_A_SECOND:
        due += 1 / OFFERS_A_SECOND
        while (left := due - time.monotonic()) > 0:
            list(streams.read(left))
        peer_id = random.choice(peers)
        sent = SITE.offer(author, peer_id)
        began = time.perf_counter()
        connection.socket.sendall(sent)
        found.append(1000 * (streams.await_offer(peer_id) - began))
        connection.answer()
    return found


def measure(count: int, seconds: float) -> tuple[float, list[float]]:
    """Return bytes for each stream, and the delays of offers in milliseconds."""
    people = new_people(count)
    with serving(command(count), SITE.port) as pid:
        connection = Connection(SITE.dial())
        for person in people:
            connection.ask(SITE.registration(person))
        time.sleep(SETTLE)
        before, streams = resident(pid), Streams(SITE)
        streams.open(people, BATCH)
        time.sleep(SETTLE)
        size = (resident(pid) - before) / count
        print(f"{count:,} streams, {size / 1024:.1f} KiB each", file=sys.stderr)
        registering = Process(target=register_for_ever, daemon=True)
        registering.start()
        try:
            found = delays(streams, new_people(1)[0], seconds)
        finally:
            registering.terminate()
    return size, found


def main() -> None:
    """Measure, print, and fail where a target is missed."""
    parser = argparse.ArgumentParser(description="what idle event streams cost")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    allow_many_files()
    os.sched_setaffinity(0, {LOAD_CORE})
    size, found = measure(options.streams, options.seconds)
    cuts = quantiles(found, n=100)
    print(f"{options.streams:,} idle event streams: {size / 1024:.1f} KiB each (20 at most)")
    print(
        f"offers, {REGISTRATIONS_A_SECOND} registrations a second beside them: median "
        f"{median(found):.2f} ms (10 at most), 90 % {cuts[89]:.2f}, 99 % {cuts[98]:.2f}, "
        f"longest {max(found):.1f}, of {len(found)}"
    )
    if size > GREATEST_SIZE or median(found) > GREATEST_DELAY:
        raise SystemExit("a target is missed")


if __name__ == "__main__":
    main()
