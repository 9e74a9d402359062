"""A server for a benchmark: in a process of its own, until the benchmark is done with it."""

from __future__ import annotations

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
END_TIMEOUT = 10.0  # seconds from asking a server to end until it is killed
TWISTD = str(Path(sys.executable).with_name("twistd"))

# Of a process's clock, what its threads have computed; clock_getcpuclockid(3), and the kernel's
# include/linux/posix-timers.h for how it makes a clock's number of a process's.
CPUCLOCK_SCHED = 2

# So that one address may ask as often as it likes.
UNLIMITED = (
    *("--rate=0", "--key-rate=0", "--read-rate=0", "--watch-rate=0", "--unsolicited-rate=0"),
    "--work-from=0",
)


def registry(port: int, *options: str) -> list[str]:
    """Return the command of a registry at this port of the loopback interface."""
    listen = f"--listen=tcp:{port}:backlog=1024:interface=127.0.0.1"
    return [TWISTD, "-n", "--pidfile=", "p2psignal", listen, *options]


def room(connections: int) -> list[str]:
    """Return the options with which one address may have so many connections, or streams."""
    names = ("max-connections", "max-streams")
    return [f"--{name}{whose}={connections}" for name in names for whose in ("", "-per-address")]


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """Return a command that stays on one processor core."""
    return ["taskset", "-c", str(core), *command]


@contextmanager
def serving(command: Sequence[str], port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Run a server until the end; gives its process id once it listens at the port."""
    if _answers(host, port):  # it would be taken for ours, and be asked in its place
        raise SystemExit(f"port {port} is taken: end the server that listens there, or wait for it")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_TIMEOUT
        while not _answers(host, port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{' '.join(command)} doesn't listen")
            time.sleep(0.05)
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:  # it is stuck in what the benchmark did to it
        process.kill()
        process.wait()


def _answers(host: str, port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection((host, port)):
        return True
    return False


def processor_time(pid: int) -> float:
    """Return the seconds that a process has computed, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
