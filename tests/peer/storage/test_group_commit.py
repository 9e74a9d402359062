"""The writer: one transaction for all that waits, and what a full disk does."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage.connections import IConnections
from p2pchat.peer.storage.group_commit import MAX_GROUP, GroupCommit
from tests.peer.storage.cases import DatabaseCase
from tests.peer.storage.fake_connections import ImmediateConnections


def error(code: int) -> sqlite3.OperationalError:
    """Return an error of SQLite."""
    made = sqlite3.OperationalError("as SQLite says it")
    made.sqlite_errorcode = code
    return made


class WriterCase(DatabaseCase):
    """A writer of single texts into a table; a text of BAD is refused by the table."""

    BAD = ""

    def setUp(self) -> None:
        super().setUp()
        self.file.prepare()
        self.connections = ImmediateConnections(self.file)
        self.addCleanup(self.connections.close)
        self.connection = self.connections.connection
        self.connection.execute("CREATE TABLE word (text CHECK (text <> ''))")
        self.writer: GroupCommit[str] = GroupCommit(self.file, self.connections, self.execute)

    def execute(self, connection: sqlite3.Connection, writes: Sequence[str]) -> list[int]:
        """Write the texts."""
        for text in writes:
            connection.execute("INSERT INTO word VALUES (?)", (text,))
        return [len(text) for text in writes]

    def stored(self) -> list[str]:
        """Return what another program would find."""
        connection = self.file.connect()
        try:
            return [text for (text,) in connection.execute("SELECT text FROM word ORDER BY rowid")]
        finally:
            connection.close()

    def fill_disk(self) -> None:
        """Let no page be added."""
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        self.connections.allow_pages(pages)


class GroupTests(WriterCase):
    """What waits is written together."""

    def test_fake(self) -> None:
        """The connections of these tests are such."""
        verifyObject(IConnections, self.connections)

    def test_one(self) -> None:
        """A write alone begins at once; its Deferred fires with its result when it is committed."""
        self.assertEqual(self.successResultOf(self.writer.put("four")), 4)
        self.assertEqual(self.stored(), ["four"])

    def test_group(self) -> None:
        """Whatever comes during a transaction shares the next one, in order."""
        self.connections.is_held = True
        written = [self.writer.put(f"{number}") for number in range(100)]
        self.connections.do_one()
        self.successResultOf(written[0])
        self.assertEqual(self.stored(), ["0"])
        self.assertNoResult(written[1])
        self.connections.do_one()
        for one in written[1:]:
            self.successResultOf(one)
        self.assertEqual(self.stored(), [f"{number}" for number in range(100)])
        self.assertEqual((self.connections.done, self.connections.waiting), (2, 0))

    def test_alone(self) -> None:
        """What takes long has a transaction of its own; the order stays."""
        self.connections.is_held = True
        written = [self.writer.put(text, text in {"b", "c"}) for text in "xabcde"]
        for count in (1, 2, 3, 4, 6):
            self.connections.do_one()
            self.assertEqual("".join(self.stored()), "xabcde"[:count])
        self.assertEqual([self.successResultOf(one) for one in written], [1] * 6)

    def test_bound(self) -> None:
        """A transaction has at most so many writes."""
        self.connections.is_held = True
        written = [self.writer.put("x") for _ in range(MAX_GROUP + 2)]
        self.connections.do_one()
        self.connections.do_one()
        self.successResultOf(written[-2])
        self.assertNoResult(written[-1])

    def test_put_when_written(self) -> None:
        """Whoever is told may write again."""
        written: list[Deferred[int]] = []
        first = self.writer.put("first")
        first.addCallback(lambda _: written.append(self.writer.put("second")))
        self.successResultOf(written[0])
        self.assertEqual(self.stored(), ["first", "second"])

    def test_fault(self) -> None:
        """One that can't be done fails alone, and what shared its transaction is done."""
        self.connections.is_held = True
        written = [self.writer.put(text) for text in ("a", "b", self.BAD, "c")]
        while self.connections.waiting:
            self.connections.do_one()
        self.failureResultOf(written[2], StorageFailed)
        self.assertEqual(self.stored(), ["a", "b", "c"])
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.IntegrityError)), 1)
        self.successResultOf(written[3])


class TroubleTests(WriterCase):
    """A disk without room, a locked file, a damaged one."""

    def test_full(self) -> None:
        """On a full disk nothing is stored, and it is said; it is once there is room."""
        self.fill_disk()
        written = [self.writer.put("x" * 5000), self.writer.put("y" * 5000)]
        for one in written:
            reason = self.failureResultOf(one, StorageFailed).getErrorMessage()
            self.assertIn("the disk is full: make room", reason)
        self.assertEqual(self.stored(), [])
        self.connections.allow_pages(0)
        self.successResultOf(self.writer.put("z" * 5000))
        self.assertEqual(self.stored(), ["z" * 5000])

    def test_reading_goes_on(self) -> None:
        """What was stored before can be read on a full disk."""
        self.successResultOf(self.writer.put("before"))
        self.fill_disk()
        self.failureResultOf(self.writer.put("x" * 5000), StorageFailed)
        self.assertEqual(self.stored(), ["before"])

    def test_damaged(self) -> None:
        """A damaged file takes nothing any more, and what waits isn't stored."""
        self.connections.is_held = True
        written = [self.writer.put("a"), self.writer.put("b")]
        self.connections.fails_with = error(sqlite3.SQLITE_CORRUPT)
        self.connections.do_one()
        self.connections.fails_with = None
        for one in (*written, self.writer.put("c")):
            self.assertIn("damaged", str(self.failureResultOf(one, StorageFailed).value))
        self.assertEqual(self.connections.waiting, 0)


class CloseTests(WriterCase):
    """The end: what can be written is."""

    def test_idle(self) -> None:
        """Where nothing waits it is closed at once; after that nothing is taken."""
        self.successResultOf(self.writer.close())
        self.failureResultOf(self.writer.put("late"), StorageFailed)

    def test_waiting(self) -> None:
        """What waits is written first."""
        self.connections.is_held = True
        written = [self.writer.put("a"), self.writer.put("b")]
        closed = self.writer.close()
        self.connections.do_one()
        self.assertNoResult(closed)
        self.connections.do_one()
        self.successResultOf(closed)
        self.successResultOf(written[1])
        self.assertEqual(self.stored(), ["a", "b"])

    def test_full_to_the_end(self) -> None:
        """A full disk holds up nobody who leaves; what isn't stored is said to be so."""
        self.fill_disk()
        self.connections.is_held = True
        written = self.writer.put("x" * 5000)
        closed = self.writer.close()
        self.connections.do_one()
        self.failureResultOf(written, StorageFailed)
        self.successResultOf(closed)
