"""
The base of the command lines of all our programs, under ``twistd`` and without it.

A mistake is answered with one sentence and the way to the list of options, not with the list.
``--version`` is the version of p2pchat.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar

from twisted.python import usage

from p2pchat import __version__
from p2pchat.errors import ConfigurationError

_Number = TypeVar("_Number", int, float)


class CommandLine(usage.Options):
    """
    The options of one program.

    :cvar program: what its sentences begin with.
    :cvar invocation: how it is started, for the advice after a mistake.
    :cvar usages: its command lines, if there are more than the usual one.
    """

    program: str
    invocation: str
    usages: tuple[str, ...] = ()

    def getSynopsis(self) -> str:
        """Return its command lines."""
        lines = self.usages or (f"{self.invocation} [options]",)
        return "Usage: " + "\n       ".join(lines)

    def parseOptions(self, options: Any = None) -> None:
        """
        Parse and check; under ``twistd``, which would print its own options first, end here.

        :raises usage.UsageError: says what is wrong with the command line.
        :raises ConfigurationError: the same of a file that it names.
        """
        try:
            super().parseOptions(options)
        except (usage.UsageError, ConfigurationError) as error:
            if self.parent is None:
                raise
            is_mistake = isinstance(error, usage.UsageError)
            advice = f"\n{self.invocation} --help lists the options." if is_mistake else ""
            raise SystemExit(f"{self.program}: {error}{advice}") from None

    def number(self, name: str, least: int, most: int, kind: type[_Number]) -> _Number:
        """
        Return the value of an option that is a number within these bounds.

        :raises usage.UsageError: it isn't.
        """
        try:
            value = kind(self[name])
        except ValueError:
            whole = "whole " if kind is int else ""
            raise usage.UsageError(f"--{name}: {self[name]!r} is no {whole}number") from None
        if not least <= value <= most:  # NaN isn't, either
            raise usage.UsageError(f"--{name} must be from {least} to {most}")
        return value

    def parseArgs(self, *arguments: str) -> None:
        """Refuse what is no option."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is no option; options begin with --")

    def opt_version(self) -> None:
        """Show the version and end."""
        sys.stdout.write(f"p2pchat {__version__}\n")
        raise SystemExit(0)
