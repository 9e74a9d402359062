"""Clocks that are set under real programs: two peers and a registry, on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import skipIf

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.ports import free_port
from tests.set_clock import NO_SET_CLOCK, SetClock
from tests.tap.test_program import PATIENCE, environment

HARM = 10.0  # seconds: 5 that a clock may cost, whoever sets it, and 5 of a busy machine
DAY = 86_400  # seconds
STEPS = (-3600, 3600, -9 * DAY, 900 * DAY, 0)


@attrs.define
class Program:
    """A program with a wall clock of its own."""

    process: subprocess.Popen[bytes]
    clock: SetClock

    def ask(self, command: str) -> None:
        """Write one request."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"command": command}).encode() + b"\n")
        self.process.stdin.flush()

    def told(self, *names: str, within: float = PATIENCE) -> dict[str, Any]:
        """Return the next event of one of these names."""
        assert self.process.stdout is not None
        end = time.monotonic() + within
        while select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            event: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")
            if not event or event["event"] in names:
                return event
        raise AssertionError(f"no {names} within {within} seconds")


@skipIf(NO_SET_CLOCK, NO_SET_CLOCK)
class SetClockTests(SynchronousTestCase):
    """Somebody sets the clock of Alice's machine, of Bob's, or of the registry's."""

    def setUp(self) -> None:
        port = free_port()
        listen = f"tcp:{port}:interface=127.0.0.1"
        self.registry = self.start("registry", "--listen", listen, "--stun", "0", "--lease", "6")
        self.wait(lambda: self.listens(port))
        names = ("--json", "--ephemeral", "--heartbeat", "1", "--username")
        server = ("--server", f"http://127.0.0.1:{port}")
        self.alice = self.start(*names, "alice", *server)
        self.bob = self.start(*names, "bob", *server)
        self.alice.told("registered")
        self.bob_id = self.bob.told("registered")["peer_id"]

    def start(self, *arguments: str) -> Program:
        """Start a program that ends with the test."""
        clock = SetClock(Path(os.path.abspath(self.mktemp())))
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pchat", *arguments],
            env={**environment(), **clock.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return Program(process, clock)

    def listens(self, port: int) -> bool:
        """Tell whether the registry takes connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def wait(self, happened: Callable[[], object]) -> None:
        """Wait until something has happened."""
        end = time.monotonic() + PATIENCE
        while not happened():
            self.assertLess(time.monotonic(), end)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.registry.process.wait(0.02)  # it may end instead

    def call(self, program: Program, step: int) -> None:
        """Let Alice call, and Bob accept; the program's clock is set while it rings."""
        self.alice.ask(f"/connect {self.bob_id}")
        self.assertEqual(self.bob.told("offer", within=HARM)["event"], "offer")
        program.clock.set(step)
        self.bob.ask("/accept alice")
        said = self.alice.told("connected", "failed", within=HARM)
        self.assertEqual(said["event"], "connected", said)
        self.alice.ask("/disconnect bob")
        self.assertEqual(self.bob.told("disconnected", within=HARM)["event"], "disconnected")

    def test_calls(self) -> None:
        """Calls go through at once, before and after; nobody's registration ends."""
        for program in (self.registry, self.bob, self.alice):
            for step in STEPS:
                self.call(program, step)
        self.alice.ask("/peers")
        found = self.alice.told("peers", "registry_lost")
        online = [one["username"] for one in found["peers"] if one["online"]]
        self.assertEqual(sorted(online), ["alice", "bob"])
