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
    "share": CommandEntry("PORT --as NAME [--with WHO]", "a port of yours, for somebody", "share"),
    "open": CommandEntry("WHO:SERVICE", "a service of somebody, in your browser", "opening"),
    "pipe": CommandEntry(
        "WHO:SERVICE", "stdin and stdout to a service, for ssh and scripts", "pipe"
    ),
    "send": CommandEntry("FILE... WHO", "files and folders to a contact; - is stdin", "sending"),
    "grant": CommandEntry("SERVICE WHO [--for TIME]", "let somebody open a service", "asking"),
    "revoke": CommandEntry("SERVICE WHO", "take that back, and end what is open", "asking"),
    "grants": CommandEntry("", "who may open which service of yours", "asking"),
    "services": CommandEntry("[WHO]", "what you offer, or somebody lets you open", "asking"),
    "why": CommandEntry("WHO", "how somebody is reached, and why not directly", "asking"),
    "join": CommandEntry("", "meet who made an invitation", "asking"),
}


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command; returns its exit status."""
    module = import_module(f"p2pchat.tap.command.{COMMANDS[name].module}")
    return int(module.run(name, arguments))
