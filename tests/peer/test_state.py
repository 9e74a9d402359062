"""What a peer keeps between two runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.state import CONTACTS_FILE, State, load_state
from p2pchat.peer.state_directory import IDENTITY_FILE, LOCK_FILE, StateDirectory
from p2pchat.traversal.behaviour import Mapping
from p2pchat.traversal.memory import Means, Memory
from p2pchat.wire.strict_json import JsonObject, dumps
from tests.identity.people import BOB, CAROL

MEMORY = Memory(Means.PROBING, Mapping.ENDPOINT_INDEPENDENT, Mapping.DEPENDENT, 1.8e9)


class StateTests(SynchronousTestCase):
    """A state directory that doesn't exist yet."""

    def setUp(self) -> None:
        self.path = Path(os.path.abspath(self.mktemp())) / "deep" / "state"
        self.random = Random(1)

    def load(self) -> State:
        """Start the program once more, the one before having ended."""
        directory = StateDirectory.open(str(self.path))
        try:
            return load_state(directory, self.random.randbytes)
        finally:
            directory.close()

    def refused(self) -> str:
        """Return the sentence with which the directory is refused."""
        return str(self.assertRaises(ConfigurationError, self.load))

    def mode(self, path: Path) -> int:
        """Return the permissions of a file."""
        return stat.S_IMODE(path.stat().st_mode)

    def test_kept(self) -> None:
        """Identity and contacts are the same in the next run."""
        first = self.load()
        first.add_contact(BOB.peer_id, "bob")
        first.add_contact(CAROL.peer_id, '[[[[[[[[[[[[[[[[[[[[ "\\ 😀')
        second = self.load()
        self.assertEqual(second.identity.peer_id, first.identity.peer_id)
        self.assertEqual(second.contacts, first.contacts)

    def test_reached(self) -> None:
        """How a contact was reached is kept with it; of others nothing is."""
        first = self.load()
        first.remember_path(BOB.peer_id, MEMORY)
        self.assertEqual(first.reached, {})
        first.add_contact(BOB.peer_id, "bob")
        first.remember_path(BOB.peer_id, MEMORY)
        first.add_contact(CAROL.peer_id, "carol")
        self.assertEqual(self.load().reached, {BOB.peer_id: MEMORY})
        self.assertEqual(self.load().contacts, first.contacts)

    def test_damaged_memory(self) -> None:
        """What can't be understood of it is forgotten, and keeps nobody from starting."""
        self.load().add_contact(BOB.peer_id, "bob")
        file = self.path / CONTACTS_FILE
        good = {BOB.peer_id: MEMORY.to_json()}
        cases: tuple[tuple[JsonObject, dict[str, Memory]], ...] = (
            ({}, {}),  # as an older program wrote it
            *[({"reached": bad}, {}) for bad in (None, list[str](), 1, "x")],
            ({"reached": {BOB.peer_id: {}}}, {}),
            ({"reached": {**good, CAROL.peer_id: MEMORY.to_json()}}, {BOB.peer_id: MEMORY}),
            ({"reached": {**good, "x": None}, "newer": 1}, {BOB.peer_id: MEMORY}),
        )
        for damaged, kept in cases:
            file.write_bytes(dumps({"peers": {BOB.peer_id: "bob"}, **damaged}))
            state = self.load()
            self.assertEqual((state.contacts, state.reached), ({BOB.peer_id: "bob"}, kept))

    def test_private(self) -> None:
        """The directory and its files are nobody else's, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.load().add_contact(BOB.peer_id, "bob")
        self.assertEqual(self.mode(self.path), 0o700)
        for name in (IDENTITY_FILE, CONTACTS_FILE):
            self.assertEqual(self.mode(self.path / name), 0o600)

    def test_replaced_whole(self) -> None:
        """Nothing else is left of the files, however often they were written."""
        state = self.load()
        for number in range(5):
            state.add_contact(BOB.peer_id, f"bob {number}")
        self.assertEqual(sorted(os.listdir(self.path)), [CONTACTS_FILE, IDENTITY_FILE, LOCK_FILE])
        self.assertEqual(self.load().contacts, {BOB.peer_id: "bob 4"})

    def test_memory(self) -> None:
        """Without a directory nothing is written, and each run is somebody else."""
        first, second = (load_state(None, self.random.randbytes) for _ in range(2))
        first.add_contact(BOB.peer_id, "bob")
        self.assertNotEqual(first.identity.peer_id, second.identity.peer_id)
        self.assertEqual((first.contacts, second.contacts), ({BOB.peer_id: "bob"}, {}))

    def test_broken_identity(self) -> None:
        """A key that can't be read is named, never replaced."""
        self.load()
        file = self.path / IDENTITY_FILE
        for content in (b"", b"not a key", b"\xff\xfe"):
            file.write_bytes(content)
            self.assertIn(str(file), self.refused())
            self.assertEqual(file.read_bytes(), content)

    def test_broken_contacts(self) -> None:
        """Contacts that can't be read are named, never replaced."""
        self.load()
        file = self.path / CONTACTS_FILE
        for content in (b"", b"[]", b'{"peers":[]}', b"{}", b"\xff", b'{"peers":{}} x'):
            file.write_bytes(content)
            self.assertIn(str(file), self.refused())
            self.assertEqual(file.read_bytes(), content)

    def test_readable_identity(self) -> None:
        """A key that others may read is refused, with the command that mends it."""
        self.load()
        file = self.path / IDENTITY_FILE
        file.chmod(0o640)
        self.assertIn(f"chmod 600 {file}", self.refused())
        file.chmod(0o400)
        self.load()

    def test_writable_contacts(self) -> None:
        """Contacts that others may write are refused; who reads them is the person's business."""
        self.load().add_contact(BOB.peer_id, "bob")
        file = self.path / CONTACTS_FILE
        file.chmod(0o644)
        self.load()
        file.chmod(0o666)
        self.assertIn(f"chmod 600 {file}", self.refused())

    def test_directory_for_file(self) -> None:
        """A directory in the place of a file is named."""
        (self.path / IDENTITY_FILE).mkdir(parents=True)
        self.assertIn(IDENTITY_FILE, self.refused())
