"""
Child processes: programs that run beside ours and have nothing of it.

A child is the first of a session of its own, so that it has no terminal that it could write to, and
what it starts ends with it.  It inherits no descriptor: its stdin is a pipe with what we give it,
its stdout and stderr lead nowhere.  Whatever is left of its process group when it ends is killed.

Twisted makes no sessions: a small Python program does, and becomes the child.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from errno import ENOENT
from typing import Any, cast

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.interfaces import IChildProcess, IProcessStarter

_STATUS = "ended with status"
NOT_STARTED = 127  # the exit status for that, as in shells
# Python ignores two signals, which would be inherited.
_LAUNCHER = f"""
import os, signal, sys
os.setsid()
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
try:
    os.execv(sys.argv[1], sys.argv[2:])
except OSError:
    os._exit({NOT_STARTED})
"""


@implementer(IChildProcess)
class ChildProcess(ProcessProtocol):
    """
    A child.

    :param text: for its stdin.
    :param ended: called with how it has ended, "" for a success.
    """

    def __init__(self, text: bytes, ended: Callable[[str], None]) -> None:
        self._text = text
        self._ended = ended
        self._pid: int | None = None  # of what isn't reaped yet, so that it is nobody else's

    def connectionMade(self) -> None:
        """Give it its text."""
        process = cast(Any, self.transport)
        self._pid = process.pid
        process.writeToChild(0, self._text)
        process.closeStdin()

    def terminate(self) -> None:
        """Ask the whole group to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group."""
        self._signal(signal.SIGKILL)

    def processExited(self, reason: Failure) -> None:
        """End what it left behind, and tell how it went."""
        pid, self._pid = self._pid, None
        if pid is not None:
            with contextlib.suppress(OSError):  # nothing is left, or it isn't ours
                os.killpg(pid, signal.SIGKILL)
        # Somebody who made a session of his own may hold the other end, and never read it.
        stdin = cast(Any, self.transport).pipes.get(0)
        if stdin is not None:
            stdin.stopWriting()
            stdin.connectionLost(Failure(ConnectionDone()))
        self._ended(_how(cast(Any, reason.value)))

    def _signal(self, number: int) -> None:
        if self._pid is None:
            return
        with contextlib.suppress(PermissionError):  # it may run as somebody else by now
            try:
                os.killpg(self._pid, number)
            except ProcessLookupError:  # it has no session yet
                os.kill(self._pid, number)


def _how(reason: Any) -> str:
    if reason.signal is not None:
        return f"was ended by signal {reason.signal}"
    if reason.exitCode == NOT_STARTED:
        return f"{_STATUS} {reason.exitCode}, as what can't be started: is what it names all there?"
    return f"{_STATUS} {reason.exitCode}" if reason.exitCode else ""


@implementer(IProcessStarter)
@attrs.frozen
class ProcessStarter:
    """The starter of children on a real reactor."""

    _reactor: Any

    def start(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        text: bytes,
        ended: Callable[[str], None],
    ) -> IChildProcess:
        """Start a child."""
        path = shutil.which(arguments[0])
        if path is None:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), arguments[0])
        child = ChildProcess(text, ended)
        # In bytes, for a name may have characters that the system's encoding hasn't.
        ours = {name.encode(): value.encode() for name, value in variables.items()}
        python = [sys.executable, "-I", "-S", "-c", _LAUNCHER, os.path.abspath(path)]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            self._reactor.spawnProcess(
                child,
                sys.executable,
                [os.fsencode(one) for one in (*python, *arguments)],
                {**os.environb, **ours},
                childFDs={0: "w", 1: nowhere, 2: nowhere},
            )
        finally:
            os.close(nowhere)
        return child
