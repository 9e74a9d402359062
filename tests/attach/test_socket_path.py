"""Tests of :mod:`p2pchat.attach.socket_path`."""

from __future__ import annotations

import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.attach.socket_path import MAX_PATH, check_place, socket_path
from p2pchat.errors import ConfigurationError

LONG = "/x" + "y" * MAX_PATH
RUNTIME = {"XDG_RUNTIME_DIR": "/run/user/1000"}


class PathTests(SynchronousTestCase):
    """Where the socket of a directory is."""

    def test_usual(self) -> None:
        """It stands in the directory, by whatever link that is named."""
        directory = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        os.mkdir(f"{directory}/real")
        os.symlink("real", f"{directory}/link")
        found = {socket_path(f"{directory}/{name}", {}) for name in ("real", "link")}
        self.assertEqual(found, {f"{directory}/real/node.sock"})

    def test_long(self) -> None:
        """Where that is too long it stands in the user's runtime directory, one for each."""
        found = {socket_path(LONG + end, RUNTIME) for end in ("a", "b")}
        self.assertEqual(len(found), 2)
        for path in found:
            self.assertTrue(path.startswith("/run/user/1000/p2pchat/"), path)
            self.assertLessEqual(len(path), MAX_PATH)

    def test_no_place(self) -> None:
        """Without one, or where that is too long as well, there is a sentence."""
        for runtime in ("", "relative", LONG):
            error = self.assertRaises(
                ConfigurationError, socket_path, LONG, {"XDG_RUNTIME_DIR": runtime}
            )
            self.assertIn("shorter path", str(error))


class PlaceTests(SynchronousTestCase):
    """What the directory of a socket must be."""

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o700)
        self.path = os.path.join(self.directory, "node.sock")

    def test_ours(self) -> None:
        """One that is ours alone will do."""
        check_place(self.path)
        self.assertRaises(OSError, check_place, f"{self.directory}/nowhere/node.sock")

    def test_others_write(self) -> None:
        """Others could put another socket there."""
        os.chmod(self.directory, 0o770)
        self.assertRaises(ConfigurationError, check_place, self.path)

    def test_somebody_else(self) -> None:
        """It belongs to another user, or is a link that another could have made."""
        self.patch(os, "geteuid", lambda: 12345)
        self.assertRaises(ConfigurationError, check_place, self.path)

    def test_link(self) -> None:
        """A link instead of a directory is refused."""
        os.symlink(self.directory, f"{self.directory}.link")
        self.assertRaises(ConfigurationError, check_place, f"{self.directory}.link/node.sock")
