"""
Two people who share nothing but one line, each behind a real NAT: they meet, and talk.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.case import LabTestCase
from tests.lab.conversation import DIRECT, await_path, exchange

ASK = ("--accept", "ask")


class InvitationTests(LabTestCase):
    """Alice has a registry; Bob has what she gave him, and a file to put it in."""

    def test_line(self) -> None:
        """Bob never heard of a registry; both have a contact and a direct path, unasked."""
        lab = self.build_lab("port-restricted", "port-restricted")
        registry = self.start_registry(lab)
        alice = self.start_peer(lab.left, "alice", registry.url, *ASK)
        alice.wait_for("registered")
        alice.send("/invite")
        line = alice.wait_for("invitation")["line"]
        file = Path(self.mktemp())
        file.write_text(f"Meet me here: {line}\n")
        bob = self.start_peer(lab.right, "bob", "", "--join-file", str(file.absolute()), *ASK)
        self.assertEqual(bob.wait_for("registered")["server"], registry.url)
        bob.wait_for("paired", name="alice", invited=False)
        alice.wait_for("paired", name="bob", invited=True)
        for peer, name in ((alice, "bob"), (bob, "alice")):
            peer.wait_for("contact", name=name, change="introduced", met="invitation")
            peer.wait_for("connected")
        lines = exchange(bob, alice)
        self.assertEqual(await_path(bob, DIRECT), DIRECT)
        for peer in (alice, bob):
            self.assertEqual(peer.texts(), lines, peer.username)

    def test_wrong_word(self) -> None:
        """A wrong word lets nobody in; both read it."""
        lab = self.build_lab("port-restricted", "port-restricted")
        registry = self.start_registry(lab)
        alice, bob = (
            self.start_peer(host, name, registry.url, *ASK)
            for host, name in ((lab.left, "alice"), (lab.right, "bob"))
        )
        for peer in (alice, bob):
            peer.wait_for("registered")
        alice.send("/invite --spoken")
        spoken = alice.wait_for("invitation")["line"]
        other = "able" if spoken.endswith("-zoo") else "zoo"
        bob.send(f"/join {spoken.rpartition('-')[0]} {other}")
        self.assertIn("mistyped", bob.wait_for("error", word="invitation")["reason"])
        alice.wait_for("invitation_ended", reason="burnt")
        bob.send(f"/join {spoken}")
        self.assertIn("used already", bob.wait_for("error", word="invitation")["reason"])
        self.assertEqual(alice.named("contact") + bob.named("contact"), [])
