"""
The real programs of a benchmark: peers on ``--json``, and a console on a terminal of its own.

Whatever a program writes is read as it comes, by a thread for each, unless it is to be deaf; all of
them are killed when their block is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

import attrs

from benchmarks.serving import TWISTD

Told = dict[str, Any]  # an object of --json, as docs/json.rst has them

PATIENCE = 30.0  # seconds for a program to start, to register, to be connected
POLL = 0.01  # seconds between looks at what was told
LONG = 4096  # bytes of a line that is counted, and not kept
MOST_BYTES = 1 << 20  # read at a time
_NAME = re.compile(rb'\{"event": ?"(\w+)"')


def peer_command(name: str, server: str, *options: str) -> list[str]:
    """Return the command of a peer without a state directory, unless an option names one."""
    start = [TWISTD, "-n", "--pidfile=", "p2ppeer", f"--username={name}", f"--server={server}"]
    return [*start, *options]


def surroundings(home: Path) -> dict[str, str]:
    """Return the environment of a program that finds this checkout, and nothing of the person's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    found = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, path))}
    return {"LANG": "C.UTF-8", **kept, **found}


@attrs.define(eq=False)
class Output:
    """
    What a descriptor gives, read by a thread of its own.

    :ivar taken: bytes so far.
    :ivar hears: cleared, nothing more is read.
    """

    descriptor: int
    received: Callable[[bytes], None]
    taken: int = 0
    hears: Event = attrs.Factory(Event)

    def start(self) -> None:
        """Begin to read."""
        self.hears.set()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):  # a terminal whose program has ended
            while data := os.read(self.descriptor, MOST_BYTES):
                self.taken += len(data)
                self.received(data)
                self.hears.wait()


@attrs.define(eq=False)
class Peer:
    """
    A peer that speaks JSON.

    :ivar name: what it calls itself.
    :ivar told: its events in their order, without long ones.
    :ivar counts: how many there were of each name, long ones too.
    :ivar peer_id: "" until it is registered.
    """

    name: str
    process: subprocess.Popen[bytes]
    output: Output = attrs.field(init=False)
    told: list[Told] = attrs.Factory(list)
    counts: Counter[str] = attrs.field(factory=Counter)
    peer_id: str = ""
    _parts: list[bytes] = attrs.Factory(list)
    _changed: Condition = attrs.Factory(Condition)

    def __attrs_post_init__(self) -> None:
        assert self.process.stdout is not None
        self.output = Output(self.process.stdout.fileno(), self._received)
        self.output.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def _received(self, data: bytes) -> None:
        first, *rest = data.split(b"\n")
        self._parts.append(first)
        for part in rest:
            self._line(b"".join(self._parts))
            self._parts = [part]

    def _line(self, line: bytes) -> None:
        found = _NAME.match(line)
        with self._changed:
            if len(line) <= LONG and line.startswith(b"{"):
                self.told.append(json.loads(line))
            if found is not None:
                self.counts[found[1].decode()] += 1
            self._changed.notify_all()

    def write(self, members: Told) -> None:
        """Write an object."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(members).encode() + b"\n")
        self.process.stdin.flush()

    def command(self, line: str) -> None:
        """Give a command."""
        self.write({"command": line})

    def say(self, text: str, peer_id: str) -> None:
        """Say a line to somebody."""
        self.write({"text": text, "to": peer_id})

    def find(self, names: Sequence[str], since: int = 0, **members: object) -> Told | None:
        """Return the first event since a place in ``told`` that has a name and these members."""
        for event in self.told[since:]:
            wanted = all(event.get(name) == value for name, value in members.items())
            if event["event"] in names and wanted:
                return event
        return None

    def expect(
        self, *names: str, since: int = 0, patience: float = PATIENCE, **members: object
    ) -> Told:
        """Wait for such an event; the benchmark ends where it doesn't come."""
        until = time.monotonic() + patience
        while time.monotonic() < until and self.process.poll() is None:
            with self._changed:
                found = self.find(names, since, **members)
                if found is not None:
                    return found
                self._changed.wait(POLL)
        ended = "" if self.process.poll() is None else " and it has ended"
        raise SystemExit(f"{self.name} doesn't tell of {' or '.join(names)}{ended}")

    def await_count(self, name: str, count: int, patience: float) -> int:
        """Wait until there were so many events of a name, but no longer; return how many."""
        until = time.monotonic() + patience
        with self._changed:
            while self.counts[name] < count and time.monotonic() < until:
                self._changed.wait(POLL)
            return self.counts[name]

    def registered(self) -> None:
        """Wait until it is registered, so that its id is known."""
        self.peer_id = self.expect("registered")["peer_id"]

    def leave(self) -> None:
        """Let it say goodbye, and wait until it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)


@attrs.define(eq=False)
class Console:
    """
    A peer on a terminal.

    :ivar terminal: our end of it.
    :ivar bells: how often it rang.
    """

    process: subprocess.Popen[bytes]
    terminal: int
    output: Output = attrs.field(init=False)
    bells: int = 0

    def __attrs_post_init__(self) -> None:
        self.output = Output(self.terminal, self._received)
        self.output.start()

    def _received(self, data: bytes) -> None:
        self.bells += data.count(b"\a")

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self.terminal, line.encode() + b"\r")

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid


@contextmanager
def peer(home: Path, name: str, server: str, *options: str) -> Iterator[Peer]:
    """Run a peer that speaks JSON; it isn't registered yet."""
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            peer_command(name, server, "--json", *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=home,
            env=surroundings(home),
            bufsize=0,
        )
    with _killed(process):
        yield Peer(name, process)


@contextmanager
def console(
    home: Path, name: str, server: str, size: tuple[int, int], *options: str
) -> Iterator[Console]:
    """Run a peer on a terminal of so many rows and columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        peer_command(name, server, f"--log={home / name}.log", *options),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=home,
        env={**surroundings(home), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    with _killed(process):
        yield Console(process, ours)
    os.close(ours)


@contextmanager
def _killed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()  # a process that was stopped, too
        process.wait()
