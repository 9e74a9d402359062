"""
Whether honest peers register and connect while somebody abuses the registry.

``twistd p2psignal`` runs with its own limits.  Under each attack, for a while, pairs of whole
peers (:class:`p2pchat.peer.node.Node`) are started one after the other: both register, one calls
the other, and they are connected when the encrypted link stands.  Each attacker is a process of
its own, and comes from loopback addresses of its own:

calm         nobody attacks
slowloris    5,000 connections from 100 addresses, each sending a byte of a header now and then;
             a connection that is dropped is opened again
one address  5,000 such connections from one address
flood        signed registrations of ever new peers, from one address over 8 connections, as fast
             as they are answered
deaf         a subscriber that never reads, and accomplices at 20 addresses that fill its stream as
             often as it is cut off

A pair that isn't connected within TIMEOUT fails the run, and so does a server whose memory grows
by more than GREATEST_GROWTH.

Run ``python -m benchmarks.abuse [--seconds S] [--attack NAME]``; it needs Linux.
"""

from __future__ import annotations

import argparse
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Process, Value
from statistics import median
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import react

from benchmarks.asking import Site, new_people
from benchmarks.serving import allow_many_files, registry, resident, serving
from p2pchat import events
from p2pchat.peer.node import Node
from p2pchat.peer.profile import load_profile
from p2pchat.peer.registry_signaling import RegistrySignaling
from p2pchat.peer.settings import NodeSettings
from p2pchat.runtime import real_runtime
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate, CandidateType

SITE, STUN_PORT = Site(18147), 18148
UNFINISHED = SITE.request("GET", "/status").removesuffix(b"\r\n") + b"X-"
TIMEOUT = 10.0  # seconds in which a pair must be connected; calm, it takes a fraction of one
GREATEST_GROWTH = 256 * 1024 * 1024  # bytes
SLOW = 5000  # connections of slowloris
DRIP = 1.0  # seconds between two bytes of each
FLOODS = 8  # connections of the flood
ACCOMPLICES = 20  # of the subscriber that never reads
LONG = tuple(
    Candidate(CandidateType.HOST, (f"192.0.2.{number}", 40000)) for number in range(MAX_CANDIDATES)
)


@attrs.define
class Attack:
    """
    One kind of abuse.

    :ivar run: does it until its process is ended; counts in what it is given.
    :ivar counts: what that number is.
    """

    name: str
    run: Callable[[Any], None] | None
    counts: str


# -- attackers


def drip(addresses: list[str], count: Any) -> None:
    """Keep SLOW connections open that never finish a request; count those that are open."""
    open_ones: dict[int, socket.socket] = {}
    poll, number = select.epoll(), 0
    while True:
        began = time.monotonic()
        while len(open_ones) < SLOW and time.monotonic() < began + DRIP:
            number += 1
            with suppress(OSError):
                end = SITE.dial(addresses[number % len(addresses)])
                end.sendall(UNFINISHED)
                open_ones[end.fileno()] = end
                poll.register(end, select.EPOLLIN)
        for gone, _ in poll.poll(0, SLOW):
            open_ones.pop(gone).close()
        for end in list(open_ones.values()):
            with suppress(OSError):
                end.send(b"a")
        count.value = len(open_ones)
        time.sleep(max(0.0, began + DRIP - time.monotonic()))


def slowloris(count: Any) -> None:
    """Drip from many addresses."""
    drip([f"127.1.0.{number}" for number in range(1, 101)], count)


def one_address(count: Any) -> None:
    """Drip from one."""
    drip(["127.2.0.1"], count)


def flood(count: Any) -> None:
    """Register peers that nobody has seen, as fast as it goes; count the requests."""
    made = [SITE.registration(person) for person in new_people(2000)]
    ends = [SITE.dial("127.3.0.1") for _ in range(FLOODS)]
    while True:
        for one in made:
            end = ends[count.value % FLOODS]
            end.sendall(one)
            if not end.recv(65536):
                ends[count.value % FLOODS] = SITE.dial("127.3.0.1")
            count.value += 1


def deaf(count: Any) -> None:
    """Never read, while accomplices send long offers; count how many of these were dropped."""
    listener, *authors = new_people(1 + ACCOMPLICES)
    ends = [SITE.dial(f"127.4.0.{number + 10}") for number in range(ACCOMPLICES)]
    for author, end in [*zip(authors, ends, strict=True), (listener, ends[0])]:
        end.sendall(SITE.registration(author))
        end.recv(65536)
    ears = []
    while True:
        ears.append(SITE.dial("127.4.0.2"))
        ears[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ears[-1].sendall(SITE.subscription(listener))
        ears[-1].recv(10)
        is_live = True
        while is_live:
            for author, end in zip(authors, ends, strict=True):
                end.sendall(SITE.offer(author, listener.peer_id, LONG))
            answers = [end.recv(65536) for end in ends]
            count.value += sum(not answer.startswith(b"HTTP/1.1 202") for answer in answers)
            is_live = not any(b"peer-offline" in answer for answer in answers)


ATTACKS = (
    Attack("calm", None, ""),
    Attack("slowloris", slowloris, "connections open"),
    Attack("one address", one_address, "connections open"),
    Attack("flood", flood, "registrations sent"),
    Attack("deaf", deaf, "documents dropped"),
)


# -- honest peers


@attrs.define
class Peer:
    """A whole peer, and when it was registered and connected."""

    name: str
    registered: Deferred[None] = attrs.Factory(Deferred)
    connected: Deferred[None] = attrs.Factory(Deferred)
    node: Node = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        settings = NodeSettings(self.name, SITE.origin, accept=AcceptPolicy.ALL)
        runtime = real_runtime(reactor)
        profile = load_profile(None, runtime.random_bytes)
        registry = RegistrySignaling(settings.server, profile.identity, runtime)
        self.node = Node(runtime, settings, profile, [registry])
        self.node.listen(self._told)
        self.node.start()

    def _told(self, event: Any) -> None:
        if isinstance(event, events.Registered) and not self.registered.called:
            self.registered.callback(None)
        elif isinstance(event, events.Connected) and not self.connected.called:
            self.connected.callback(None)


@inlineCallbacks
def pair() -> Any:
    """Let two peers register and connect; returns the seconds that both took."""
    began = time.monotonic()
    one, other = Peer("one"), Peer("other")
    try:
        for peer in (one, other):
            yield peer.registered.addTimeout(TIMEOUT, reactor)
        registered = time.monotonic()
        yield one.node.connect(other.node.peer_id)
        yield one.connected.addTimeout(TIMEOUT, reactor)
        return registered - began, time.monotonic() - registered
    finally:
        for peer in (one, other):
            yield peer.node.stop()


# -- the runs


@inlineCallbacks
def under(attack: Attack, pid: int, seconds: float) -> Any:
    """Let pairs connect while an attack goes on, and print how they fared."""
    count = Value("q", 0)
    attacker = Process(target=attack.run, args=(count,), daemon=True) if attack.run else None
    before, most, found = resident(pid), 0, []
    if attacker is not None:
        attacker.start()
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found.append((yield pair()))
            most = max(most, count.value)
        if attacker is not None and not attacker.is_alive():
            raise SystemExit(f"{attack.name}: the attacker gave up")
    finally:
        if attacker is not None:
            attacker.kill()
            attacker.join()
    grown = resident(pid) - before
    registering, connecting = zip(*found, strict=True)
    print(
        f"{attack.name:12} {len(found):4} pairs; seconds to register: {median(registering):.2f}, "
        f"longest {max(registering):.2f}; to connect: {median(connecting):.2f}, longest "
        f"{max(connecting):.2f}; memory {grown / 2**20:+.0f} MiB; {most} {attack.counts}",
        flush=True,
    )
    if grown > GREATEST_GROWTH:
        raise SystemExit(f"{attack.name}: the registry's memory has grown by {grown} bytes")


@inlineCallbacks
def run(_reactor: Any, attacks: list[Attack], seconds: float) -> Any:
    """Run the attacks one after the other, against one registry."""
    with serving(registry(SITE.port, f"--stun={STUN_PORT}"), SITE.port) as pid:
        for attack in attacks:
            yield under(attack, pid, seconds)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="honest peers beside attackers")
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--attack", choices=[one.name for one in ATTACKS], action="append")
    options = parser.parse_args()
    allow_many_files()
    names = options.attack or [one.name for one in ATTACKS]
    react(run, ([one for one in ATTACKS if one.name in names], options.seconds))


if __name__ == "__main__":
    main()
