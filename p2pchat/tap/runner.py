"""
Our programs, run as by ``twistd -n``, without its options and its search for plugins.

Log lines, signals and exit status are twistd's own work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
from twisted.application.service import ServiceMaker
from twisted.scripts import twistd

from p2pchat.tap.command.commands import COMMANDS
from p2pchat.tap.places import DEFAULT_PROFILE

PROGRAM = "p2pchat"
REGISTRY = "registry"
# Each module is imported when it is run.
_peer = ServiceMaker("p2pchat peer", "p2pchat.tap.p2ppeer", "", PROGRAM)
_registry = ServiceMaker("p2pchat registry", "p2pchat.tap.p2psignal", "", REGISTRY)


def chat_options() -> Any:
    """Return the command line of ``p2pchat``."""
    options = _peer.options()
    options.program = options.invocation = PROGRAM
    options.default_profile = DEFAULT_PROFILE
    options.usages = (
        f"{PROGRAM} [options]",
        f"{PROGRAM} {REGISTRY} [options]",
        *(f"{PROGRAM} {name} {entry.usage}".rstrip() for name, entry in COMMANDS.items()),
    )
    return options


def registry_options() -> Any:
    """Return the command line of ``p2pchat registry``."""
    options = _registry.options()
    options.program = options.invocation = f"{PROGRAM} {REGISTRY}"
    return options


@attrs.frozen
class _Plugin:
    """
    The plugin that twistd runs.

    :ivar made: called when the service is made, just before the reactor runs.
    """

    tapname: str
    options: Callable[[], Any]
    _maker: Any
    _made: Callable[[], None]

    def makeService(self, options: Any) -> Any:
        service = self._maker.makeService(options)
        self._made()
        return service


class _Twistd(twistd.ServerOptions):  # type: ignore[misc, name-defined]
    """The options of twistd, with one plugin that needn't be found."""

    def __init__(self, plugin: _Plugin) -> None:
        super().__init__()
        self.loadedPlugins = {plugin.tapname: plugin}

    @property
    def subCommands(self) -> Iterator[tuple[str, None, Callable[[], Any], str]]:
        """The one program."""
        for name, plugin in self.loadedPlugins.items():
            yield name, None, plugin.options, ""


def run(arguments: Sequence[str], made: Callable[[], None]) -> None:
    """
    Run the program that a command line names, to its end.

    :param made: called when its service is made, just before the reactor runs.
    """
    if list(arguments[:1]) == [REGISTRY]:
        plugin = _Plugin(REGISTRY, registry_options, _registry, made)
        arguments = arguments[1:]
    else:
        plugin = _Plugin(PROGRAM, chat_options, _peer, made)
    config = _Twistd(plugin)
    own = ("--nodaemon", "--pidfile=", "--originalname")
    config.parseOptions([*own, plugin.tapname, *arguments])
    twistd.runApp(config)
