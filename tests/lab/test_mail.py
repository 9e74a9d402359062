"""
Two people who are never there at the same time, each behind a real NAT: the registry keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.case import LabTestCase
from tests.lab.peers import PATIENCE, Event, JsonPeer

CONTACTS = ("--accept", "contacts")


class MailTests(LabTestCase):
    """Alice and Bob have met once; the registry has mailboxes, in a file."""

    def setUp(self) -> None:
        super().setUp()
        self.lab = self.build_lab("port-restricted", "port-restricted")
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        options = ("--mailbox", "--mailbox-file", str(self.directory / "mail.db"))
        self.registry = self.start_registry(self.lab, options=options)
        alice, bob = self.start("alice"), self.start("bob")
        alice.send("/invite")
        bob.send(f"/join {alice.wait_for('invitation')['line']}")
        self.bob_id = alice.wait_for("connected")["peer_id"]
        bob.wait_for("connected")
        bob.send('{"text": "hello"}')
        alice.wait_for("message", text="hello")
        self.await_mailbox(bob)
        self.quit(bob)
        alice.wait_for("disconnected")
        self.alice = alice

    def start(self, name: str) -> JsonPeer:
        """Start somebody, whose state directory may be there from before."""
        host = self.lab.left if name == "alice" else self.lab.right
        state = ("--state", str(self.directory / name))
        peer = self.start_peer(host, name, self.registry.url, *state, *CONTACTS)
        peer.wait_for("registered")
        return peer

    def await_mailbox(self, peer: JsonPeer) -> None:
        """Wait until the registry knows who may leave something for somebody."""
        self.ask(peer, "me", lambda answer: answer["registries"][0]["mail"])

    def ask(self, peer: JsonPeer, what: str, is_so: Callable[[Event], bool]) -> None:
        """Ask again until the answer is as it is to be."""
        deadline = time.monotonic() + PATIENCE
        while True:
            peer.send(f"/{what}")
            if is_so(peer.wait_for(what)):
                return
            self.assertLess(time.monotonic(), deadline)

    def quit(self, peer: JsonPeer) -> None:
        """Let somebody leave, and be gone."""
        peer.send("/quit")
        peer.close()

    def await_kept(self, count: int) -> None:
        """Wait until so many envelopes were left at the registry since it began."""
        counted = f'p2psignal_mail_total{{outcome="kept"}} {count:.1f}'
        deadline = time.monotonic() + PATIENCE
        while counted not in (told := self.registry.metrics()):
            self.assertLess(time.monotonic(), deadline, told)

    def say(self, *lines: str) -> None:
        """Let Alice write to Bob."""
        for text in lines:
            self.alice.send(f'{{"text": "{text}", "to": "{self.bob_id}"}}')

    def test_never_together(self) -> None:
        """Three lines, both off, Bob comes back alone; his receipt reaches her the next time."""
        lines = ["one", "two", "three"]
        self.say(*lines)
        self.alice.wait_for("mailed", count=3)
        self.quit(self.alice)
        self.registry.kill()
        self.registry.start()
        bob = self.start("bob")
        for text in lines:
            bob.wait_for("message", text=text)
        self.assertEqual(bob.named("connected"), [])
        self.quit(bob)
        alice = self.start("alice")
        for _ in lines:
            alice.wait_for("delivered")
        self.ask(alice, "outbox", lambda answer: not answer["lines"])

    def test_killed(self) -> None:
        """Alice is killed after her line was left, Bob while he reads: it is all there, once."""
        self.say("before")
        self.alice.wait_for("mailed")
        self.await_kept(1)
        self.alice.kill()
        bob = self.start("bob")
        bob.wait_for("message", text="before")
        bob.kill()
        bob = self.start("bob")
        bob.send("/history alice")
        texts = [line["text"] for line in bob.wait_for("history")["lines"]]
        self.assertEqual(texts, ["hello", "before"])
        self.await_kept(2)  # her line, and his receipt
        self.quit(bob)
        alice = self.start("alice")
        alice.wait_for("delivered")
