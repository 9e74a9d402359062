"""
Somebody in the lab whose programs use a node beside it: its state directory, and what is run there.

The node is a `p2ppeer` with `--json`; other programs find it by the profile that is the usual one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from tests.lab.machines import Host
from tests.lab.peers import PATIENCE, JsonPeer, surroundings
from tests.lab.service import Service

P2PCHAT = str(Path(sys.executable).with_name("p2pchat"))


@attrs.define(eq=False)
class Side(Service):
    """
    One person's machine.

    :ivar name: of the person.
    :ivar server: the registry's URL.
    :ivar trust: a file of certificates that its programs believe.
    """

    host: Host
    name: str
    server: str
    trust: str = ""
    _programs: list[subprocess.Popen[Any]] = attrs.Factory(list)

    @property
    def environment(self) -> dict[str, str]:
        """An environment in which programs find the node, our commands and the side's files."""
        found = surroundings(self.trust)
        places = {"XDG_STATE_HOME": self.directory, "HOME": self.directory}
        found["PATH"] = os.pathsep.join([str(Path(P2PCHAT).parent), found["PATH"]])
        found["PYTHONPATH"] = os.pathsep.join([self.directory, found["PYTHONPATH"]])
        return {**found, **places}

    @property
    def state(self) -> str:
        """The state directory."""
        return os.path.join(self.directory, "p2pchat", "default")

    def path(self, *names: str) -> str:
        """Return the path of a file of this side's."""
        return os.path.join(self.directory, *names)

    def start_node(self) -> JsonPeer:
        """Start the node, and wait until it is registered."""
        options = ("--state", self.state, "--accept", "contacts")
        peer = JsonPeer.start(
            self.host, self.name, self.server, *options, environment=self.environment
        )
        peer.wait_for("registered")
        return peer

    def start(self, *argv: str, awaits: str = "") -> str:
        """
        Start a program for as long as the lab lasts.

        :param awaits: what to wait for.
        :returns: what it has said by then.
        """
        log = self.path(f"log-{len(self._programs)}")
        with open(log, "ab") as file:
            program = self.host.popen(
                argv,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self._programs.append(program)
        deadline = time.monotonic() + PATIENCE
        while awaits not in (said := Path(log).read_text()):
            if time.monotonic() > deadline or program.poll() is not None:
                raise AssertionError(f"{' '.join(argv)}: {said}")
            time.sleep(0.05)
        return said

    def do(self, *argv: str, timeout: float = PATIENCE) -> str:
        """Run a program to its end; returns what it said, which must have been a success."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.host.namespace, *argv],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def begin(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program whose output is read line by line."""
        return self.host.popen(
            argv,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
