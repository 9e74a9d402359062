"""Tests of :mod:`p2pchat.tap.command_line`."""

from __future__ import annotations

import io
import sys
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import __version__
from p2pchat.tap import p2ppeer, p2psignal
from p2pchat.tap.command_line import CommandLine

PROGRAMS: tuple[type[CommandLine], ...] = (p2ppeer.Options, p2psignal.Options)


class CommandLineTests(SynchronousTestCase):
    """What holds for the options of each program."""

    def parsed(self, options: CommandLine, *arguments: str) -> SystemExit:
        """Parse under ``twistd``, and return with what that ends."""
        parent: Any = {}
        options.parent = parent
        end: SystemExit = self.assertRaises(SystemExit, options.parseOptions, list(arguments))
        return end

    def test_mistake(self) -> None:
        """A mistake is one sentence, and where the options are listed; no list of them."""
        for program in PROGRAMS:
            for wrong in (["--no-such"], ["--port", "-1"], ["word"]):
                text = str(self.parsed(program(), *wrong).code)
                self.assertTrue(text.startswith(f"{program.program}: "), text)
                self.assertTrue(text.endswith(f"{program.invocation} --help lists the options."))
                self.assertEqual(text.count("\n"), 1)

    def test_mistake_elsewhere(self) -> None:
        """Whoever parses without ``twistd`` gets the error."""
        for program in PROGRAMS:
            self.assertRaises(usage.UsageError, program().parseOptions, ["word"])

    def test_version(self) -> None:
        """The version is p2pchat's."""
        for program in PROGRAMS:
            stdout = io.StringIO()
            self.patch(sys, "stdout", stdout)
            self.assertEqual(self.parsed(program(), "--version").code, 0)
            self.assertEqual(stdout.getvalue(), f"p2pchat {__version__}\n")

    def test_usage(self) -> None:
        """The list of options begins with how the program is started."""
        for program in PROGRAMS:
            self.assertTrue(str(program()).startswith(f"Usage: {program.invocation} [options]\n"))
