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
import select
import socket
import sys
import time
from collections.abc import Iterator
from multiprocessing import Process
from statistics import median, quantiles

import attrs

from benchmarks.registry import request
from benchmarks.serving import (
    LOAD_CORE,
    SERVER_CORE,
    UNLIMITED,
    allow_many_files,
    on_core,
    registry,
    resident,
    serving,
)
from p2pchat.identity.documents import sign_document
from p2pchat.identity.keys import Identity
from p2pchat.wire.documents import (
    Body,
    Candidate,
    CandidateType,
    Offer,
    Registration,
    Subscription,
)

PORT = 18143
ORIGIN = f"http://127.0.0.1:{PORT}"
REGISTRATIONS_A_SECOND = 200
OFFERS_A_SECOND = 50
SETTLE = 3.0  # seconds for the server to come to rest
OFFER_TIMEOUT = 5.0  # seconds
BATCH = 200  # streams that are being opened at a time
GREATEST_SIZE = 20 * 1024  # bytes a stream; the target
GREATEST_DELAY = 10.0  # milliseconds at the median; the target

CANDIDATES = tuple(
    Candidate(CandidateType.HOST, (f"192.0.2.{number}", 40000)) for number in range(1, 5)
)


def headed(method: str, path: str, body: bytes, *fields: str) -> bytes:
    """Write a request to our port."""
    return request(method, path, body, *fields).replace(b"18140", b"%d" % PORT, 1)


def signed(author: Identity, audience: str, body: Body) -> str:
    """Sign a document."""
    return sign_document(author, audience, body, time.time(), os.urandom(16).hex())


def registration(author: Identity) -> bytes:
    """Write a registration."""
    token = signed(author, ORIGIN, Registration(f"peer {author.peer_id[:8]}"))
    return headed("POST", "/register", token.encode(), "Content-Type: application/jose")


def subscription(author: Identity) -> bytes:
    """Write the request for an event stream."""
    token = signed(author, ORIGIN, Subscription())
    return headed("GET", f"/events/{author.peer_id}", b"", f"Authorization: JWS {token}")


def offer(author: Identity, peer_id: str) -> bytes:
    """Write an offer, as long as most are."""
    body = Offer(os.urandom(16).hex(), "benchmark", bytes(32), "ufrag", CANDIDATES)
    token = signed(author, peer_id, body)
    return headed("POST", f"/deliver/{peer_id}", token.encode(), "Content-Type: application/jose")


@attrs.define
class Connection:
    """A kept connection on which requests are answered one after the other."""

    socket: socket.socket = attrs.field(
        factory=lambda: socket.create_connection(("127.0.0.1", PORT), OFFER_TIMEOUT)
    )

    def ask(self, sent: bytes) -> bytes:
        """Send a request, and read an answer of a few hundred bytes; it must be a good one."""
        self.socket.sendall(sent)
        answer = self.socket.recv(65536)
        if not answer.startswith(b"HTTP/1.1 20"):
            raise SystemExit(f"not a good answer: {answer!r}")
        return answer


def command(streams: int) -> list[str]:
    """Return the command of a registry that takes that many streams from here."""
    most = streams + 1000
    names = ("max-connections-per-address", "max-streams", "max-streams-per-address")
    room = (f"--{name}={most}" for name in names)
    return on_core(SERVER_CORE, registry(PORT, "--lease=3600", "--stun=0", *UNLIMITED, *room))


@attrs.define
class Streams:
    """The subscribers' ends."""

    sockets: dict[int, socket.socket] = attrs.Factory(dict)
    ends: dict[str, int] = attrs.Factory(dict)  # descriptors by peer id
    poll: select.epoll = attrs.field(factory=select.epoll)

    def open(self, people: list[Identity]) -> None:
        """Open the streams of some peers, all at once, and wait until they are live."""
        waiting = set()
        for person in people:
            end = socket.create_connection(("127.0.0.1", PORT), OFFER_TIMEOUT)
            end.sendall(subscription(person))
            self.sockets[end.fileno()] = end
            self.ends[person.peer_id] = end.fileno()
            self.poll.register(end, select.EPOLLIN)
            waiting.add(end.fileno())
        until = time.monotonic() + OFFER_TIMEOUT
        while waiting:
            waiting -= {number for number, data in self.read(0.1) if b"event: ready" in data}
            if time.monotonic() > until:
                raise SystemExit(f"{len(waiting)} streams don't open")

    def read(self, timeout: float) -> Iterator[tuple[int, bytes]]:
        """Read what has come."""
        for number, _ in self.poll.poll(timeout):
            data = self.sockets[number].recv(65536)
            if not data:
                raise SystemExit("the registry has ended a stream")
            yield number, data

    def await_offer(self, peer_id: str) -> float:
        """Read until a document is on this peer's stream; return when it was."""
        until = time.monotonic() + OFFER_TIMEOUT
        while time.monotonic() < until:
            for number, data in self.read(0.1):
                if number == self.ends[peer_id] and b"event: document" in data:
                    return time.perf_counter()
        raise SystemExit("an offer didn't arrive")


def register_for_ever() -> None:
    """Register peers at a steady rate, until this process is ended."""
    connection, due = Connection(), time.monotonic()
    people = [Identity.from_seed(os.urandom(32)) for _ in range(REGISTRATIONS_A_SECOND)]
    while True:
        for person in people:
            connection.ask(registration(person))
            due += 1 / REGISTRATIONS_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))


def delays(streams: Streams, author: Identity, seconds: float) -> list[float]:
    """Send offers to peers picked at random; return milliseconds until each was there."""
    found: list[float] = []
    connection = Connection()
    connection.ask(registration(author))
    peers = list(streams.ends)
    due = time.monotonic()
    while len(found) < seconds * OFFERS_A_SECOND:
        due += 1 / OFFERS_A_SECOND
        while (left := due - time.monotonic()) > 0:
            list(streams.read(left))
        peer_id = random.choice(peers)
        sent = offer(author, peer_id)
        began = time.perf_counter()
        connection.socket.sendall(sent)
        found.append(1000 * (streams.await_offer(peer_id) - began))
        if not connection.socket.recv(65536).startswith(b"HTTP/1.1 202"):
            raise SystemExit("an offer was refused")
    return found


def measure(count: int, seconds: float) -> tuple[float, list[float]]:
    """Return bytes for each stream, and the delays of offers in milliseconds."""
    people = [Identity.from_seed(os.urandom(32)) for _ in range(count)]
    with serving(command(count), PORT) as pid:
        connection = Connection()
        for person in people:
            connection.ask(registration(person))
        time.sleep(SETTLE)
        before, streams = resident(pid), Streams()
        for start in range(0, count, BATCH):
            streams.open(people[start : start + BATCH])
        time.sleep(SETTLE)
        size = (resident(pid) - before) / count
        print(f"{count:,} streams, {size / 1024:.1f} KiB each", file=sys.stderr)
        registering = Process(target=register_for_ever, daemon=True)
        registering.start()
        try:
            found = delays(streams, Identity.from_seed(os.urandom(32)), seconds)
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
