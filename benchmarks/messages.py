"""
What the chat costs on top of the encrypted link that carries it.

Two processes on loopback, three times in the same run: two nodes in conversation, found through a
real registry, that keep what is said in databases, each line before it goes out and before it is
shown; the same without; and two bare links (:class:`p2pchat.session.link.Link`) on two sockets.
Each pair plays ping-pong with one line of 100 bytes, then sends a burst of lines as fast as it can,
until the other side has said that all have come.

Run ``python -m benchmarks.messages [--runs N] [--lines N]``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater, react

from p2pchat import events
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.identity.proof import make_certificate
from p2pchat.identity.sealing import SealingKey
from p2pchat.peer.datagrams import PeerProtocol
from p2pchat.peer.driver import Driver
from p2pchat.peer.node import Node
from p2pchat.peer.profile import Profile
from p2pchat.peer.registry_signaling import RegistrySignaling
from p2pchat.peer.settings import NodeSettings
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.peer.udp import listen
from p2pchat.runtime import MonotonicClock, real_runtime
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.link import Link, LinkOpened
from p2pchat.session.quic import StreamData
from p2pchat.tap.process import share_interpreter, spare_long_lived
from p2pchat.traversal.routes import Datagram
from p2pchat.wire.addresses import Family
from p2pchat.wire.framing import FrameReader, encode_frame

HTTP_PORT, STUN_PORT = 18123, 18124
LINK_PORTS = {"measure": 18126, "echo": 18127}
FOLDER = "MESSAGES_FOLDER"  # environment: where databases are made
PADDING = "." * 90
PINGS = 300
DONE = "done"

Heard = Callable[[str], None]


@attrs.define
class Talk:
    """One end of a conversation: say a line, hear lines."""

    say: Callable[[str], object]
    heard: Heard = lambda text: None


def seed(role: str) -> bytes:
    """Return the key seed of a role; both processes know both."""
    return role.encode().ljust(32, b"-")


def open_store(role: str, author: bytes) -> SqliteStore:
    """Return a store in a directory that the parent has made, and removes."""
    file = DatabaseFile(Path(os.environ[FOLDER]) / f"{role}-{DATABASE_FILE}")
    file.prepare()
    share_interpreter()
    return SqliteStore(OpenDatabase.in_threads(file, reactor), author)


def chat_end(role: str, *, is_stored: bool = False) -> Deferred[Talk]:
    """Start a node; the measuring one calls the other."""
    ready: Deferred[Talk] = Deferred()
    settings = NodeSettings(
        role, f"http://127.0.0.1:{HTTP_PORT}", accept=AcceptPolicy.ALL, heartbeat=5.0
    )
    runtime, identity = real_runtime(reactor), Identity.from_seed(seed(role))
    registry = RegistrySignaling(settings.server, identity, runtime)
    store = open_store(role, peer_id_octets(identity.peer_id)) if is_stored else None
    profile = Profile(identity, SealingKey.from_seed(seed(role)))
    node = Node(runtime, settings, profile, [registry], store)
    other = Identity.from_seed(seed("echo" if role == "measure" else "measure")).peer_id
    talk = Talk(lambda text: node.send(other, text))

    def told(event: Any) -> None:
        if isinstance(event, events.Registered) and role == "measure":
            deferLater(reactor, 0.5, node.connect, other)
        elif isinstance(event, events.Connected) and not ready.called:
            ready.callback(talk)
        elif isinstance(event, events.MessageReceived):
            talk.heard(event.text)

    node.listen(told)
    node.start()
    return ready


class BareLink:
    """A link as a machine that :class:`Driver` can drive, its path fixed."""

    def __init__(self, role: str) -> None:
        other = "echo" if role == "measure" else "measure"
        clock = MonotonicClock(reactor)
        self.target = ("127.0.0.1", LINK_PORTS[other])
        self.link = Link(
            Identity.from_seed(seed(role)),
            Identity.from_seed(seed(other)).peer_id,
            make_certificate(os.urandom(32), time.time()),
            bytes(32),
            dials=role == "measure",
            random_bytes=os.urandom,
            rtt=0.001,
        )
        self.handle_timer, self.get_timer = self.link.handle_timer, self.link.get_timer
        self.next_event = self.link.next_event
        self.opened: Deferred[Talk] = Deferred()
        self.talk = Talk(self.say)
        self.reader = FrameReader()
        self.protocol = PeerProtocol("", self.received)
        listen(reactor, LINK_PORTS[role], self.protocol, Family.IPV4)
        self.driver = Driver(self, clock, self.send, self.told)
        self.link.start(clock.seconds())
        self.driver.step()

    def received(self, _base: str, datagrams: list[bytes], _addr: tuple[str, int]) -> None:
        """Take datagrams."""
        with self.driver as now:
            self.link.receive_datagrams(datagrams, now)

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """Send the link's datagrams."""
        self.protocol.send([one.data for one in datagrams], self.target, None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Address the link's datagrams."""
        return [Datagram(data, self.target) for data in self.link.datagrams_to_send(now)]

    def told(self, event: object) -> None:
        """Pass on what the link says."""
        if isinstance(event, LinkOpened):
            self.opened.callback(self.talk)
        elif isinstance(event, StreamData):
            self.reader.add(event.data)
            while (body := self.reader.next_frame()) is not None:
                self.talk.heard(body.decode())

    def say(self, text: str) -> None:
        """Send a line as one frame."""
        self.link.send(self.link.control, encode_frame(text.encode()))
        self.driver.step()


ENDS: dict[str, Callable[[str], Deferred[Talk]]] = {
    "stored": partial(chat_end, is_stored=True),
    "conversation": chat_end,
    "bare link": lambda role: BareLink(role).opened,
}


@inlineCallbacks
def echo(kind: str) -> Any:
    """Answer pings, and say when the announced number of lines has come."""
    talk = yield ENDS[kind]("echo")
    waiting = [0]

    def heard(text: str) -> None:
        if text.startswith("ping"):
            talk.say(text)
        elif text.startswith("burst"):
            waiting[0] = int(text.split()[1])
        else:
            waiting[0] -= 1
            if waiting[0] == 0:
                talk.say(DONE)

    talk.heard = heard
    yield Deferred()  # the parent ends this process


@inlineCallbacks
def ping(talk: Talk) -> Any:
    """Return the median round trip of one line, in microseconds."""
    times = []
    for number in range(PINGS):
        back: Deferred[str] = Deferred()
        talk.heard = back.callback
        start = time.perf_counter()
        talk.say(f"ping {number} {PADDING}")
        yield back
        times.append((time.perf_counter() - start) * 1e6)
    return median(times)


@inlineCallbacks
def burst(talk: Talk, lines: int) -> Any:
    """Return how many lines a second go one way."""
    back: Deferred[str] = Deferred()
    talk.heard = back.callback
    start = time.perf_counter()
    talk.say(f"burst {lines}")
    for number in range(lines):
        talk.say(f"line {number} {PADDING}")
    yield back
    return lines / (time.perf_counter() - start)


@inlineCallbacks
def measure(_reactor: Any, kind: str, lines: int) -> Any:
    """Measure one kind and print the two figures for the parent."""
    talk = yield ENDS[kind]("measure")
    round_trip = yield ping(talk)
    yield deferLater(reactor, 0)  # lines are typed between two steps of the node, not within one
    rate = yield burst(talk, lines)
    print(round_trip, rate, flush=True)


def once(kind: str, lines: int) -> tuple[float, float]:
    """Run both processes of one kind."""
    command = [sys.executable, "-m", "benchmarks.messages", "--lines", str(lines)]
    with tempfile.TemporaryDirectory(prefix="messages-", dir=".") as folder:
        env = {**os.environ, FOLDER: folder}
        other = subprocess.Popen([*command, "--echo", kind], env=env)
        try:
            time.sleep(1.5)
            measuring = [*command, "--measure", kind]
            figures = subprocess.check_output(measuring, timeout=120, text=True, env=env)
        finally:
            other.kill()
            other.wait()
    round_trip, rate = map(float, figures.split())
    return round_trip, rate


def compare(runs: int, lines: int) -> None:
    """Run the two kinds in turn and print the medians and their ratio."""
    results: dict[str, list[tuple[float, float]]] = {kind: [] for kind in ENDS}
    for _ in range(runs):
        for kind, found in results.items():
            found.append(once(kind, lines))
    print(f"{runs} runs in turn, {PINGS} pings and {lines} lines of 100 bytes each\n")
    print(f"{'':14}{'round trip, us':>16}{'lines a second':>16}")
    medians = {
        kind: [median(column) for column in zip(*found, strict=True)]
        for kind, found in results.items()
    }
    for kind, (round_trip, rate) in medians.items():
        print(f"{kind:14}{round_trip:16.0f}{rate:16.0f}")
    bare = medians["bare link"]
    for kind in ("stored", "conversation"):
        ratios = [value / base for value, base in zip(medians[kind], bare, strict=True)]
        print(f"{f'{kind} / bare':22}{ratios[0]:8.2f}{ratios[1]:16.2f}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lines", type=int, default=5_000)
    parser.add_argument("--echo", choices=ENDS, help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=ENDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    spare_long_lived()  # as our programs do
    if options.echo:
        react(lambda _reactor: echo(options.echo))
    elif options.measure:
        react(measure, (options.measure, options.lines))
    else:
        with_registry(lambda: compare(options.runs, options.lines))


def with_registry(work: Callable[[], None]) -> None:
    """Run a registry on loopback around some work."""
    twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
    command = [twistd, "-n", "--pidfile=", "p2psignal", "--stun", str(STUN_PORT)]
    command += ["--listen", f"tcp:{HTTP_PORT}:interface=127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder:
        registry = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            time.sleep(2)
            work()
        finally:
            registry.terminate()
            registry.wait()


if __name__ == "__main__":
    main()
