"""
``python -m p2pchat.demo``: a registry and two peers on this machine, talking to each other.

Three processes, run as anybody would run them; Alice and Bob speak JSON
(:mod:`p2pchat.ui.json_lines`), so that this program can read along.  Each step waits for what must
happen; the exit status is 0 only if everything did.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack, suppress
from socket import SOCK_DGRAM, SOCK_STREAM, socket
from typing import Any, cast

from twisted.internet import task
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    DeferredQueue,
    TimeoutError,
    inlineCallbacks,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from p2pchat.errors import P2PChatError

DEADLINE = 60.0  # seconds for the whole demonstration
STEP_DEADLINE = 20.0  # seconds for one step; importing everything takes a slow machine several
PATIENCE = 4.0  # seconds that a process has to end when it is asked to
LOOPBACK = "127.0.0.1"
PORTS = range(20000, 30000, 2)  # systems give out higher ones by themselves, to the peers as well
LOG_TAIL = 15  # lines shown of a process that didn't do what it should
_ENDED: dict[str, Any] = {}  # stands after the last event of a program
_TWISTD = "from twisted.scripts.twistd import run; run()"

CONVERSATION = (
    ("alice", "Hello Bob, can you hear me?"),
    ("bob", "Loud and clear, and nobody in between."),
    ("alice", "No server either?"),
    ("bob", "It only introduced us. \N{HANDSHAKE}"),
)
ADVICE = """
To chat with a friend on another network:
  on a machine that both can reach   p2pchat registry
  you                                p2pchat --server http://THAT-MACHINE:8000
  your friend                        the same, and then types: /connect YOUR-NAME
Open TCP port 8000 and UDP ports 3478 and 3479 there.  /help in the chat lists the commands.
The program is beside the Python that you have just used, as in venv/bin/p2pchat.
"""


class StepFailed(P2PChatError):
    """Something that should have happened didn't."""


class Program(ProcessProtocol):
    """
    One of the processes.

    :ivar exit_code: ``None`` while it runs, and after a signal.
    """

    def __init__(self, name: str, started: float) -> None:
        self.name = name
        self.exit_code: int | None = None
        self.log: deque[str] = deque(maxlen=LOG_TAIL)
        self.runs = True
        self._started = started
        self._output = b""
        self._events: DeferredQueue[dict[str, Any]] = DeferredQueue()

    def outReceived(self, data: bytes) -> None:
        """Take JSON lines, or the log lines of the registry."""
        *lines, self._output = (self._output + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                self._take(json.loads(line))
            else:
                self.log.append(line.decode("utf-8", "replace"))

    def errReceived(self, data: bytes) -> None:
        """Keep the last log lines."""
        self.log.extend(data.decode("utf-8", "replace").splitlines())

    def processEnded(self, reason: Failure) -> None:
        """Note how it ended; nothing more is to be expected."""
        self.runs, self.exit_code = False, getattr(reason.value, "exitCode", None)
        self._events.put(_ENDED)

    def type(self, line: str) -> None:
        """Type a line, as a person would."""
        cast(Any, self.transport).write(f"{line}\n".encode())

    @inlineCallbacks
    def event(self, **expected: Any) -> Any:
        """Return a Deferred of the next event with these members; others are passed over."""
        while (event := (yield self._events.get())) is not _ENDED:
            if expected.items() <= event.items():
                return event
        self._events.put(_ENDED)  # for whoever else waits
        raise CancelledError

    @inlineCallbacks
    def end(self) -> Any:
        """Return a Deferred that fires when the process is gone."""
        while (yield self._events.get()) is not _ENDED:
            pass
        self._events.put(_ENDED)

    def _take(self, event: dict[str, Any]) -> None:
        said = _shown(event)
        if said:
            seconds = time.monotonic() - self._started
            print(f"{seconds:7.3f} s  {self.name:<8}  {said}", flush=True)
        self._events.put(event)


def _shown(event: dict[str, Any]) -> str:
    """Return what is shown of an event; of most, nothing."""
    templates = {
        "registered": "registered as {username} ({peer_id})",
        "peers": "sees {others}",
        "offer": "is called by {name}",
        "calling": "calls {name}",
        "checking": "tries {tried}",
        "path": "path found after {milliseconds:.0f} ms: {local} to {remote}, {address}",
        "connected": "connected to {name}, {milliseconds:.0f} ms after it began",
        "sent": "says:   {text}",
        "message": "reads:  {text}",
        "delivered": "knows that it arrived, {milliseconds:.1f} ms",
        "disconnected": "conversation with {name} over: {reason}",
        "failed": "no conversation with {name}: {explanation}",
        "error": "error: {reason}",
    }
    others = ", ".join(str(peer.get("username")) for peer in event.get("peers", ()))
    tried = ", ".join(event.get("addresses", ()))
    return templates.get(event["event"], "").format(**event, others=others, tried=tried)


def _free_port() -> int:
    """Return a port that is free for TCP, and with the next one for UDP."""
    for port in random.sample(PORTS, 100):
        with ExitStack() as stack, suppress(OSError):
            for kind, number in ((SOCK_STREAM, port), (SOCK_DGRAM, port), (SOCK_DGRAM, port + 1)):
                stack.enter_context(socket(type=kind)).bind((LOOPBACK, number))
            return port
    raise StepFailed("no two neighbouring ports are free")


class Demonstration:
    """The processes, and the story that they play."""

    def __init__(self, reactor: Any, directory: str) -> None:
        self._reactor = reactor
        self._directory = directory
        self._started = time.monotonic()
        self.programs: list[Program] = []

    def _run(self, name: str, *arguments: str) -> Program:
        program = Program(name, self._started)
        command = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", *arguments]
        path = self._directory
        self._reactor.spawnProcess(program, sys.executable, command, env=os.environ, path=path)
        self.programs.append(program)
        return program

    async def _expect(self, step: str, program: Program, **expected: Any) -> Any:
        happens = program.event(**expected).addTimeout(STEP_DEADLINE, self._reactor)
        try:
            return await happens
        except (TimeoutError, CancelledError):
            raise StepFailed(f"{step}: {program.name} never said {expected}") from None

    async def play(self) -> None:
        """Do everything, or raise :class:`StepFailed`."""
        port = _free_port()
        listen = f"tcp:{port}:interface={LOOPBACK}"
        self._run("registry", "p2psignal", "--listen", listen, "--stun", str(port))
        peer = ("p2ppeer", "--json", "--server", f"http://{LOOPBACK}:{port}", "--username")
        bob = self._run("Bob", *peer, "bob", "--accept", "all")
        alice = self._run("Alice", *peer, "alice")
        for one in (bob, alice):
            await self._expect("registering", one, event="registered")
        await self._discover(alice, bob)
        await self._connect(alice, bob)
        await self._talk({"alice": alice, "bob": bob})
        await self._part(alice, bob)

    async def _discover(self, alice: Program, bob: Program) -> None:
        for one in (alice, bob):
            one.type("/peers")
            listed = await self._expect("discovering each other", one, event="peers")
            if {"alice", "bob"} - {peer.get("username") for peer in listed["peers"]}:
                raise StepFailed(f"{one.name} doesn't see both in the registry")

    async def _connect(self, alice: Program, bob: Program) -> None:
        alice.type("/connect bob")
        await self._expect("calling", bob, event="offer", accepted=True)
        for one, name in ((alice, "bob"), (bob, "alice")):
            await self._expect("finding a path", one, event="path", name=name)
            await self._expect("proving who is who", one, event="connected", name=name)

    async def _talk(self, programs: dict[str, Program]) -> None:
        for author, text in CONVERSATION:
            reader = next(one for name, one in programs.items() if name != author)
            programs[author].type(text)
            await self._expect("reading", reader, event="message", name=author, text=text)
            await self._expect("confirming", programs[author], event="delivered")

    async def _part(self, alice: Program, bob: Program) -> None:
        alice.type("/disconnect")
        await self._expect("leaving", alice, event="disconnected", reason="closed", undelivered=0)
        await self._expect("being left", bob, event="disconnected", reason="left", undelivered=0)
        for one in (alice, bob):
            one.type("/quit")
            await one.end().addTimeout(PATIENCE, self._reactor)
            if one.exit_code != 0:
                raise StepFailed(f"{one.name} ended with status {one.exit_code}")

    @inlineCallbacks
    def close(self) -> Any:
        """End whatever still runs, and remove what it left."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            running = [program for program in self.programs if program.runs]
            for program in running:
                cast(Any, program.transport).signalProcess(number)
            ended = DeferredList([program.end() for program in running])
            yield ended.addTimeout(PATIENCE, self._reactor, lambda _result, _deadline: None)
        shutil.rmtree(self._directory, ignore_errors=True)

    def explain(self, reason: str) -> None:
        """Say what is missing, and show the ends of the logs."""
        print(f"\nThe demonstration failed: {reason}", file=sys.stderr)
        for program in self.programs:
            state = "runs" if program.runs else f"ended with status {program.exit_code}"
            print(f"--- {program.name} {state}; the end of its log:", file=sys.stderr)
            print("\n".join(program.log), file=sys.stderr)


async def main(reactor: Any) -> None:
    """Run the demonstration."""
    cast(Any, sys.stdout).reconfigure(errors="replace")
    demonstration = Demonstration(reactor, tempfile.mkdtemp(prefix="p2pchat-demo-"))
    reactor.addSystemEventTrigger("before", "shutdown", demonstration.close)
    try:
        await Deferred.fromCoroutine(demonstration.play()).addTimeout(DEADLINE, reactor)
    except (StepFailed, TimeoutError) as error:
        demonstration.explain(str(error) or "it takes too long")
        raise SystemExit(1) from None
    print("\nEvery step happened: discovered, connected, talked both ways, parted.")
    print(ADVICE, end="")


if __name__ == "__main__":
    task.react(main)
