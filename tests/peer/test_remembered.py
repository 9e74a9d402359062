"""Tests of :mod:`p2pchat.peer.remembered`."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.files import replace_file
from p2pchat.peer.remembered import SETTINGS_FILE, Remembered, recall, remember
from p2pchat.wire.strict_json import loads


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

    def test_unchanged(self) -> None:
        """What is remembered already isn't written again."""
        remember(self.directory, Remembered("alice", "http://r.example"))
        before = self.path.stat()
        self.assertEqual(remember(self.directory, Remembered("alice", "http://r.example")), ())
        self.assertEqual(self.path.stat(), before)

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
