"""Programs that start on a disk that is full: a small file system in memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.internet.task import Clock

from p2pchat.errors import ConfigurationError, StorageFailed
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.profile import Profile, load_profile, recall, remember
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.peer.storage.profile_rows import CONTACTS, ProfileRows
from p2pchat.peer.storage.schema import VERSION
from tests.identity.people import BOB, CAROL
from tests.lab.case import LabTestCase
from tests.peer.storage.fake_connections import ImmediateConnections

SIZE = "600k"


class FullDiskTests(LabTestCase):
    """A state directory with a contact, on a disk of its own."""

    def setUp(self) -> None:
        self.path = Path(os.path.abspath(self.mktemp()))
        self.path.mkdir()
        mount = ("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(self.path))
        subprocess.run(mount, check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.path)], check=True)
        profile = self.load()
        remember(profile, Remembered("alice"))
        assert profile.file is not None
        with profile.file.opened() as connection:
            bob = Contacts()
            bob.keep(BOB.peer_id, "bob")
            CONTACTS.write(connection, bob.rows())

    def load(self) -> Profile:
        """Start a program."""
        directory = StateDirectory.open(str(self.path))
        self.addCleanup(directory.close)
        try:
            return load_profile(directory, os.urandom)
        finally:
            directory.close()

    def fill(self) -> None:
        """Leave no room."""
        with open(self.path / "full", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                pass

    def check_start(self) -> None:
        """All can be read; nothing can be written before there is room, and then it goes on."""
        self.assertEqual(recall(self.path), Remembered("alice"))
        profile = self.load()
        assert profile.file is not None
        self.assertTrue(profile.file.is_exclusive)
        self.assertIn(BOB.peer_id, profile.contacts.people())
        self.assertEqual(remember(profile, Remembered("zoe")), ())
        alone = ImmediateConnections(profile.file)
        self.addCleanup(alone.close)
        database = OpenDatabase(profile.file, alone, alone, Clock())
        rows = ProfileRows(database)
        error = self.failureResultOf(rows.put_contacts({CAROL.peer_id: "{}"}), StorageFailed).value
        self.assertIn("the disk is full: make room", str(error))
        self.assertIn(BOB.peer_id, self.successResultOf(database.read(CONTACTS.read)))
        (self.path / "full").unlink()
        self.successResultOf(rows.put_contacts({CAROL.peer_id: "{}"}))
        self.assertIn(CAROL.peer_id, self.successResultOf(database.read(CONTACTS.read)))

    def test_start(self) -> None:
        """A program that ended well is read on a full disk."""
        self.fill()
        self.check_start()

    def test_after_a_kill(self) -> None:
        """So is one that was killed: what its WAL has is part of it."""
        file = self.path / "p2pchat.sqlite3"
        program = (
            "import os, sqlite3, sys\n"
            "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            f"connection.execute(\"INSERT INTO contact VALUES ('{CAROL.peer_id}', "
            f'\'{{\\"name\\": \\"carol\\", \\"contact\\": true}}\')")\n'
            "os._exit(0)\n"
        )
        subprocess.run(("python3", "-c", program, str(file)), check=True)
        self.assertGreater((self.path / "p2pchat.sqlite3-wal").stat().st_size, 0)
        (self.path / "p2pchat.sqlite3-shm").unlink()  # the system, too, was started again
        self.fill()
        self.assertEqual(recall(self.path), Remembered("alice"))
        names = self.load().contacts.names()
        self.assertEqual(names, {BOB.peer_id: "bob", CAROL.peer_id: "carol"})

    def test_tables_to_migrate(self) -> None:
        """A database of an older program is refused with the reason, and stays as it is."""
        profile = self.load()
        assert profile.file is not None
        with profile.file.opened() as connection:
            connection.execute(f"PRAGMA user_version = {VERSION - 1}")
        self.fill()
        error = self.assertRaises(ConfigurationError, self.load)
        self.assertIn("the disk is full: make room", str(error))
