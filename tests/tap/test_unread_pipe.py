"""A program that doesn't read what its peer writes: real processes, a real pipe."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.session.streams import WINDOW
from tests.ports import free_port
from tests.tap.test_program import PATIENCE, environment

LINES = 3000
LINE = 8000  # characters; 24 MB in all
MAX_GROWTH = 30_000  # kB of memory, whatever comes
TURN = 0.003  # seconds between two looks at a pipe, which holds 64 kB
QUIET = 2.0  # seconds in which all is under way that will be
PIPE = 1024 * 1024  # bytes that a pipe and our buffer hold at most


def memory(process: subprocess.Popen[bytes]) -> int:
    """Return the resident memory of a process, in kB."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@attrs.define
class Program:
    """A peer, read when the test wants it."""

    process: subprocess.Popen[bytes]
    events: dict[str, list[dict[str, Any]]] = attrs.Factory(dict)  # by name
    _rest: bytes = b""

    def ask(self, **members: str) -> None:
        """Write one request."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(members).encode() + b"\n")
        self.process.stdin.flush()

    def read(self) -> None:
        """Take what has been written so far."""
        assert self.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.process.stdout.fileno(), 65536):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for event in map(json.loads, lines):
                    self.events.setdefault(event["event"], []).append(event)

    def told(self, name: str) -> list[dict[str, Any]]:
        """Return the events of this name so far."""
        return self.events.get(name, [])


class UnreadPipeTests(SynchronousTestCase):
    """Alice says much to Bob, whose program doesn't read."""

    def setUp(self) -> None:
        if not os.path.exists("/proc/self/status"):
            raise SkipTest("needs /proc")
        self.port = free_port()
        self.start("registry", "--listen", f"tcp:{self.port}:interface=127.0.0.1", "--stun", "0")
        self.wait(self.registry_listens)
        self.alice, self.bob = self.peer("alice"), self.peer("bob")
        self.wait(lambda: self.alice.told("registered") and self.bob.told("registered"))
        self.ids = {one.told("registered")[0]["peer_id"]: one for one in (self.alice, self.bob)}
        self.bob_id = self.bob.told("registered")[0]["peer_id"]
        self.alice.ask(command=f"/connect {self.bob_id}")
        self.wait(lambda: self.alice.told("connected") and self.bob.told("connected"))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program that ends with the test."""
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pchat", *arguments],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def peer(self, name: str) -> Program:
        """Start a peer."""
        options = ("--json", "--ephemeral", "--accept", "all", "--username", name)
        server = f"http://127.0.0.1:{self.port}"
        return Program(self.start(*options, "--server", server, "--heartbeat", "1"))

    def registry_listens(self) -> bool:
        """Tell whether the registry takes connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def wait(self, happened: Callable[[], object], *readers: Program, within: float = 60) -> None:
        """Wait until something has happened, reading what these write; at first, both."""
        end = time.monotonic() + within
        while not happened():
            if time.monotonic() > end:
                raise AssertionError(f"not within {within} seconds")
            for one in readers or self.readers():
                one.read()
            time.sleep(TURN)

    @staticmethod
    def has_told(one: Program, name: str) -> bool:
        """Tell whether there is an event of this name for each line."""
        return len(one.told(name)) == LINES

    def readers(self) -> Iterator[Program]:
        """Return the peers that there are."""
        return (one for one in (getattr(self, "alice", None), getattr(self, "bob", None)) if one)

    def flood(self) -> None:
        """Let Alice say much to Bob, who doesn't read, and her program do what it can."""
        for number in range(LINES):
            self.alice.ask(to=self.bob_id, text=f"{number} ".ljust(LINE, "x"))
            self.alice.read()
        self.wait(partial(self.has_told, self.alice, "sent"), self.alice)
        quiet = time.monotonic() + QUIET
        self.wait(lambda: time.monotonic() > quiet, self.alice)

    def test_unread(self) -> None:
        """
        Bob's memory stays, and Alice reads "delivered" only of what went out to his pipe.

        When he reads again, all is there, in order, once; and all of hers is delivered.
        """
        before = memory(self.bob.process)
        self.flood()
        self.assertLess(memory(self.bob.process) - before, MAX_GROWTH)
        self.assertEqual(len(self.alice.told("sent")), LINES)
        delivered = len(self.alice.told("delivered"))
        self.assertLess(delivered, PIPE // LINE)
        for one, name in ((self.alice, "delivered"), (self.bob, "message")):
            self.wait(partial(self.has_told, one, name), *self.readers())
        texts = [event["text"].split()[0] for event in self.bob.told("message")]
        self.assertEqual(texts, [str(number) for number in range(LINES)])
        self.assertEqual(self.alice.told("path_lost") + self.bob.told("path_lost"), [])

    def test_others_go_on(self) -> None:
        """Meanwhile Bob's program does what it is asked, hears its other friends, and leaves."""
        self.flood()
        carol = self.peer("carol")
        self.wait(lambda: carol.told("registered"), carol, self.alice)
        carol.ask(command=f"/connect {self.bob_id}")
        self.wait(lambda: carol.told("connected"), carol, self.alice)
        alice_id = self.alice.told("registered")[0]["peer_id"]
        self.bob.ask(to=alice_id, text="I can still say something")
        self.wait(lambda: self.alice.told("message"), self.alice)
        self.bob.process.send_signal(signal.SIGTERM)
        self.bob.process.wait(PATIENCE)
        self.wait(lambda: self.alice.told("disconnected"), self.alice, carol)
        (ended,) = self.alice.told("disconnected")
        self.assertEqual(ended["reason"], "left")
        self.assertGreater(ended["undelivered"], LINES - (WINDOW + PIPE) // LINE)
