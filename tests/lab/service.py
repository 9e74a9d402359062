"""
A process on a host of the lab, with a folder of its own to work and to log in.

Owns both: `kill` ends the process, `close` removes the folder too. Whoever is a service says how
it starts, and may start it again after a `kill`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs


class Machine(Protocol):
    """Where a process can be started: a host of the lab, or this very machine."""

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program there."""


@attrs.define(eq=False)
class Service:
    """
    See the module.

    :ivar host: where it runs.
    :ivar directory: its folder.
    """

    host: Machine
    directory: str = attrs.field(init=False)
    _process: subprocess.Popen[Any] | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-")

    @property
    def was_started(self) -> bool:
        """Whether there was a process yet."""
        return self._process is not None

    @property
    def process(self) -> subprocess.Popen[Any]:
        """The process, once it was started."""
        assert self._process is not None, "not started"
        return self._process

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start the process, its folder the current one; options are those of `Popen`."""
        self._process = self.host.popen(argv, cwd=self.directory, **options)
        return self._process

    def pause(self) -> None:
        """Stop it where it is, as a laptop that sleeps; its clock runs on, unlike some laptops'."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it for good."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def log_file(self) -> str:
        """Where it logs, if it does."""
        return os.path.join(self.directory, "log")

    def log(self) -> str:
        """Return all that it has logged."""
        path = Path(self.log_file)
        return path.read_text() if path.exists() else ""

    def log_tail(self) -> str:
        """Return the end of what it has logged."""
        return "\n".join(self.log().splitlines()[-30:])
