"""
Two contacts behind port-restricted NATs, of whom one offers what the other reaches.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.case import LabTestCase
from tests.lab.peers import TWISTD
from tests.lab.relay import Relay
from tests.lab.service_side import P2PCHAT, Side
from tests.lab.ssh_server import PORT, SSHD, start_sshd


class ServicesTestCase(LabTestCase):
    """Alice offers, Bob reaches."""

    has_relay = False

    def setUp(self) -> None:
        super().setUp()
        self.lab = self.build_lab("port-restricted", "port-restricted")
        relay: Relay | None = self.start_relay(self.lab) if self.has_relay else None
        self.registry = self.start_registry(self.lab, relay)
        self.alice = self.side("alice")
        self.bob = self.side("bob")
        alice, bob = self.alice.start_node(), self.bob.start_node()
        for node in (alice, bob):
            self.addCleanup(node.close)
        alice.send("/invite bob")
        bob.send(f"/join {alice.wait_for('invitation')['line']}")
        self.bob_id = alice.wait_for("paired")["peer_id"]
        bob.wait_for("paired")
        self.nodes = {"alice": alice, "bob": bob}

    def side(self, name: str) -> Side:
        """Return somebody's machine."""
        host = self.lab.left if name == "alice" else self.lab.right
        side = Side(host, name, self.registry.url, self.trust)
        self.addCleanup(side.close)
        return side

    def write(self, side: Side, name: str, text: str) -> str:
        """Put a program onto a side; returns its path."""
        path = side.path(name)
        Path(path).write_text(text)
        return path

    def open_port(self, service: str, port: int) -> str:
        """Let Bob have a port for a service of Alice's; returns its URL."""
        self.bob.start(
            *(TWISTD, "-n", "--pidfile=", "p2ppipe", "--listen", f"tcp:{port}"),
            *("--connect", f"p2p:alice:{service}"),
            awaits="listening",
        )
        return f"http://127.0.0.1:{port}/"

    def ssh(self) -> list[str]:
        """Let Alice's sshd be there; returns the words that reach it from Bob's."""
        self.require(SSHD)
        config = start_sshd(self.alice, self.bob)
        self.alice.start(
            P2PCHAT, "share", str(PORT), "--as", "ssh", "--with", "bob", awaits="for bob"
        )
        return ["-F", config]
