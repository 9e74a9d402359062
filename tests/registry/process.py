"""The registry as a person starts it: a process of its own on loopback."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import attrs

PATIENCE = 30.0  # seconds until a process that should be doing something is killed
TWISTD = "from twisted.scripts.twistd import run; run()"
_LISTENS = re.compile(r"listens on \S+ port (\d+)")


@attrs.define
class RegistryProcess:
    """
    One that runs.

    :ivar port: where it listens.
    :ivar said: the lines that it wrote until then.
    """

    process: subprocess.Popen[str]
    port: int
    said: list[str]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, path: str) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask it to stop, as a service manager does."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return its exit status."""
        return self.process.wait(PATIENCE)


@contextmanager
def running_registry(
    *options: str,
    listen: str = "tcp:0:interface=127.0.0.1",
    twistd: tuple[str, ...] = (),
    patience: float = PATIENCE,
) -> Iterator[RegistryProcess]:
    """
    Run a registry in a directory of its own; kill it at the end if it still runs.

    :param twistd: options that stand before the command.
    :param patience: seconds after which it is killed.
    """
    directory = tempfile.mkdtemp(prefix="p2pchat-registry-")
    command = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", *twistd, "p2psignal", "--stun=0"]
    process = subprocess.Popen(
        [*command, "--listen", listen, *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = Timer(patience, process.kill)
    deadline.start()
    try:
        yield _started(process)
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()
        shutil.rmtree(Path(directory), ignore_errors=True)


def _started(process: subprocess.Popen[str]) -> RegistryProcess:
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        found = _LISTENS.search(line)
        if found is not None:
            return RegistryProcess(process, int(found[1]), said)
    raise AssertionError("the registry didn't start:\n" + "".join(said))
