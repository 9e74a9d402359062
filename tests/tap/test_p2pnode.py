"""Tests of :mod:`p2pchat.tap.p2pnode`."""

from __future__ import annotations

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.p2pnode import Options
from p2pchat.tap.places import DEFAULT_PROFILE, profile_directory


class OptionsTests(SynchronousTestCase):
    """The command line of a node that nobody looks at."""

    def parsed(self, *arguments: str) -> Options:
        """Return the options of a command line."""
        options = Options()
        options.parseOptions(["--username", "alice", *arguments])
        return options

    def test_directory(self) -> None:
        """It has one always: that of the usual profile, or the one that is named."""
        self.assertEqual(self.parsed()["state"], profile_directory(DEFAULT_PROFILE))
        self.assertEqual(self.parsed("--state", "/x")["state"], "/x")

    def test_nobody_there(self) -> None:
        """Nothing that needs a person or stdio is an option."""
        for option in ("--json", "--connect=bob", "--ephemeral", "--nat-type", "--join"):
            self.assertRaises(usage.UsageError, self.parsed, option)
