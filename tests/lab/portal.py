"""
A captive portal on a box: until somebody logs in, it answers HTTP itself, and drops the rest.

A connection that was led to the portal leads there for as long as both sides keep it, after the
log-in too: the kernel translates connections, not packets. Owns the portal's web server, and the
rules while nobody is logged in.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs

from tests.lab.blueprint import enter, run_command
from tests.lab.machines import Host
from tests.lab.rulesets import portal_ruleset
from tests.lab.service import Service

PROGRAM = str(Path(__file__).with_name("portal_program.py"))
PORT = 8888


@attrs.define(eq=False)
class Portal(Service):
    """
    A portal on a box, where somebody has to log in first.

    :ivar host: the box, as a machine to run programs on.
    :ivar kind: what it answers: html, redirect, empty, json, or required (status 511).
    :ivar keeps: whether it keeps connections.
    :ivar udp: whether it lets UDP pass.
    """

    host: Host
    kind: str = "html"
    keeps: bool = True
    udp: bool = False

    def start(self) -> None:
        """Start its web server; from then on nobody is logged in."""
        argv = [sys.executable, "-I", "-S", PROGRAM, str(PORT), self.kind]
        argv += [] if self.keeps else ["close"]
        process = self.run(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "a portal doesn't start"
        self.log_out()

    def log_out(self) -> None:
        """End the session: what was connected before is cut, too."""
        self._apply(portal_ruleset(PORT, self.udp))
        run_command([*enter(self.host.namespace), "conntrack", "-F"])

    def log_in(self) -> None:
        """Let all pass, save the connections that lead to the portal."""
        self._apply(portal_ruleset(None))

    def _apply(self, rules: str) -> None:
        run_command([*enter(self.host.namespace), "nft", "-f", "-"], rules)
