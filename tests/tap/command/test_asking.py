"""Commands that ask a node one thing."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.command import statuses
from p2pchat.tap.command.asking import ASKING, run, span
from tests.cases import each
from tests.tap.command.fake_node import FakeNode

ALICE = {"peer_id": "1-2", "name": "alice", "service": "web", "seconds": None}


class AskingTests(SynchronousTestCase):
    """A node that a test plays."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.addCleanup(self.node.close)
        self.output, self.errors = io.StringIO(), io.StringIO()

    def ask(self, command: str, *words: str) -> int:
        """Run a command; returns its exit status."""
        outputs = contextlib.redirect_stdout(self.output), contextlib.redirect_stderr(self.errors)
        with outputs[0], outputs[1]:
            return run(command, [*words, "--state", self.node.directory])

    @each(
        ("grant web alice", "/grant web alice", ALICE, "alice may open your web, until you"),
        ("grant web alice --for 8h", "/grant web alice 28800s", ALICE | {"seconds": 28800}, "8 h"),
        ("revoke web alice", "/revoke web alice", ALICE, "alice may not open your web any more"),
        ("grants", "/grants", {"grants": [ALICE]}, "web                  alice"),
        ("grants", "/grants", {"grants": []}, "Nobody has a grant"),
        ("services", "/services", {"services": []}, "You offer nothing now"),
        (
            "services alice",
            "/services alice",
            {"services": [{"service": "ssh"}], "peer_id": "1-2", "name": "alice"},
            "ssh\n",
        ),
        ("services alice", "/services alice", {"services": [], "peer_id": "1-2"}, "1-2 lets you"),
        ("why alice", "/why alice", {"story": ["a path", "by \x1b[2J checks"]}, "by \\x1b"),
    )
    def test_asked(self, words: str, line: str, answer: Mapping[str, Any], said: str) -> None:
        """The node is asked as a person asks it, and its answer is told."""
        self.node.answers = {line: {"event": "answer", **answer}}
        self.assertEqual(self.ask(*words.split()), statuses.DONE)
        self.assertEqual(self.node.requests[-1]["command"], line)
        self.assertIn(said, self.output.getvalue().replace("\\u001b", "\\x1b"))
        self.assertNotIn("\x1b", self.output.getvalue())

    def test_json(self) -> None:
        """For programs the answer is one line of JSON."""
        self.node.answers = {"/grants": {"event": "grants", "grants": [ALICE]}}
        self.ask("grants", "--json")
        self.assertEqual(json.loads(self.output.getvalue())["grants"], [ALICE])

    @each(
        ("not-granted", statuses.NOT_GRANTED),
        ("no-such-contact", statuses.NO_SUCH_CONTACT),
        ("offline", statuses.OFFLINE),
        ("refused", statuses.FAILED),
    )
    def test_refused(self, word: str, status: int) -> None:
        """What the node refuses goes to stderr, and has its status."""
        answer = {"event": "error", "word": word, "reason": "because of that"}
        self.node.answers = {"/grants": answer}
        self.assertEqual(self.ask("grants"), status)
        self.assertIn("because of that", self.errors.getvalue())

    def test_no_node(self) -> None:
        """Without a node it says how to start one."""
        outputs = contextlib.redirect_stderr(self.errors)
        with outputs:
            self.assertEqual(run("grants", ["--state", tempfile.mkdtemp()]), statuses.NO_NODE)
        self.assertIn("p2pnode", self.errors.getvalue())

    def test_control_characters(self) -> None:
        """A name with a line feed is no second command."""
        self.assertEqual(self.ask("why", "alice\n/wipe"), statuses.MISTAKE)
        self.assertEqual(self.node.requests, [])

    @each((None, "until you revoke it"), (30, "for 30 s"), (5400, "for 2 h"), (172_800, "for 2 d"))
    def test_span(self, seconds: float | None, words: str) -> None:
        """A time is told in its largest unit."""
        self.assertEqual(span(seconds), words)

    def test_all(self) -> None:
        """Each has a line and a sentence of help."""
        for asking in ASKING.values():
            self.assertTrue(asking.description.endswith("."))
