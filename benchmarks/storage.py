"""
What the store of messages costs beside SQLite itself, and what a long history costs its reader.

In one process, on the disk of the directory that it runs in::

    raw     executemany of a thousand rows a transaction into one table without an index
    store   SqliteStore: in a burst, one by one, and in a burst while the reactor is busy

Then a history of ``--lines`` is made; its last page, searches and deletion are timed, the latter
two while lines are stored one by one.

Run ``python -m benchmarks.storage [--lines N] [--synchronous full|normal]``.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.task import LoopingCall, react

from p2pchat.peer.storage import history
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.session.stored import StoredEntry
from p2pchat.tap.process import share_interpreter

OURS, THEIRS = b"a" * 16, b"b" * 16
LOGS = {OURS: b"1" * 16, THEIRS: b"2" * 16}
PEER = "bob"
BURST = 20_000  # lines
SINGLE = 500  # lines
BATCH = 50  # lines of one append: what a peer's stream brings in one reading
VOCABULARY = 20_000  # words, the commonest a tenth of all
NOW = 1_796_040_000.0


class Lines:
    """Endless entries of twelve words, ours and theirs by turns."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        letters = "abcdefghijklmnopqrstuvwxyz"
        lengths = [self._random.randint(3, 9) for _ in range(VOCABULARY)]
        self.words = ["".join(self._random.choices(letters, k=length)) for length in lengths]
        self._weights = list(accumulate(1 / (10 + rank) for rank in range(VOCABULARY)))
        self._numbers = {OURS: 0, THEIRS: 0}
        self._lamport = 0

    def next(self, count: int) -> list[StoredEntry]:
        """Return the next ones."""
        return [self._one() for _ in range(count)]

    def _one(self) -> StoredEntry:
        author = OURS if self._lamport % 2 else THEIRS
        self._lamport += 1
        self._numbers[author] += 1
        text = " ".join(self._random.choices(self.words, cum_weights=self._weights, k=12))
        raw = self._random.randbytes(230) + text.encode()
        came = NOW + self._lamport  # one a second, for the sake of what a peer may send in a day
        when = (self._lamport, came, "text", text, raw, came)
        return StoredEntry(author, LOGS[author], self._numbers[author], *when)


def milliseconds(seconds: list[float]) -> str:
    """Return median and 99th percentile."""
    return f"p50 {median(seconds) * 1e3:.2f} ms, p99 {quantiles(seconds, n=100)[98] * 1e3:.2f} ms"


def time_raw(directory: Path, file: DatabaseFile, lines: list[StoredEntry]) -> None:
    """Time SQLite alone."""
    connection = DatabaseFile(directory / "raw.sqlite3", file.synchronous).connect()
    connection.execute("CREATE TABLE entry (number INTEGER, text TEXT, raw BLOB) STRICT")
    rows = [(one.number, one.text, one.raw) for one in lines]
    begun = time.perf_counter()
    for at in range(0, len(rows), 1000):
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows[at : at + 1000])
        connection.commit()
    print(f"raw     burst {len(rows) / (time.perf_counter() - begun):,.0f}/s")
    seconds = []
    for row in rows[:SINGLE]:
        begun = time.perf_counter()
        connection.execute("INSERT INTO entry VALUES (?, ?, ?)", row)
        seconds.append(time.perf_counter() - begun)
    print(f"raw     one by one: {milliseconds(seconds)}")
    connection.close()


def put(store: SqliteStore, lines: list[StoredEntry]) -> Deferred[Any]:
    """Store lines as they come in portions."""
    portions = range(0, len(lines), BATCH)
    return gatherResults([store.append(PEER, lines[at : at + BATCH]) for at in portions])


@inlineCallbacks
def time_burst(store: SqliteStore, lines: list[StoredEntry], name: str) -> Any:
    """Time lines that come as fast as they can be taken."""
    begun = time.perf_counter()
    yield put(store, lines)
    print(f"store   {name} {len(lines) / (time.perf_counter() - begun):,.0f}/s")


@inlineCallbacks
def time_busy(store: SqliteStore, lines: list[StoredEntry]) -> Any:
    """Time them while the reactor has other work, 90 of 100 milliseconds."""

    def work() -> None:
        until = time.perf_counter() + 0.0045
        while time.perf_counter() < until:
            pass

    other = LoopingCall(work)
    other.start(0.005)
    yield time_burst(store, lines, "burst beside a busy reactor")
    other.stop()


@inlineCallbacks
def time_single(store: SqliteStore, lines: Iterator[StoredEntry], until: Deferred[Any]) -> Any:
    """Time lines, each put when the one before it is stored, until something is done."""
    seconds: list[float] = []
    while not until.called or len(seconds) < SINGLE:
        begun = time.perf_counter()
        yield store.append(PEER, [next(lines)])
        seconds.append(time.perf_counter() - begun)
    return seconds


def endless(lines: Lines) -> Iterator[StoredEntry]:
    """Return lines one by one."""
    while True:
        yield from lines.next(100)


@inlineCallbacks
def time_reading(store: SqliteStore, lines: Lines) -> Any:
    """Time what a person asks, the first time and again."""
    word = lines.words
    questions: list[tuple[str, Callable[[sqlite3.Connection], Any]]] = [
        ("last page of 50", lambda c: history.last_lines(c, OURS, PEER, 50)),
        ("the commonest word", lambda c: history.find_lines(c, OURS, word[0])),
        ("a common and a rare one", lambda c: history.find_lines(c, OURS, f"{word[0]} {word[-9]}")),
        ("a rare one", lambda c: history.find_lines(c, OURS, word[-9])),
        ("beginning of 3 letters", lambda c: history.find_lines(c, OURS, f"{word[0][:3]}*")),
        ("beginning of 1 letter", lambda c: history.find_lines(c, OURS, f"{word[0][0]}*")),
    ]
    for name, question in questions:
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            found = yield store.read(question)
            seconds.append(time.perf_counter() - begun)
        first, again = seconds[0] * 1e3, median(seconds) * 1e3
        print(f"read    {name}: first {first:.1f} ms, median {again:.1f} ms, {len(found)} lines")


@inlineCallbacks
def main(_reactor: object, directory: Path, count: int, synchronous: Synchronous) -> Any:
    """Time all."""
    share_interpreter()
    file = DatabaseFile(directory / DATABASE_FILE, synchronous)
    file.prepare()
    lines = Lines()
    time_raw(directory, file, Lines().next(BURST))
    store = SqliteStore(OpenDatabase.in_threads(file, reactor), OURS)
    yield store.load()
    yield time_burst(store, lines.next(BURST), "burst")
    yield time_busy(store, lines.next(BURST))
    done: Deferred[None] = Deferred()
    done.callback(None)
    seconds = yield time_single(store, endless(lines), done)
    print(f"store   one by one: {milliseconds(seconds)}")
    for _ in range(count // BURST):
        yield put(store, lines.next(BURST))
    print(f"history of {count:,} lines: {file.size() / 1e6:,.0f} MB")
    yield time_reading(store, lines)
    searching = gatherResults(
        [store.read(lambda c: history.find_lines(c, OURS, "a* b*")) for _ in range(20)]
    )
    seconds = yield time_single(store, endless(lines), searching)
    print(f"store   one by one beside searches: {milliseconds(seconds)}")
    seconds = yield time_single(store, endless(lines), store.wipe(PEER))
    print(f"store   one by one while all is wiped: {milliseconds(seconds)}")
    yield store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--synchronous", choices=["full", "normal"], default="full")
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="storage-", dir="."))
    try:
        react(main, (place, arguments.lines, Synchronous(arguments.synchronous)))
    finally:
        shutil.rmtree(place)
