"""
The commands: what each is called, what it is for, and the module that runs it.

A module has ``run(arguments) -> int``, which returns the exit status; it is imported when its
command is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple


class CommandEntry(NamedTuple):
    """One command, for the list of them."""

    usage: str
    meaning: str
    module: str


COMMANDS = {
    "pipe": CommandEntry(
        "WHO:SERVICE", "stdin and stdout to a service, for ssh and scripts", "pipe"
    ),
}


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command; returns its exit status."""
    module = import_module(f"p2pchat.tap.command.{COMMANDS[name].module}")
    return int(module.run(name, arguments))
