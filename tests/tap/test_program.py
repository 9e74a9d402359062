"""Tests of :mod:`p2pchat.tap.program`, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import __version__

PATIENCE = 30  # seconds that a busy machine may need to import everything


def p2pchat(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    home = os.path.abspath("home")
    environment = {**os.environ, "HOME": home, "XDG_STATE_HOME": ""}
    return subprocess.run(
        [sys.executable, "-m", "p2pchat", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class ProgramTests(SynchronousTestCase):
    """What can be seen without a registry."""

    def test_version(self) -> None:
        """Both programs tell the version."""
        for arguments in (["--version"], ["registry", "--version"]):
            done = p2pchat(*arguments)
            self.assertEqual((done.stdout, done.returncode), (f"p2pchat {__version__}\n", 0))

    def test_help(self) -> None:
        """Its own usage lines, and nothing of twistd."""
        for arguments, first in (
            ([], "Usage: p2pchat [options]\n       p2pchat registry [options]\n"),
            (["registry"], "Usage: p2pchat registry [options]\n"),
        ):
            done = p2pchat(*arguments, "--help")
            self.assertTrue(done.stdout.startswith(first), done.stdout)
            self.assertNotIn("twistd", done.stdout)
            self.assertEqual((done.stderr, done.returncode), ("", 0))

    def test_mistake(self) -> None:
        """A mistake is told by the name of the program, on stderr, with status 1."""
        for arguments, sentence in (
            (["--port", "x"], "p2pchat: --port: 'x' is no whole number"),
            (["registry", "--lease", "x"], "p2pchat registry: --lease: 'x' is not a number"),
            (["bob"], "p2pchat: 'bob' is no option; options begin with --"),
        ):
            done = p2pchat(*arguments)
            self.assertEqual((done.stdout, done.returncode), ("", 1))
            self.assertTrue(done.stderr.startswith(f"{sentence}\n"), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 2)
