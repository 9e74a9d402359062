"""What a peer keeps between two runs."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from random import Random

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import ConfigurationError
from p2pchat.peer.keeping import Keeping
from p2pchat.peer.kept_invitations import KeptInvitations
from p2pchat.peer.key_files import SEALING_FILE
from p2pchat.peer.profile import Profile, load_profile, recall, remember
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.state_directory import IDENTITY_FILE, LOCK_FILE, StateDirectory
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.peer.storage.schema import SINCE_PROFILES, VERSION
from p2pchat.traversal.nat import Mapping
from p2pchat.traversal.path_hint import PathHint, PathMethod
from tests.cases import each
from tests.identity.people import BOB, CAROL
from tests.peer.storage.fake_connections import ImmediateConnections
from tests.peer.test_kept_invitations import KEPT

MEMORY = PathHint(PathMethod.PORT_PROBING, Mapping.ENDPOINT_INDEPENDENT, Mapping.DEPENDENT, 1.8e9)


class StateTests(SynchronousTestCase):
    """A state directory that doesn't exist yet."""

    def setUp(self) -> None:
        self.path = Path(os.path.abspath(self.mktemp())) / "deep" / "state"
        self.random = Random(1)
        self.told: list[events.NodeEvent] = []

    def load(self) -> Profile:
        """Start the program once more, the one before having ended."""
        directory = StateDirectory.open(str(self.path))
        try:
            profile = load_profile(directory, self.random.randbytes, synchronous=Synchronous.OFF)
        finally:
            directory.close()
        assert profile.file is not None
        connections = ImmediateConnections(profile.file), ImmediateConnections(profile.file)
        for one in connections:
            self.addCleanup(one.close)
        self.database = OpenDatabase(profile.file, *connections, Clock())
        profile.keep_in(self.database, self.random.randbytes)
        Keeping(profile, Clock(), self.told.append)
        return profile

    def change(self, statement: str, *values: object) -> None:
        """Change the database behind the program's back."""
        file = self.load().file
        assert file is not None
        with file.opened() as connection:
            connection.execute(statement, values)

    def refused(self) -> str:
        """Return the sentence with which the directory is refused."""
        return str(self.assertRaises(ConfigurationError, self.load))

    def mode(self, path: Path) -> int:
        """Return the permissions of a file."""
        return stat.S_IMODE(path.stat().st_mode)

    def test_kept(self) -> None:
        """Keys and contacts are the same in the next run."""
        first = self.load()
        first.contacts.keep(BOB.peer_id, "bob")
        first.contacts.keep(CAROL.peer_id, '[[[[[[[[[[[[[[[[[[[[ "\\ 😀')
        second = self.load()
        self.assertEqual(second.identity.peer_id, first.identity.peer_id)
        self.assertEqual(second.sealing_key.record_key, first.sealing_key.record_key)
        self.assertEqual(second.contacts.people(), first.contacts.people())

    def test_private(self) -> None:
        """The directory and its files are nobody else's, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.load().contacts.keep(BOB.peer_id, "bob")
        self.assertEqual(self.mode(self.path), 0o700)
        for name in (IDENTITY_FILE, SEALING_FILE, DATABASE_FILE):
            self.assertEqual(self.mode(self.path / name), 0o600)

    def test_replaced_whole(self) -> None:
        """Nothing else is left of the files, however often they were written."""
        state = self.load()
        for number in range(5):
            state.contacts.mute(BOB.peer_id, "bob", on=number % 2 == 0)
        self.successResultOf(self.database.close())
        files = [IDENTITY_FILE, LOCK_FILE, DATABASE_FILE, SEALING_FILE]
        self.assertEqual(sorted(os.listdir(self.path)), files)
        self.assertTrue(self.load().contacts[BOB.peer_id].is_muted)

    def test_memory(self) -> None:
        """Without a directory nothing is written, and each run is somebody else."""
        first, second = (load_profile(None, self.random.randbytes) for _ in range(2))
        first.contacts.keep(BOB.peer_id, "bob")
        self.assertNotEqual(first.identity.peer_id, second.identity.peer_id)
        self.assertNotEqual(first.sealing_key.record_key, second.sealing_key.record_key)
        names = [one.contacts.names() for one in (first, second)]
        self.assertEqual(names, [{BOB.peer_id: "bob"}, {}])

    def test_broken_identity(self) -> None:
        """A key that can't be read is named, never replaced."""
        self.load()
        good = {name: (self.path / name).read_bytes() for name in (IDENTITY_FILE, SEALING_FILE)}
        for name, other in zip(good, reversed(good), strict=True):
            file = self.path / name
            for content in (b"", b"not a key", b"\xff\xfe", good[other]):
                file.write_bytes(content)
                self.assertIn(str(file), self.refused())
                self.assertEqual(file.read_bytes(), content)
            file.write_bytes(good[name])

    def test_lost_sealing_key(self) -> None:
        """Without its file there is a new one, and the identity is as it was."""
        first = self.load()
        (self.path / SEALING_FILE).unlink()
        second = self.load()
        self.assertEqual(second.identity.peer_id, first.identity.peer_id)
        self.assertNotEqual(second.sealing_key.record_key, first.sealing_key.record_key)

    @each(
        ("contact", BOB.peer_id, "{}"), ("contact", "x", '{"name":""}'), ("setting", "server", "1")
    )
    def test_broken_rows(self, table: str, name: str, value: str) -> None:
        """A contact or a setting that can't be read is named, with the file, and stays."""
        self.change(f"INSERT INTO {table} VALUES (?, ?)", name, value)
        for _ in range(2):
            reason = self.refused()
            self.assertIn(str(self.path / DATABASE_FILE), reason)
            self.assertIn(name, reason)

    def test_readable_keys(self) -> None:
        """A key that others may read is refused, with the command that mends it."""
        self.load()
        for name in (IDENTITY_FILE, SEALING_FILE):
            file = self.path / name
            file.chmod(0o640)
            self.assertIn(f"chmod 600 {file}", self.refused())
            file.chmod(0o400)
            self.load()

    def test_remembered(self) -> None:
        """What was given is known to the next start, before it has locked the directory."""
        self.assertEqual(recall(self.path), Remembered())
        profile = self.load()
        self.assertEqual(recall(self.path), Remembered())
        given = Remembered("alice", "http://r.example", ("http://s.example",))
        self.assertEqual(remember(profile, given), ("username", "server", "servers"))
        self.assertEqual(remember(profile, given), ())
        self.assertEqual((recall(self.path), self.load().remembered), (given, given))
        self.assertEqual(remember(self.load(), Remembered("bob")), ("username",))
        self.assertEqual(recall(self.path).servers, given.servers)

    def test_newer_program(self) -> None:
        """Settings of a newer program stay; a newer database is said to be one."""
        self.change("INSERT INTO setting VALUES ('newer', '[1]')")
        remember(self.load(), Remembered("bob"))
        with DatabaseFile(self.path / DATABASE_FILE).opened() as connection:
            rows = connection.execute("SELECT * FROM setting ORDER BY name").fetchall()
            self.assertEqual(rows, [("newer", "[1]"), ("username", '"bob"')])
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        self.assertIn("newer p2pchat", self.refused())
        error = self.assertRaises(ConfigurationError, recall, self.path)
        self.assertIn("newer p2pchat", str(error))

    def test_older_tables(self) -> None:
        """What is remembered is known before the tables are brought to a newer version, too."""
        remember(self.load(), Remembered("alice"))
        connection = sqlite3.connect(self.path / DATABASE_FILE)
        connection.execute(f"PRAGMA user_version = {SINCE_PROFILES}")
        connection.close()
        self.assertEqual(recall(self.path), Remembered("alice"))

    def test_invitations(self) -> None:
        """Open invitations are kept with their secrets, encrypted, and found again."""
        profile = self.load()
        keeping = Keeping(profile, Clock(), self.told.append)
        self.successResultOf(keeping.save_invitations(KEPT))
        for path in self.path.iterdir():
            self.assertNotIn(b"join/secret", path.read_bytes())
        again = self.load()
        self.assertEqual(again.invitations, KEPT)
        left = attrs.evolve(KEPT, tries=())
        self.successResultOf(Keeping(again, Clock(), self.told.append).save_invitations(left))
        self.assertEqual(self.load().invitations, left)

    def test_other_identity(self) -> None:
        """With a new identity contacts are there; invitations, which are the old one's, aren't."""
        profile = self.load()
        profile.contacts.keep(BOB.peer_id, "bob")
        Keeping(profile, Clock(), self.told.append).save_invitations(KEPT)
        (self.path / IDENTITY_FILE).unlink()
        again = self.load()
        self.assertEqual(again.contacts.names(), {BOB.peer_id: "bob"})
        self.assertEqual(again.invitations, KeptInvitations())

    def test_readable_database(self) -> None:
        """A database that others may read is refused, before anything of it is read."""
        self.load()
        (self.path / DATABASE_FILE).chmod(0o644)
        self.assertIn("chmod 600", self.refused())
        self.assertIn("chmod 600", str(self.assertRaises(ConfigurationError, recall, self.path)))

    def test_directory_for_file(self) -> None:
        """A directory in the place of a file is named."""
        (self.path / IDENTITY_FILE).mkdir(parents=True)
        self.assertIn(IDENTITY_FILE, self.refused())
