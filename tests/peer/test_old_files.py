"""Old files of a profile, and how the database takes them over."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.contacts import Person
from p2pchat.peer.files import replace_file
from p2pchat.peer.kept_invitations import KeptInvitations
from p2pchat.peer.old_files import (
    CONTACTS_FILE,
    INVITATIONS_FILE,
    SETTINGS_FILE,
    import_old_files,
)
from p2pchat.peer.profile import Profile, load_profile, recall, remember
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.schema import MIGRATIONS
from p2pchat.peer.storage.secret_table import SecretBox
from p2pchat.wire.strict_json import JsonObject, dumps
from tests.cases import each
from tests.identity.people import ALICE, BOB, CAROL
from tests.peer.test_kept_invitations import KEPT

PEOPLE = {
    BOB.peer_id: Person("bob", True, is_verified=True, before=(CAROL.peer_id,)),
    CAROL.peer_id: Person("carol", is_blocked=True),
}
FILES: dict[str, JsonObject] = {
    CONTACTS_FILE: {"v": 2, "people": {one: person.to_json() for one, person in PEOPLE.items()}},
    INVITATIONS_FILE: {"v": 1, **KEPT.to_json()},
    SETTINGS_FILE: {"username": "alice", "server": "http://r.example", "newer": [1]},
}
REMEMBERED = Remembered("alice", "http://r.example")


class StopsAt:
    """A connection to a database that stops the program before one of its statements."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self._connection = connection
        self._left = number

    def __getattr__(self, name: str) -> Any:
        def call(*values: object) -> object:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
            return found(*values)

        found = getattr(self._connection, name)
        return call if callable(found) else found


class OldFilesCase(SynchronousTestCase):
    """The state directory of a program that kept files."""

    def setUp(self) -> None:
        self.make()

    def make(self) -> None:
        """Make it anew."""
        self.path = Path(os.path.abspath(self.mktemp()))
        self.path.mkdir(mode=0o700)
        for name, members in FILES.items():
            replace_file(self.path / name, dumps(members))
        self.file = DatabaseFile(self.path / DATABASE_FILE, Synchronous.OFF)

    def load(self) -> Profile:
        """Start the program."""
        directory = StateDirectory.open(str(self.path))
        try:
            return load_profile(directory, Random(1).randbytes, synchronous=Synchronous.OFF)
        finally:
            directory.close()

    def left(self) -> set[str]:
        """Return which of the files are there."""
        return FILES.keys() & set(os.listdir(self.path))

    def assert_all(self, profile: Profile) -> None:
        """Check that everything of the files is there."""
        self.assertEqual(profile.contacts.people(), PEOPLE)
        self.assertEqual(profile.invitations, KEPT)
        self.assertEqual(profile.remembered, REMEMBERED)


class OldFilesTests(OldFilesCase):
    """The first start of this program."""

    def test_taken_over(self) -> None:
        """All of them is in the database, and the files are gone."""
        self.assertEqual(recall(self.path), REMEMBERED)
        (self.path / f"{INVITATIONS_FILE}.new").write_bytes(b"half a file")
        self.assert_all(self.load())
        self.assertEqual(self.left(), set())
        self.assertFalse((self.path / f"{INVITATIONS_FILE}.new").exists())
        self.assertEqual(recall(self.path), REMEMBERED)
        self.assert_all(self.load())

    def test_beside_messages(self) -> None:
        """A database that has only messages, of the version before, takes them too."""
        connection = sqlite3.connect(self.file.path)
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.executescript("PRAGMA application_id = 0x70327063; PRAGMA user_version = 1")
        connection.execute("INSERT INTO conversation (peer) VALUES ('bob')")
        connection.commit()
        connection.close()
        self.file.path.chmod(0o600)
        self.assertEqual(recall(self.path), REMEMBERED)
        self.assert_all(self.load())
        with self.file.opened() as opened:
            self.assertEqual(opened.execute("SELECT peer FROM conversation").fetchall(), [("bob",)])

    def test_newer_setting(self) -> None:
        """A setting that this program doesn't know is taken along."""
        self.load()
        with self.file.opened() as connection:
            rows = connection.execute("SELECT value FROM setting WHERE name = 'newer'")
            self.assertEqual(rows.fetchall(), [("[1]",)])

    def test_one_alone(self) -> None:
        """Files that aren't there are no trouble."""
        for name in (CONTACTS_FILE, INVITATIONS_FILE):
            (self.path / name).unlink()
        profile = self.load()
        self.assertEqual(profile.remembered, REMEMBERED)
        self.assertEqual(profile.invitations, KeptInvitations())

    @each(
        *((CONTACTS_FILE, data) for data in (b"", b"[]", b'{"peers":[]}', b"\xff")),
        *((INVITATIONS_FILE, data) for data in (b"", b'{"v":2}')),
        *((SETTINGS_FILE, data) for data in (b"{", b'{"username": 1}', b'{"server": "x:1"}')),
    )
    def test_damaged(self, name: str, data: bytes) -> None:
        """One that can't be understood is named; nothing is lost, and once mended all is there."""
        path = self.path / name
        path.write_bytes(data)
        error = self.assertRaises(ConfigurationError, self.load)
        self.assertIn(f"{path}: ", str(error))
        self.assertIn("mend it or move it away", str(error))
        self.assertTrue(str(error).isprintable())
        self.assertEqual((self.left(), path.read_bytes()), (set(FILES), data))
        path.write_bytes(dumps(FILES[name]))
        self.assert_all(self.load())

    def test_others_write_it(self) -> None:
        """One that others may write is refused; who reads contacts is the person's business."""
        file = self.path / CONTACTS_FILE
        file.chmod(0o666)
        self.assertIn(f"chmod 600 {file}", str(self.assertRaises(ConfigurationError, self.load)))
        file.chmod(0o644)
        self.assert_all(self.load())

    def test_put_back(self) -> None:
        """A file that appears later adds what isn't there, and changes nothing that is."""
        profile = self.load()
        remember(profile, Remembered("zoe"))
        with self.file.opened() as connection:
            connection.execute("DELETE FROM contact WHERE peer = ?", (CAROL.peer_id,))
            row = dumps(attrs.evolve(PEOPLE[BOB.peer_id], name="robert").to_json()).decode()
            connection.execute("UPDATE contact SET members = ?", (row,))
        for name, members in FILES.items():
            replace_file(self.path / name, dumps(members))
        self.assertEqual(recall(self.path).username, "zoe")
        again = self.load()
        names = {one: person.name for one, person in again.contacts.people().items()}
        self.assertEqual(names, {BOB.peer_id: "robert", CAROL.peer_id: "carol"})
        self.assertEqual(again.remembered.username, "zoe")
        self.assertEqual(self.left(), set())


class KilledTests(OldFilesCase):
    """A program that ends while it takes them over."""

    def test_before_each_statement(self) -> None:
        """Wherever it is stopped, all is in the files, or in the database; the next goes on."""
        number, is_done = 0, False
        while not is_done:
            self.make()
            self.file.prepare()
            box = SecretBox(ALICE, Random(2).randbytes)
            connection = self.file.connect()
            try:
                import_old_files(self.path, StopsAt(connection, number), box)  # type: ignore[arg-type]
                is_done = True
            except KeyboardInterrupt:
                self.assertEqual(self.left(), set(FILES))
            connection.close()
            self.assertEqual(recall(self.path), REMEMBERED)
            profile = self.load()
            self.assertEqual((profile.contacts.people(), profile.remembered), (PEOPLE, REMEMBERED))
            number += 1
        self.assertGreater(number, 5)

    @each(1, 2, 3)
    def test_while_removing(self, count: int) -> None:
        """Files that are left are taken over again, to no effect, and removed."""
        self.load()
        for name in list(FILES)[:count]:
            replace_file(self.path / name, dumps(FILES[name]))
        self.assert_all(self.load())
        self.assertEqual(self.left(), set())

    def test_full(self) -> None:
        """On a full disk nothing is written, and the files stay."""
        self.file.prepare()
        with self.file.opened() as connection:
            connection.execute("PRAGMA max_page_count = 1")
            connection.execute(
                "CREATE TRIGGER t BEFORE INSERT ON contact BEGIN "
                "SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
        reason = str(self.assertRaises(ConfigurationError, self.load))
        self.assertIn("full", reason)
        self.assertEqual(self.left(), set(FILES))
