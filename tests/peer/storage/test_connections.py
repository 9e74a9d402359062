"""The database in threads: what a real reactor and a real disk show."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import current_thread
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from p2pchat.peer.storage.connections import IConnections, PooledConnections
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import OpenDatabase
from tests.peer.storage.cases import OUR_LOG, OURS, PEER, entry

ROOT = Path(__file__).parents[3]
WRITES_FOR_EVER = """
import sys
from pathlib import Path
from p2pchat.peer.storage.database import DatabaseFile, Synchronous
from p2pchat.peer.storage.entry_table import Append, append
from tests.peer.storage.cases import OURS, PEER, entry

connection = DatabaseFile(Path(sys.argv[1]), Synchronous.OFF).connect()
number = connection.execute("SELECT max(number) FROM entry").fetchone()[0] or 0
while True:
    connection.execute("BEGIN IMMEDIATE")
    entries = [entry("x" * 300, number + more) for more in range(1, 8)]
    append(connection, Append(PEER, OURS, entries))
    connection.commit()
    number += 7
    print(number, flush=True)
"""


class RealCase(TestCase):
    """A database, and what uses it in threads."""

    timeout = 60

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(mode=0o700)
        self.file = DatabaseFile(directory / DATABASE_FILE, Synchronous.OFF)
        self.file.prepare()

    def connections(self, count: int = 1) -> PooledConnections:
        """Return connections that are closed after the test."""
        made = PooledConnections(reactor, self.file, count)
        self.addCleanup(made.close)
        return made


class PooledConnectionsTests(RealCase):
    """Work is done in a thread, committed or rolled back."""

    def test_interface(self) -> None:
        """They are connections, as those of the other tests."""
        verifyObject(IConnections, self.connections())

    @inlineCallbacks
    def test_commit(self) -> Any:
        """What was done is seen by others; what raised leaves nothing."""
        writing, reading = self.connections(), self.connections(2)
        writing.start()
        reading.start()

        def work(connection: sqlite3.Connection, lamport: Any) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO conversation (peer, lamport) VALUES (?, ?)", (PEER, lamport)
            )

        def count(connection: sqlite3.Connection) -> int:
            return int(connection.execute("SELECT count(*) FROM conversation").fetchone()[0])

        failed = writing.run(lambda connection: work(connection, "no number"))
        yield self.assertFailure(failed, sqlite3.IntegrityError)
        self.assertEqual((yield reading.run(count)), 0)
        yield writing.run(lambda connection: work(connection, 1))
        self.assertEqual((yield reading.run(count)), 1)

    @inlineCallbacks
    def test_end_of_program(self) -> Any:
        """Threads that begin while the reactor runs don't keep a program that ends."""
        yield deferLater(reactor, 0)
        connections = self.connections(2)
        connections.start()
        working = [connections.run(lambda _: current_thread().daemon) for _ in range(2)]
        self.assertEqual((yield gatherResults(working)), [True, True])

    def test_abandoned(self) -> None:
        """What hangs is left behind: nothing waits for its thread."""
        connections = self.connections()
        connections.start()
        connections.abandon()
        connections.close()


class SqliteStoreTests(RealCase):
    """The store in its threads."""

    def open_store(self) -> SqliteStore:
        """Open the store."""
        database = OpenDatabase(self.file, self.connections(), self.connections(2), reactor)
        return SqliteStore(database, OURS)

    @inlineCallbacks
    def test_store(self) -> Any:
        """Lines that come one by one and at once are all there after the end, in one file."""
        store = self.open_store()
        self.assertEqual((yield store.load()), {})
        waiting: list[Deferred[Any]] = []
        for number in range(1, 501):
            waiting.append(store.append(PEER, [entry(f"line {number}", number)]))
        yield gatherResults(waiting)
        yield store.confirmed(PEER, OUR_LOG, 499)
        yield store.close()
        self.assertEqual([one.name for one in self.file.path.parent.iterdir()], [DATABASE_FILE])
        again = self.open_store()
        state = (yield again.load())[PEER]
        yield again.close()
        self.assertEqual([one.text for one in state.undelivered], ["line 500"])


class KillTests(RealCase):
    """``kill -9``."""

    def test_kill(self) -> None:
        """Whatever a killed program said to be stored is there, and nothing by halves."""
        for _ in range(2):
            program = subprocess.Popen(
                [sys.executable, "-c", WRITES_FOR_EVER, self.file.path],
                stdout=subprocess.PIPE,
                cwd=ROOT,
            )
            assert program.stdout is not None
            for _ in range(10):
                said = int(program.stdout.readline())
            program.send_signal(signal.SIGKILL)
            said = int(([str(said).encode(), *program.stdout.read().split()])[-1])
            program.stdout.close()
            program.wait()
            connection = self.file.connect()
            (last, count) = connection.execute("SELECT max(number), count(*) FROM entry").fetchone()
            (check,) = connection.execute("PRAGMA quick_check").fetchone()
            connection.close()
            self.assertGreaterEqual(last, said)
            self.assertEqual((last, last % 7, check), (count, 0, "ok"))
