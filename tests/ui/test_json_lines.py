"""Tests of :mod:`p2pchat.ui.json_lines`."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.peer import events
from p2pchat.ui import answers
from p2pchat.ui.json_lines import JsonLines, encode
from tests.ui.fake_node import ALICE, BOB, CAROL
from tests.ui.test_console import StdioCase


class JsonLinesTests(StdioCase):
    """A program reads one object a line, and writes what a person would type."""

    def setUp(self) -> None:
        super().setUp()
        self.lines = JsonLines(self.runtime)
        self.join(self.lines)

    def objects(self) -> list[dict[str, Any]]:
        """Return what was written."""
        return [json.loads(line) for line in self.written().splitlines()]

    def test_event(self) -> None:
        """An event has its name, the time and its fields."""
        self.node.offer(BOB)
        offer = {"event": "offer", "time": 0.0, "peer_id": BOB, "name": "bob", "accepted": False}
        self.assertEqual(self.objects(), [offer])

    def test_names(self) -> None:
        """No two kinds of event have the same name, but for an answer that repeats one."""
        kinds = [*get_args(events.NodeEvent), *get_args(answers.Answer)]
        names = [kind.NAME for kind in kinds if kind is not answers.Nat]
        self.assertEqual(len(names), len(set(names)))

    def test_commands(self) -> None:
        """Commands are as on the console, and so are plain lines."""
        self.node.begin(BOB)
        self.written()
        self.lines.dataReceived(b'/me\n{"command": "/help"}\nhi\n')
        me, commands, sent = self.objects()
        self.assertEqual((me["event"], me["peer_id"]), ("me", ALICE))
        self.assertEqual(me["conversations"][0]["name"], "bob")
        self.assertEqual(commands["commands"][0], {"command": "/help", "meaning": "this list"})
        self.assertEqual((sent["event"], sent["text"]), ("sent", "hi"))

    def test_text_objects(self) -> None:
        """A text in an object may have lines, begin with a slash, and name its receiver."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.lines.dataReceived(b'{"text": "/one\\ntwo"}\n{"text": "psst", "to": "carol"}\n')
        sent = [("send", BOB, "/one\ntwo"), ("send", CAROL, "psst")]
        self.assertEqual(self.node.asked, sent)

    def test_wrong_objects(self) -> None:
        """What isn't such an object is an error, and nothing is sent."""
        self.node.begin(BOB)
        self.written()
        for line in (
            b"{",
            b"{}",
            b'{"text": 1}',
            b'{"text": ""}',
            b'{"command": "/me", "to": "x"}',
        ):
            self.lines.dataReceived(line + b"\n")
            (error,) = self.objects()
            self.assertEqual(error["event"], "error")
        self.assertEqual(self.node.asked, [])

    def test_end(self) -> None:
        """The end of the input leaves."""
        self.lines.readConnectionLost()
        self.assertEqual(self.left, [True])

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """A line is one line and the text is whole, lone surrogates apart."""
        line = encode("message", 0.0, {"text": text})
        self.assertEqual(line.splitlines(), [line[:-1]])
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if text == whole:
            self.assertEqual(json.loads(line)["text"], text)
        line.encode("utf-8")
