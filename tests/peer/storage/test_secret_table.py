"""The table of secrets."""

from __future__ import annotations

import os
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from p2pchat.errors import StorageFailed
from p2pchat.identity.keys import Identity
from p2pchat.interfaces import ISecretStore
from p2pchat.peer.storage.open_database import (
    MAX_READS,
    OVERWRITING,
    OVERWRITING_AGAIN,
    OpenDatabase,
)
from p2pchat.peer.storage.secret_table import SecretBox, SecretTable
from tests.identity.people import ALICE, BOB
from tests.peer.secrets_contract import SecretsContract
from tests.peer.storage.cases import DatabaseCase

MINUTE = 60.0  # seconds in which what was deleted is to be gone
EVENTS = ("kill", "close", "minute", "full", "room")
STALE = 24  # bytes in a row, of which one is found: what is left of it


class SecretCase(DatabaseCase):
    """A database with the secrets of Alice."""

    def setUp(self) -> None:
        super().setUp()
        self.random = Random(1)
        self.start()

    def start(self, identity: Identity = ALICE) -> None:
        """Start a program."""
        self.database: OpenDatabase = self.open_database()
        self.table = SecretTable(self.database, SecretBox(identity, self.random.randbytes))

    def secrets(self) -> ISecretStore:
        """Return the table."""
        return self.table

    def all(self, kind: str) -> dict[str, bytes]:
        """Return what there is of a kind."""
        found: Deferred[Any] = self.table.all(kind)
        return dict(self.successResultOf(found))

    def values(self) -> dict[tuple[str, str], bytes]:
        """Return what is in the table, as it is."""
        rows = self.writing.connection.execute("SELECT kind, name, value FROM secret")
        return {(kind, name): value for kind, name, value in rows}

    def on_disk(self) -> bytes:
        """Return every byte of the file and of what is beside it."""
        directory = self.file.path.parent
        return b"".join((directory / name).read_bytes() for name in sorted(os.listdir(directory)))

    def left_of(self, values: list[bytes]) -> int:
        """Return how many of some values have left anything on the disk."""
        data = self.on_disk()
        pieces = (
            [value[at : at + STALE] for at in range(0, len(value) - STALE + 1, STALE)]
            for value in values
        )
        return sum(any(piece in data for piece in found) for found in pieces)


class SecretTableTests(SecretCase, SecretsContract):
    """What every store promises, over restarts."""

    def all(self, kind: str) -> dict[str, bytes]:
        """Return what the next program finds after a ``kill -9``."""
        self.kill()
        self.start()
        return SecretCase.all(self, kind)


class EncryptionTests(SecretCase):
    """What others find in a database."""

    def put(self, kind: str, name: str, value: bytes) -> None:
        """Keep a secret."""
        self.successResultOf(self.table.put(kind, name, value))

    def test_not_in_clear(self) -> None:
        """No secret is in the file in clear, and the same one is never the same there."""
        for name in ("a", "b", "a"):
            self.put("token", name, b"nobody may read this")
        self.assertNotIn(b"nobody", self.on_disk())
        first, second = self.values().values()
        self.assertNotEqual(first[12:], second[12:])

    def test_another_identity(self) -> None:
        """Beside another identity nothing opens, and nothing is lost."""
        self.put("token", "a", b"alice's")
        self.kill()
        self.start(BOB)
        self.assertEqual(self.all("token"), {})
        self.kill()
        self.start(ALICE)
        self.assertEqual(self.all("token"), {"a": b"alice's"})

    def test_bound(self) -> None:
        """A value is none under another name or kind, and a damaged one is left out."""
        self.put("token", "a", b"secret")
        self.put("token", "b", b"another")
        change = self.writing.connection.execute
        for kind, name in (("token", "c"), ("tokena", "")):
            copy = "INSERT INTO secret SELECT ?, ?, value FROM secret WHERE name = 'a'"
            change(copy, (kind, name))
        change("UPDATE secret SET value = CAST(substr(value, 2) AS BLOB) WHERE name = 'b'")
        change("INSERT INTO secret VALUES ('token', 'd', x'00')")
        self.assertEqual((self.all("token"), self.all("tokena")), ({"a": b"secret"}, {}))


class DeletionTests(SecretCase):
    """What was deleted, on the disk."""

    def fill(self, count: int) -> None:
        """Keep so many secrets of different lengths."""
        for number in range(count):
            secret = self.random.randbytes(self.random.choice((32, 60, 1200)))
            self.table.put("token", str(number), secret)

    def test_gone_in_a_minute(self) -> None:
        """A minute later nothing of it is in the file or in the WAL."""
        self.fill(100)
        before = self.values()
        self.successResultOf(self.table.delete("token", [str(one) for one in range(0, 100, 2)]))
        gone = [value for place, value in before.items() if place not in self.values()]
        self.assertEqual((len(gone), self.left_of(gone)), (50, 50))
        self.clock.advance(MINUTE)
        self.assertEqual(self.left_of(gone), 0)
        self.assertEqual(self.left_of(list(self.values().values())), 50)

    def test_replaced(self) -> None:
        """What was replaced is gone, too."""
        self.clock.advance(OVERWRITING)
        self.fill(1)
        gone = list(self.values().values())
        self.fill(1)
        self.clock.advance(MINUTE)
        self.assertEqual(self.left_of(gone), 0)

    def test_moved_before(self) -> None:
        """No copy of it is left where SQLite has moved rows about."""
        gone: list[bytes] = []
        for _ in range(1500):
            name = str(self.random.randrange(200))
            value = self.values().get(("token", name))
            if value is not None and self.random.random() < 0.5:
                gone.append(value)
                self.table.delete("token", [name])
            elif value is None:
                secret = self.random.randbytes(self.random.choice((32, 300)))
                self.table.put("token", name, secret)
        self.clock.advance(MINUTE)
        self.assertGreater(len(gone), 100)
        self.assertEqual(self.left_of(gone), 0)

    def test_killed(self) -> None:
        """Of a program that is killed before, the next one does it."""
        self.fill(10)
        gone = list(self.values().values())
        self.table.delete("token", [str(one) for one in range(10)])
        self.kill()
        self.start()
        self.clock.advance(MINUTE)
        self.assertEqual(self.left_of(gone), 0)

    def test_leaving(self) -> None:
        """A program that leaves does it first."""
        self.fill(10)
        gone = list(self.values().values())
        self.table.delete("token", [str(one) for one in range(9)])
        self.successResultOf(self.database.close())
        self.assertEqual(self.left_of(gone), 1)

    def test_in_the_way(self) -> None:
        """Where somebody reads, or the disk is full, it is tried again."""
        self.fill(10)
        gone = list(self.values().values())
        reader = self.reading.connection
        self.writing.connection.execute("PRAGMA busy_timeout = 0")  # it tries again anyway
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM secret").fetchall()
        self.table.delete("token", [str(one) for one in range(10)])
        self.clock.advance(OVERWRITING)
        self.assertNotEqual(self.left_of(gone), 0)
        reader.execute("COMMIT")
        self.clock.advance(OVERWRITING_AGAIN)
        self.assertEqual(self.left_of(gone), 0)

    def test_not_again(self) -> None:
        """Nothing is written while nothing is deleted."""
        self.clock.advance(MINUTE)
        done = self.writing.done
        self.fill(1)
        self.clock.advance(MINUTE)
        self.assertEqual(self.writing.done, done + 1)


class TroubleTests(SecretCase):
    """What can't be done now."""

    def test_full(self) -> None:
        """On a full disk nothing is kept and what is there can be read; later all goes on."""
        self.successResultOf(self.table.put("token", "a", b"first"))
        self.writing.allow_pages(1)
        for failed in (
            self.table.put("token", "b", bytes(100_000)),
            self.table.put("token", "a", bytes(100_000)),
        ):
            self.failureResultOf(failed, StorageFailed)
        self.assertEqual(self.all("token"), {"a": b"first"})
        self.clock.advance(MINUTE)
        self.writing.allow_pages(0)
        self.successResultOf(self.table.put("token", "b", bytes(100_000)))
        self.assertEqual(set(self.all("token")), {"a", "b"})

    def test_too_many_reads(self) -> None:
        """Reading is bounded, as elsewhere."""
        self.reading.is_held = True
        for _ in range(MAX_READS):
            self.table.all("token")
        self.failureResultOf(self.table.all("token"), StorageFailed)


class RandomTests(SecretCase):
    """Whatever happens."""

    steps = st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from("abc"), st.binary(max_size=3000)),
            st.tuples(st.just("delete"), st.sampled_from("abc"), st.none()),
            st.tuples(st.sampled_from(EVENTS), st.just(""), st.none()),
        ),
        max_size=40,
    )

    @given(steps)
    def test_model(self, steps: list[tuple[str, str, Any]]) -> None:
        """
        Through restarts and full disks there is what was put, and not deleted, last.

        What failed changed nothing, and nothing that was deleted is left a minute later.
        """
        self.kill()
        self.choose_file()
        self.start()
        expected: dict[str, bytes] = {}
        before: set[bytes] = set()
        for what, name, value in [*steps, ("room", "", None), ("minute", "", None)]:
            if what in {"put", "delete"}:
                before |= set(self.values().values())
                self._change(expected, name, value)
            else:
                self._happen(what)
            self.assertEqual(self.all("token"), expected)
        self.assertEqual(self.left_of(list(before - set(self.values().values()))), 0)

    def _change(self, expected: dict[str, bytes], name: str, value: bytes | None) -> None:
        def changed(_: object) -> None:
            expected.pop(name, None)
            if value is not None:
                expected[name] = value

        if value is None:
            done: Deferred[Any] = self.table.delete("token", [name])
        else:
            done = self.table.put("token", name, value)
        done.addCallback(changed).addErrback(lambda failure: failure.trap(StorageFailed))
        self.successResultOf(done)

    def _happen(self, what: str) -> None:
        match what:
            case "kill":
                self.kill()
                self.start()
            case "close":
                self.successResultOf(self.database.close())
                self.start()
            case "minute":
                self.clock.advance(MINUTE)
            case "full":
                self.writing.allow_pages(1)
            case "room":
                self.writing.allow_pages(0)
