"""Rows that follow what is in memory."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import StorageFailed
from p2pchat.peer.write_behind import RETRY, WriteBehind

FULL = StorageFailed("the disk is full")


class WriteBehindTests(SynchronousTestCase):
    """A disk that does what the test lets it do."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Have an empty disk."""
        self.clock = Clock()
        self.told: list[events.NodeEvent] = []
        self.disk: dict[str, int] = {}
        self.asked: list[tuple[Mapping[str, int | None], Deferred[None]]] = []
        self.writes = 0
        self.rows = WriteBehind("contacts", self.write, self.clock, self.told.append)

    def write(self, rows: Mapping[str, int | None]) -> Deferred[None]:
        """Take what is to be written."""
        self.writes += 1
        done: Deferred[None] = Deferred()
        self.asked.append((dict(rows), done))
        return done

    def commit(self) -> None:
        """Let the disk do what it was asked first."""
        rows, done = self.asked.pop(0)
        for key, value in rows.items():
            self.disk.pop(key, None)
            if value is not None:
                self.disk[key] = value
        done.callback(None)

    def fail_write(self, error: Exception = FULL) -> None:
        """Let it fail."""
        self.asked.pop(0)[1].errback(error)

    def reasons(self) -> list[str]:
        """Return what was told."""
        return [one.reason for one in self.told if isinstance(one, events.Trouble)]

    def test_written(self) -> None:
        """What is put is written; what comes meanwhile is written together, the latest of it."""
        first = self.rows.put({"a": 1, "b": 1})
        later = [self.rows.put({"a": number, "c": None}) for number in range(2, 100)]
        self.assertNoResult(first)
        self.commit()
        self.assertIsNone(self.successResultOf(first))
        self.assertEqual(self.disk, {"a": 1, "b": 1})
        self.commit()
        for one in later:
            self.assertIsNone(self.successResultOf(one))
        self.assertEqual((self.disk, self.writes), ({"a": 99, "b": 1}, 2))

    def test_nothing(self) -> None:
        """Nothing is no write."""
        self.assertIsNone(self.successResultOf(self.rows.put({})))
        self.assertEqual(self.writes, 0)

    def test_full(self) -> None:
        """What can't be written is told once, and written as it is when there is room."""
        waiting = self.rows.put({"a": 1, "b": 1})
        self.fail_write()
        self.assertIsNone(self.successResultOf(waiting))
        for number in range(2, 9):
            self.successResultOf(self.rows.put({"a": number}))
            self.clock.advance(RETRY)
            self.fail_write()
        self.clock.advance(RETRY)
        self.commit()
        self.assertEqual(self.disk, {"a": 8, "b": 1})
        self.assertEqual(len(self.told), 2)
        self.assertIn("the disk is full", self.reasons()[0])
        self.assertEqual(self.reasons()[1], "contacts are saved again")

    def test_another_reason(self) -> None:
        """Another reason is told, too."""
        self.rows.put({"a": 1})
        self.fail_write()
        self.clock.advance(RETRY)
        self.fail_write(StorageFailed("locked by a backup"))
        self.assertEqual(len(self.told), 2)

    def test_stopped(self) -> None:
        """At the end what waits is tried once more, at once, and nothing after that."""
        self.rows.put({"a": 1})
        self.fail_write()
        self.rows.put({"a": 2})
        self.rows.stop()
        self.fail_write()
        self.assertEqual((self.asked, self.clock.getDelayedCalls(), len(self.told)), ([], [], 1))

    def test_stopped_while_writing(self) -> None:
        """What came while something was being written is asked for before the end, in order."""
        self.rows.put({"a": 1})
        self.rows.put({"a": 2})
        self.rows.stop()
        self.commit()
        self.commit()
        self.assertEqual(self.disk, {"a": 2})

    @given(st.lists(st.sampled_from(["put", "delete", "commit", "fail", "wait"]), max_size=60))
    def test_follows(self, steps: list[str]) -> None:
        """However the disk fails, in the end it has what memory has."""
        self.begin()
        memory: dict[str, int] = {}
        for number, step in enumerate(steps):
            key = "abc"[number % 3]
            if step == "put":
                memory[key] = number
                self.rows.put({key: number})
            elif step == "delete":
                memory.pop(key, None)
                self.rows.put({key: None})
            elif step == "wait":
                self.clock.advance(RETRY)
            elif self.asked:
                (self.commit if step == "commit" else self.fail_write)()
        while self.asked or self.clock.getDelayedCalls():
            if self.asked:
                self.commit()
            else:
                self.clock.advance(RETRY)
        self.assertEqual(self.disk, memory)
