"""The store in SQLite: the contract in memory and in a file, and what becomes of the file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from p2pchat.errors import ConfigurationError
from p2pchat.registry.mailbox.outcomes import MailboxOutcome
from p2pchat.registry.mailbox.sqlite_store import MAX_PAUSE, SqliteMailboxes
from p2pchat.registry.refusals import Refused
from p2pchat.runtime import Runtime
from p2pchat.wire.mailbox import KEPT, MailboxState, envelope_name
from tests.registry.mailbox.store_contract import (
    CAPACITY,
    TOKEN,
    MailboxContract,
    envelope,
    left,
    prekeys,
)
from tests.registry.store.store_contract import ALICE, FakeStreams


class SqliteContract(MailboxContract):
    """A store on a clock that the test turns."""

    wall: float = 1_800_000_000.0

    def setUp(self) -> None:
        self.clock, self.streams = Clock(), FakeStreams()
        self.store = self.boot()

    def path(self) -> Path | None:
        """Return where the file is."""
        return None

    def boot(self, capacity: int = CAPACITY) -> SqliteMailboxes:
        """Start a process."""
        runtime = Runtime(None, self.clock, lambda: self.wall, os.urandom, list)
        path = self.path()
        store = SqliteMailboxes(runtime, self.streams, path, capacity, in_thread=False)
        store.start()
        self.addCleanup(store.stop)
        return store

    def pass_time(self, seconds: float) -> None:
        """Turn the clock."""
        self.clock.advance(seconds)
        self.wall += seconds
        self.store.sweep()

    def got(self, deferred: Any) -> Any:
        """Return what a Deferred has."""
        return self.successResultOf(deferred)


class MemoryTests(SqliteContract, TestCase):
    """In memory."""

    def test_ends(self) -> None:
        """After the end nothing is done any more."""
        self.store.stop()
        self.failureResultOf(self.store.state(ALICE), Refused)


class FileTests(SqliteContract, TestCase):
    """In a file."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        super().setUp()

    def path(self) -> Path:
        """Return where the file is."""
        return self.directory / "mail"

    def restart(self, off: float = 0.0) -> None:
        """Stop, and start again some seconds later, on a clock that begins anew."""
        self.store.stop()
        self.wall += off
        self.clock = Clock()
        self.store = self.boot()

    def test_lasts(self) -> None:
        """What was kept is there after a restart; keys that were given out stay so."""
        self.got(self.open_mailbox())
        self.got(self.store.give(ALICE, TOKEN))
        octets = self.got(self.deposit())
        self.restart(60)
        mail = self.got(self.store.fetch(ALICE))
        self.assertEqual((mail.envelopes, mail.state), ((octets,), MailboxState(1, 49, 1)))
        self.assertEqual(self.got(self.store.give(ALICE, TOKEN)).one_time, 1)

    def test_time(self) -> None:
        """Time goes on while it is off, but by a day at most; and a clock set back takes none."""
        self.got(self.open_mailbox())
        octets = self.got(self.deposit())
        kept = float(KEPT)
        for off, passed in ((3600.0, 3600.0), (-100_000.0, 0.0), (1e9, MAX_PAUSE)):
            self.restart(off)
            kept -= passed
            again = self.got(self.store.deposit(left(octets)))
            self.assertAlmostEqual(again.expires_in, kept, delta=1)
        self.wall += 1e9  # while it runs, nothing hangs on it
        self.pass_time(60)
        self.assertEqual(len(self.got(self.store.fetch(ALICE)).envelopes), 1)

    def test_private(self) -> None:
        """The files are ours alone; one that isn't is refused, as is what is no file of ours."""
        self.got(self.open_mailbox())
        for name in self.directory.iterdir():
            self.assertEqual(name.stat().st_mode & 0o777, 0o600)
        self.store.stop()
        self.path().chmod(0o640)
        self.assertIn("chmod 600", str(self.assertRaises(ConfigurationError, self.boot)))
        self.path().write_bytes(b"something else, and long enough to be read as a head" * 10)
        self.path().chmod(0o600)
        self.assertIn("not a database", str(self.assertRaises(ConfigurationError, self.boot)))
        self.path().unlink()
        self.path().mkdir()
        self.assertIn("no file", str(self.assertRaises(ConfigurationError, self.boot)))

    def test_another_program(self) -> None:
        """A database of another program isn't touched."""
        self.store.stop()
        self.path().unlink()
        with sqlite3.connect(self.path()) as connection:
            connection.execute("CREATE TABLE theirs (a)")
        connection.close()
        self.path().chmod(0o600)
        self.assertIn("another program", str(self.assertRaises(ConfigurationError, self.boot)))

    def test_no_directory(self) -> None:
        """Where there is no place for it the operator is told."""
        self.store.stop()
        self.directory = self.directory / "missing"
        self.assertIn("No such file", str(self.assertRaises(ConfigurationError, self.boot)))

    def test_damaged_envelope(self) -> None:
        """An envelope that isn't what was left, after damage on the disk, isn't handed out."""
        self.got(self.open_mailbox())
        self.got(self.deposit())
        octets = self.got(self.deposit())
        self.store.stop()
        with sqlite3.connect(self.path()) as connection:
            connection.execute("UPDATE envelope SET octets = zeroblob(2048) WHERE id = 1")
        connection.close()
        self.restart()
        mail = self.got(self.store.fetch(ALICE))
        self.assertEqual((mail.envelopes, mail.state.waiting), ((octets,), 1))

    def damage(self, from_page: int = 4) -> None:
        """Write over the file from a page on; the first four have the head and the clock."""
        with self.path().open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(from_page * 4096)
            file.write(os.urandom(size - from_page * 4096))

    def test_damaged_file(self) -> None:
        """With a file that is damaged it doesn't start."""
        self.got(self.open_mailbox())
        for _ in range(50):
            self.got(self.deposit())
        self.store.stop()
        self.damage(from_page=1)
        self.assertIn("move it away", str(self.assertRaises(ConfigurationError, self.boot)))

    def test_damaged_meanwhile(self) -> None:
        """Where the file turns out to be damaged all is refused, and the operator told once."""
        self.got(self.open_mailbox())
        for _ in range(50):
            self.got(self.deposit())
        self.store.stop()
        self.damage()
        with capturedLogs() as logs:
            self.store = self.boot()
            for asked in (lambda: self.store.fetch(ALICE), lambda: self.store.state(ALICE)):
                refused = self.failureResultOf(asked(), Refused)
                self.assertEqual(refused.value.problem.reason, "mailboxes-unavailable")
        said = [one for one in logs if "mailbox-file" in one["log_format"]]
        self.assertEqual(len(said), 1)

    def test_forgotten(self) -> None:
        """Of what was deleted nothing is left in the file."""
        self.got(self.open_mailbox())
        secret = b"sealed all the same" * 200
        self.got(self.deposit(secret))
        self.got(self.store.acknowledge(ALICE, [envelope_name(secret)]))
        self.store.stop()
        self.assertNotIn(secret[:64], self.path().read_bytes())


class ThreadTests(TestCase):
    """With a thread, as it runs in earnest."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.streams = FakeStreams()
        self.store = self.boot()

    def boot(self, capacity: int = CAPACITY) -> SqliteMailboxes:
        """Start a process."""
        runtime = Runtime(reactor, reactor, lambda: 1_800_000_000.0, os.urandom, list)
        store = SqliteMailboxes(runtime, self.streams, self.directory / "mail", capacity)
        store.start()
        self.addCleanup(store.stop)
        return store

    @inlineCallbacks
    def test_many(self) -> Any:
        """What is asked at the same time is done in its order; whoever leaves disturbs nobody."""
        asked: list[Any] = [self.store.publish(ALICE, prekeys())]
        asked += [self.store.allow(ALICE, [TOKEN], 1.0)]
        envelopes = [envelope() for _ in range(50)]
        deposits = [self.store.deposit(left(one)) for one in envelopes]
        deposits[7].addErrback(lambda failure: None)
        deposits[7].cancel()
        yield gatherResults(asked + deposits)
        mail = yield self.store.fetch(ALICE)
        self.assertEqual(mail.envelopes, tuple(envelopes))

    @inlineCallbacks
    def test_second(self) -> Any:
        """A second registry can't have the same file."""
        yield self.store.publish(ALICE, prekeys())
        refused = self.assertRaises(ConfigurationError, self.boot)
        self.assertIn("another registry has it", str(refused))

    @inlineCallbacks
    def test_one_fails(self) -> Any:
        """Where there is no room for one, the others of its transaction are done all the same."""
        yield self.store.stop()
        self.store = self.boot(64 * 4096)
        asked: list[Any] = [self.store.publish(ALICE, prekeys())]
        asked += [self.store.allow(ALICE, [TOKEN], 1.0)]
        asked += [self.store.deposit(left(envelope(60_000))) for _ in range(4)]
        asked += [self.store.state(ALICE)]
        done = yield gatherResults(asked)
        self.assertIn(MailboxOutcome.FULL, done)
        waiting = sum(one is not MailboxOutcome.FULL for one in done[2:-1])
        self.assertEqual(done[-1], MailboxState(waiting, 50, 1))
        self.assertGreater(waiting, 0)

    @inlineCallbacks
    def test_stop(self) -> Any:
        """What was asked before the end is done before it."""
        yield self.store.publish(ALICE, prekeys())
        asked = self.store.allow(ALICE, [TOKEN], 1.0)
        yield self.store.stop()
        self.assertEqual((yield asked), MailboxState(0, 50, 1))
