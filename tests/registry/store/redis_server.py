"""A real redis-server on the loopback, with a folder of its own; Debian's package has it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from tests.ports import free_port

PROGRAM = shutil.which("redis-server")
NO_REDIS = "" if PROGRAM else "redis-server is not installed (Debian: apt install redis-server)"
START_LIMIT = 10.0  # seconds; a busy machine may take this long


@attrs.define
class RedisServer:
    """
    One server; it keeps nothing on disk unless told to.

    :ivar options: further words of its command line.
    :ivar configuration: what stands in its configuration file; port and interface are ours.
    :ivar environment: variables beside ours.
    """

    options: tuple[str, ...] = ()
    configuration: str = ""
    environment: Mapping[str, str] = attrs.Factory(dict)
    port: int = attrs.Factory(free_port)
    directory: str = attrs.Factory(lambda: tempfile.mkdtemp(prefix="redis-"))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        assert PROGRAM is not None
        file = os.path.join(self.directory, "redis.conf")
        Path(file).write_text(self.configuration)
        words = [file, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *words, *self.options],
                cwd=self.directory,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
            )
        self._await_answer()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Lose what it wrote to its disk, while it is down."""
        for name in os.listdir(self.directory):
            if name.startswith("appendonly"):
                shutil.rmtree(os.path.join(self.directory, name))

    def pause(self) -> None:
        """Stop it where it is."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> str:
        """Return what redis-cli prints for a command."""
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
