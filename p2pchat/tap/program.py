"""
The program ``p2pchat``, also ``python -m p2pchat``: the peer; ``p2pchat registry``: the registry.

Both run as ``twistd -n`` runs them, signals, log lines and exit status included, but without its
options, its pid file and its look through all plugins.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from twisted.application.service import ServiceMaker
from twisted.scripts import twistd

from p2pchat.tap.places import DEFAULT_PROFILE

PROGRAM = "p2pchat"
REGISTRY = "registry"
# Each module is imported when it is run.
_peer = ServiceMaker("p2pchat peer", "p2pchat.tap.peer", "", PROGRAM)
_registry = ServiceMaker("p2pchat registry", "p2pchat.tap.signal", "", REGISTRY)


def chat_options() -> Any:
    """Return the command line of ``p2pchat``."""
    options = _peer.options()
    options.program = options.invocation = PROGRAM
    options.default_profile = DEFAULT_PROFILE
    options.usages = (f"{PROGRAM} [options]", f"{PROGRAM} {REGISTRY} [options]")
    return options


def registry_options() -> Any:
    """Return the command line of ``p2pchat registry``."""
    options = _registry.options()
    options.program = options.invocation = f"{PROGRAM} {REGISTRY}"
    return options


class _Twistd(twistd.ServerOptions):  # type: ignore[misc, name-defined]
    """What ``twistd`` would make of its command line, with one plugin that needn't be found."""

    def __init__(self, maker: Any, options: Callable[[], Any]) -> None:
        super().__init__()
        self.loadedPlugins = {maker.tapname: maker}
        self._options = options

    @property
    def subCommands(self) -> Iterator[tuple[str, None, Callable[[], Any], str]]:
        """The one program."""
        for name, maker in self.loadedPlugins.items():
            yield name, None, self._options, maker.description


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program that the command line names; it ends with this process."""
    _open_standard_descriptors()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == [REGISTRY]:
            _run(_registry, registry_options, given[1:])
        else:
            _run(_peer, chat_options, given)
    except KeyboardInterrupt:  # before the reactor runs, which then takes the signal itself
        _end_by(signal.SIGINT)


def _run(maker: Any, options: Callable[[], Any], arguments: Sequence[str]) -> None:
    config = _Twistd(maker, options)
    own = ("--nodaemon", "--pidfile=", "--originalname")
    config.parseOptions([*own, maker.tapname, *arguments])
    twistd.runApp(config)


def _open_standard_descriptors() -> None:
    """See that no socket or file of ours takes the number of a closed stdin, stdout or stderr."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)


def _end_by(number: int) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)  # it was blocked
