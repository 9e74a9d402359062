"""Tests of :mod:`p2pchat.tap.places`."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.python import usage
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.tap.places import expanded, profile_directory


class PlacesTests(SynchronousTestCase):
    """A home directory that isn't ours."""

    def setUp(self) -> None:
        self.home = os.path.abspath(self.mktemp())
        self.patch(os, "environ", {"HOME": self.home})

    def test_profiles(self) -> None:
        """Each profile has a directory beside the others, in the place for state."""
        first, second = profile_directory("default"), profile_directory("work.2_a-b")
        self.assertEqual(os.path.dirname(first), os.path.dirname(second))
        self.assertTrue(first.startswith(self.home))
        self.assertTrue(first.endswith("/p2pchat/default"))
        self.patch(os, "environ", {"HOME": self.home, "XDG_STATE_HOME": "/elsewhere"})
        self.assertEqual(profile_directory("x"), "/elsewhere/p2pchat/x")

    def test_homeless(self) -> None:
        """Without a home directory there is a sentence, and no directory called ~."""
        if os.geteuid() != 0:
            raise SkipTest("only root can be somebody whom the system doesn't know")
        code = (
            "import os, platformdirs.unix, pwd\n"
            "from twisted.python import usage\n"
            "from p2pchat.tap.places import profile_directory\n"
            "os.environ.pop('HOME'); os.setuid(54321)\n"
            "try: profile_directory('default')\n"
            "except usage.UsageError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        self.assertIn("no home directory", done.stdout, done.stderr)

    def test_no_names(self) -> None:
        """A name is never a path, and never reads as something else."""
        for name in (
            "",
            " ",
            ".",
            "..",
            "../x",
            "/x",
            "a/b",
            "a\\b",
            "-x",
            ".x",
            "a\n",
            "a\0",
            "é",
        ):
            error = self.assertRaises(usage.UsageError, profile_directory, name)
            self.assertIn("--profile: ", str(error))
            self.assertNotIn("\n", str(error))

    def test_home(self) -> None:
        """A tilde that the shell has left there is the home directory."""
        self.assertEqual(expanded("state", "~/x"), f"{self.home}/x")
        self.assertEqual(expanded("state", "~"), self.home)
        for path in ("x", "/x/~", "./~"):
            self.assertEqual(expanded("state", path), path)

    def test_no_paths(self) -> None:
        """What names nothing is refused."""
        for path in ("", " ", "~nobody-here/x", "a\0b"):
            error = self.assertRaises(usage.UsageError, expanded, "state", path)
            self.assertIn("--state", str(error))
