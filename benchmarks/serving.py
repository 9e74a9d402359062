"""A server for a benchmark: in a process of its own, until the benchmark is done with it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
START_TIMEOUT = 20.0  # seconds
TWISTD = str(Path(sys.executable).with_name("twistd"))

# So that one address may ask as often as it likes.
UNLIMITED = ("--rate=0", "--key-rate=0", "--read-rate=0", "--work-from=0")


def registry(port: int, *options: str) -> list[str]:
    """Return the command of a registry at this port of the loopback interface."""
    listen = f"--listen=tcp:{port}:backlog=1024:interface=127.0.0.1"
    return [TWISTD, "-n", "--pidfile=", "p2psignal", listen, *options]


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """Return a command that stays on one processor core."""
    return ["taskset", "-c", str(core), *command]


@contextmanager
def serving(command: Sequence[str], port: int) -> Iterator[int]:
    """Run a server until the end; gives its process id once it listens at the port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_TIMEOUT
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{' '.join(command)} doesn't listen")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def processor_time(pid: int) -> float:
    """Return the seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
