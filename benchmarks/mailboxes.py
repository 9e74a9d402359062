"""
What mailboxes cost a registry: memory, and the time of what is asked.

In one process each store by itself: in memory, in a file on the disk of the directory that this
runs in, and, where redis-server is installed, in a Redis of its own::

    made        --mailboxes of them, each with prekeys, 50 one-time keys and TOKENS tokens
    mailbox     the bytes that the store counts for one; and those that Redis takes
    burst       --deposits envelopes of SIZE bytes, AT_ONCE of them at a time
    one by one  some of them, each when the one before it was kept
    fetched     and acknowledged, MAX_FETCHED at a time

Then a whole registry, once with each of the first two: the processor time that it takes to give
prekeys and to keep an envelope, over one kept connection.

Run ``python -m benchmarks.mailboxes [--mailboxes N] [--deposits N]``.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredSemaphore, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater, react

from benchmarks.serving import UNLIMITED, processor_time, registry, serving
from p2pchat.interfaces import IMailboxStore
from p2pchat.registry.event_streams import EventStreams
from p2pchat.registry.mailbox.outcomes import KeptEnvelope, LeftEnvelope, PublishedPrekeys
from p2pchat.registry.mailbox.redis_store import RedisMailboxes
from p2pchat.registry.mailbox.sqlite_store import SqliteMailboxes
from p2pchat.registry.store.redis import RedisStore
from p2pchat.registry.store.redis_url import parse_redis_url
from p2pchat.runtime import real_runtime
from p2pchat.wire.mailbox import DAY, TOKEN_HASH, envelope_name
from tests.registry.mailbox.client import MailClient
from tests.registry.store.redis_server import NO_REDIS, RedisServer

PORT = 18143
CAPACITY = 4 * 1024**3  # bytes: nothing is refused
TOKENS = 20  # contacts of one person
DOCUMENT = 4200  # characters of signed prekeys with 50 one-time keys
SIZE = 2560  # bytes of an envelope with one line
AT_ONCE = 64  # requests
SINGLE = 500  # envelopes
HTTP = 500  # envelopes


def peer(number: int) -> str:
    """Return one of the owners' ids."""
    return f"{number:08x}-0000-8000-8000-000000000000"


def tokens(number: int) -> list[bytes]:
    """Return the hashes of an owner's tokens."""
    source = random.Random(number)
    return [source.randbytes(TOKEN_HASH) for _ in range(TOKENS)]


def lefts(mailboxes: int, first: int) -> Iterator[LeftEnvelope]:
    """Return envelopes for all of them by turns."""
    number = first
    while True:
        owner = number % mailboxes
        yield LeftEnvelope(peer(owner), tokens(owner)[0], os.urandom(SIZE))
        number += 1


def say(name: str, what: str, count: int, begun: float, computed: float) -> None:
    """Print a rate, and what the process computed for each."""
    seconds, computed = time.perf_counter() - begun, time.process_time() - computed
    rate, each = count / seconds, computed / count * 1e6
    print(f"{name:7} {what:11} {rate:8,.0f}/s, {each:6.0f} us of processor time each")


@inlineCallbacks
def all_of(work: list[Any]) -> Any:
    """Do this, AT_ONCE at a time."""
    room = DeferredSemaphore(AT_ONCE)
    return (yield gatherResults([room.run(*one) for one in work]))


@inlineCallbacks
def time_store(name: str, store: IMailboxStore, mailboxes: int, deposits: int) -> Any:
    """Time one store."""
    document = "x" * DOCUMENT
    begun, computed = time.perf_counter(), time.process_time()
    published = PublishedPrekeys(document, 50, 1.0, 30.0 * DAY)
    yield all_of([(store.publish, peer(one), published) for one in range(mailboxes)])
    yield all_of([(store.allow, peer(one), tokens(one), 1.0) for one in range(mailboxes)])
    say(name, "made", mailboxes, begun, computed)
    while (counts := store.counts()) is None or counts.mailboxes < mailboxes:
        store.sweep()
        yield deferLater(reactor, 0.5, lambda: None)
    print(f"{name:7} mailbox     {counts.bytes / mailboxes:8,.0f} bytes each, without mail")
    source = lefts(mailboxes, 0)
    waiting = [next(source) for _ in range(deposits)]
    begun, computed = time.perf_counter(), time.process_time()
    kept = yield all_of([(store.deposit, one) for one in waiting])
    say(name, "burst", deposits, begun, computed)
    assert all(isinstance(one, KeptEnvelope) for one in kept)
    seconds = []
    for _ in range(SINGLE):
        one, began = next(source), time.perf_counter()
        yield store.deposit(one)
        seconds.append(time.perf_counter() - began)
    slowest = quantiles(seconds, n=100)[98] * 1e3
    print(f"{name:7} one by one  p50 {median(seconds) * 1e3:.2f} ms, p99 {slowest:.2f} ms")
    yield time_fetching(name, store, mailboxes)


@inlineCallbacks
def time_fetching(name: str, store: IMailboxStore, mailboxes: int) -> Any:
    """Time owners who fetch what they have."""
    begun, computed, fetched = time.perf_counter(), time.process_time(), 0
    for owner in range(min(mailboxes, 1000)):
        mail = yield store.fetch(peer(owner))
        fetched += len(mail.envelopes)
        yield store.acknowledge(peer(owner), [envelope_name(one) for one in mail.envelopes])
    say(name, "fetched", fetched or 1, begun, computed)


def time_http(name: str, *options: str) -> None:
    """Time a whole registry."""
    unlimited = (*UNLIMITED, "--deposit-rate=0", "--mailbox-rate=0", "--stun=0")
    with serving(registry(PORT, "--mailbox", *unlimited, *options), PORT) as pid:
        clients = [MailClient(PORT) for _ in range(HTTP // 50)]
        for client in clients:
            client.open()
        computed, begun = processor_time(pid), time.perf_counter()
        for number in range(HTTP):
            client = clients[number % len(clients)]
            status = client.leave(os.urandom(SIZE), client.permit())
            assert status == 202, status
        computed, seconds = processor_time(pid) - computed, time.perf_counter() - begun
        each = f"{HTTP / seconds:8,.0f}/s, {computed / HTTP * 1e6:6.0f} us of processor time each"
        print(f"{name:7} over HTTP   {each}, prekeys and envelope, by one client")


@inlineCallbacks
def main(_reactor: Any, place: Path, mailboxes: int, deposits: int) -> Any:
    """Time them all."""
    runtime = real_runtime(reactor)
    for name, path in (("memory", None), ("file", place / "mail")):
        store = SqliteMailboxes(runtime, EventStreams(), path, CAPACITY)
        store.start()
        yield time_store(name, store, mailboxes, deposits)
        yield store.stop()
    if NO_REDIS:
        print(NO_REDIS)
    else:
        yield time_redis(runtime, mailboxes, deposits)
    time_http("memory")
    time_http("file", "--mailbox-file", str(place / "mail-over-http"))


@inlineCallbacks
def time_redis(runtime: Any, mailboxes: int, deposits: int) -> Any:
    """Time a Redis of our own, which writes nothing to the disk."""
    server = RedisServer()
    server.start()
    try:
        shared = RedisStore(parse_redis_url(server.url), runtime, 60.0, EventStreams())
        shared.start()
        while not shared.is_available():
            yield deferLater(reactor, 0.05, lambda: None)
        yield time_store("redis", RedisMailboxes(runtime, shared, CAPACITY), mailboxes, deposits)
        used = re.findall(r"used_memory:(\d+)", server.ask("INFO", "memory"))
        print(f"redis   has {int(used[0]) / 1e6:.0f} MB then, of mailboxes and what waits")
        yield shared.stop()
    finally:
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=10_000)
    parser.add_argument("--deposits", type=int, default=5_000)
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="mailboxes-", dir=".")).absolute()
    try:
        react(main, (directory, arguments.mailboxes, arguments.deposits))
    finally:
        shutil.rmtree(directory)
