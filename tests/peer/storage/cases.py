"""A test with a database of its own, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.session.stored import ConversationState, StoredEntry
from tests.peer.storage.fake_connections import ImmediateConnections

OURS, THEIRS = b"a" * 16, b"b" * 16  # authors
OUR_LOG, THEIR_LOG = b"1" * 16, b"2" * 16
PEER = "bob"
NOON = 1_796_040_000.0  # of 30 November 2026


def entry(
    text: str,
    number: int,
    lamport: int = 0,
    *,
    author: bytes = OURS,
    log: bytes = OUR_LOG,
    arrived_at: float = NOON,
    kind: str = "text",
    is_delivered: bool = False,
) -> StoredEntry:
    """Return an entry; its Lamport number is its number unless another is given."""
    raw = b"raw " + text.encode()
    when = (lamport or number, NOON, kind, text, raw, arrived_at, is_delivered)
    return StoredEntry(author, log, number, *when)


def theirs(text: str, number: int, lamport: int = 0, arrived_at: float = NOON) -> StoredEntry:
    """Return an entry of theirs."""
    return entry(text, number, lamport, author=THEIRS, log=THEIR_LOG, arrived_at=arrived_at)


class DatabaseCase(SynchronousTestCase):
    """A database in a directory of its own."""

    def setUp(self) -> None:
        self.choose_file()

    def choose_file(self) -> None:
        """Have a database that isn't there yet."""
        directory = Path(self.mktemp())
        directory.mkdir(mode=0o700)
        self.file = DatabaseFile(directory / DATABASE_FILE, Synchronous.OFF)

    def open_database(self) -> OpenDatabase:
        """Open the database, as a program does that starts."""
        self.file.prepare()
        self.writing = ImmediateConnections(self.file)
        self.reading = ImmediateConnections(self.file)
        self.addCleanup(self.writing.close)
        self.addCleanup(self.reading.close)
        self.clock = Clock()
        return OpenDatabase(self.file, self.writing, self.reading, self.clock)

    def open_store(self, own: bytes = OURS) -> SqliteStore:
        """Open the store of messages in it."""
        return SqliteStore(self.open_database(), own)

    def kill(self) -> None:
        """Let the program end as by ``kill -9``."""
        self.writing.close()
        self.reading.close()

    def load(self, store: SqliteStore) -> dict[str, ConversationState]:
        """Return what a store has of each conversation."""
        loaded: Deferred[Any] = store.load()
        return dict(self.successResultOf(loaded))

    def append(self, store: SqliteStore, *entries: StoredEntry) -> None:
        """Store entries of one conversation."""
        self.successResultOf(store.append(PEER, entries))

    def texts(self, entries: Sequence[StoredEntry]) -> list[str]:
        """Return their texts."""
        return [one.text for one in entries]
