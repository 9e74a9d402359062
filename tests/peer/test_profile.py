"""What a peer keeps between two runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.files import replace_file
from p2pchat.peer.key_files import SEALING_FILE
from p2pchat.peer.profile import (
    CONTACTS_FILE,
    SETTINGS_FILE,
    Profile,
    Remembered,
    load_profile,
    recall,
    remember,
    remember_registry,
)
from p2pchat.peer.state_directory import IDENTITY_FILE, LOCK_FILE, StateDirectory
from p2pchat.traversal.nat import Mapping
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.wire.strict_json import loads
from tests.identity.people import BOB, CAROL

MEMORY = PathHint(PathMethod.PORT_PROBING, Mapping.ENDPOINT_INDEPENDENT, Mapping.DEPENDENT, 1.8e9)


class StateTests(SynchronousTestCase):
    """A state directory that doesn't exist yet."""

    def setUp(self) -> None:
        self.path = Path(os.path.abspath(self.mktemp())) / "deep" / "state"
        self.random = Random(1)

    def load(self) -> Profile:
        """Start the program once more, the one before having ended."""
        directory = StateDirectory.open(str(self.path))
        try:
            return load_profile(directory, self.random.randbytes)
        finally:
            directory.close()

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
        for name in (IDENTITY_FILE, SEALING_FILE, CONTACTS_FILE):
            self.assertEqual(self.mode(self.path / name), 0o600)

    def test_replaced_whole(self) -> None:
        """Nothing else is left of the files, however often they were written."""
        state = self.load()
        for number in range(5):
            state.contacts.mute(BOB.peer_id, "bob", on=number % 2 == 0)
        files = [CONTACTS_FILE, IDENTITY_FILE, LOCK_FILE, SEALING_FILE]
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

    def test_broken_contacts(self) -> None:
        """Contacts that can't be read are named, never replaced."""
        self.load()
        file = self.path / CONTACTS_FILE
        for content in (b"", b"[]", b'{"peers":[]}', b"{}", b"\xff", b'{"peers":{}} x'):
            file.write_bytes(content)
            self.assertIn(str(file), self.refused())
            self.assertEqual(file.read_bytes(), content)

    def test_readable_keys(self) -> None:
        """A key that others may read is refused, with the command that mends it."""
        self.load()
        for name in (IDENTITY_FILE, SEALING_FILE):
            file = self.path / name
            file.chmod(0o640)
            self.assertIn(f"chmod 600 {file}", self.refused())
            file.chmod(0o400)
            self.load()

    def test_writable_contacts(self) -> None:
        """Contacts that others may write are refused; who reads them is the person's business."""
        self.load().contacts.keep(BOB.peer_id, "bob")
        file = self.path / CONTACTS_FILE
        file.chmod(0o644)
        self.load()
        file.chmod(0o666)
        self.assertIn(f"chmod 600 {file}", self.refused())

    def test_directory_for_file(self) -> None:
        """A directory in the place of a file is named."""
        (self.path / IDENTITY_FILE).mkdir(parents=True)
        self.assertIn(IDENTITY_FILE, self.refused())


class RememberedTests(SynchronousTestCase):
    """An empty state directory."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / SETTINGS_FILE

    def test_nothing(self) -> None:
        """Before the first start, and where there is no directory, nothing is remembered."""
        self.assertEqual(recall(self.directory), Remembered())
        self.assertEqual(recall(self.directory / "none"), Remembered())

    def test_remembered(self) -> None:
        """What was given is there the next time; what wasn't given stays."""
        changed = remember(self.directory, Remembered("alice", ""))
        self.assertEqual(changed, ("username",))
        self.assertEqual(recall(self.directory), Remembered("alice", ""))
        changed = remember(self.directory, Remembered("alice", "http://r.example"))
        self.assertEqual(changed, ("server",))
        remember(self.directory, Remembered("carol", ""))
        self.assertEqual(recall(self.directory), Remembered("carol", "http://r.example"))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_registries(self) -> None:
        """The first registry of an invitation is the usual one; beside it are four at most."""
        for number in range(8):
            remember_registry(self.directory, f"http://r{number}.example")
        known = recall(self.directory)
        self.assertEqual(known.server, "http://r0.example")
        self.assertEqual(
            known.servers, tuple(f"http://r{number}.example" for number in range(4, 8))
        )
        remember_registry(self.directory, "http://r0.example")
        remember_registry(self.directory, "http://r7.example")
        self.assertEqual(recall(self.directory), known)
        remember(self.directory, Remembered("alice"))
        self.assertEqual(recall(self.directory).servers, known.servers)
        changed = remember(self.directory, Remembered("alice", "http://r0.example"))
        self.assertEqual((changed, recall(self.directory).servers), (("servers",), ()))

    def test_unchanged(self) -> None:
        """What is remembered already isn't written again."""
        remember(self.directory, Remembered("alice", "http://r.example"))
        before = self.path.stat()
        self.assertEqual(remember(self.directory, Remembered("alice", "http://r.example")), ())
        after = self.path.stat()  # reading it may have changed the time of access
        self.assertEqual((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns))

    def test_newer(self) -> None:
        """Members of a newer program stay."""
        replace_file(self.path, b'{"newer": [1], "username": "alice"}')
        remember(self.directory, Remembered("bob", ""))
        self.assertEqual(loads(self.path.read_bytes()), {"newer": [1], "username": "bob"})

    def test_broken(self) -> None:
        """A file that a person has broken is named, and never replaced."""
        for content in (
            *(b"", b"[]", b"{", b'{"username": 1}', b'{"server": "r.example:8000"}'),
            *(b'{"username": " "}', b'{"username": "\\u001b[2J"}', b'{"server": ["x"]}'),
        ):
            replace_file(self.path, content)
            error = self.assertRaises(ConfigurationError, recall, self.directory)
            self.assertIn(str(self.path), str(error))
            self.assertTrue(str(error).isprintable())
        self.path.chmod(0o666)
        for call in (recall, lambda path: remember(path, Remembered("x"))):
            self.assertIn("chmod", str(self.assertRaises(ConfigurationError, call, self.directory)))
