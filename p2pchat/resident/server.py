"""
The socket of a node: who is attached, and who may be.

Serves as long as the lock of the state directory is held: a socket that is found there was left by
a program that was killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorUNIX
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from p2pchat.attach.messages import CONSOLE, JSON
from p2pchat.attach.socket_path import check_place, socket_path
from p2pchat.errors import ConfigurationError
from p2pchat.resident.program import AttachedProgram, WhoServes
from p2pchat.runtime import Runtime

MAX_PROGRAMS = 64  # attached at once; each costs a descriptor, and 4 MiB if it doesn't read
BACKLOG = 64  # connections that wait for us
_MODE = 0o600  # the owner's alone
_FULL = ("full", f"{MAX_PROGRAMS} programs are attached already: end some")

_log = Logger()


class ResidentServer(Factory):
    """The server of one node."""

    noisy = False

    def __init__(self, runtime: Runtime, serves: WhoServes) -> None:
        self._runtime = runtime
        self._serves = serves
        self._programs: list[AttachedProgram] = []
        self._port: IListeningPort | None = None

    def start(self, directory: str, environment: Mapping[str, str]) -> str:
        """
        Serve for the state directory whose lock we hold; returns the path of the socket.

        :raises ConfigurationError: there is no place for a socket; the node does without, then.
        """
        path = socket_path(directory, environment)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.dirname(path), 0o700)
            check_place(path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # whoever left it holds the lock no more
            self._port = self._listen(path)
        except (OSError, CannotListenError) as error:
            reason = getattr(getattr(error, "socketError", error), "strerror", None) or error
            raise ConfigurationError(f"no socket for other programs at {path}: {reason}") from None
        return path

    def _listen(self, path: str) -> IListeningPort:
        before = os.umask(0o177)
        try:
            reactor: IReactorUNIX = self._runtime.reactor
            return reactor.listenUNIX(path, self, backlog=BACKLOG, mode=_MODE)
        finally:
            os.umask(before)

    @property
    def is_attended(self) -> bool:
        """Whether a person, or a program that answers for one, is attached."""
        return any(one.wants and {CONSOLE, JSON} & set(one.wants) for one in self._programs)

    @property
    def wants(self) -> list[tuple[str, ...]]:
        """What each program that is attached wants."""
        return [one.wants for one in self._programs if one.wants]

    def buildProtocol(self, _addr: IAddress | None) -> AttachedProgram:
        """Wait for another program."""
        refusal = _FULL if len(self._programs) >= MAX_PROGRAMS else ("", "")
        made = AttachedProgram(self._runtime.clock, self._serves, refusal, self._gone)
        if not refusal[0]:
            self._programs.append(made)
        return made

    def _gone(self, program: AttachedProgram) -> None:
        if program in self._programs:
            self._programs.remove(program)

    def stop(self) -> Deferred[Any]:
        """Let everybody go; one of them is going to take over."""
        port, self._port = self._port, None
        stopped: Deferred[Any] = maybeDeferred(port.stopListening if port else _nothing)
        for one in list(self._programs):
            one.end()
        return stopped


def _nothing() -> None:
    """Do nothing."""
