"""Tests of :mod:`p2pchat.ui.json_lines`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import fail

from p2pchat.errors import RegistryError, WhoError
from p2pchat.events import MessageSent
from p2pchat.ui import results
from p2pchat.ui.json_form import encode
from p2pchat.ui.json_lines import JsonLines
from tests.ui.fake_node import ALICE, BOB, CAROL, EVENTS, RESULTS
from tests.ui.test_console import StdioCase


class JsonLinesTests(StdioCase):
    """A program reads one object a line, and writes what a person would type."""

    def setUp(self) -> None:
        super().setUp()
        self.join(JsonLines(self.runtime))

    def objects(self) -> list[dict[str, Any]]:
        """Return what was written."""
        return [json.loads(line) for line in self.written().splitlines()]

    def test_event(self) -> None:
        """An event has its name, the time and its fields."""
        self.node.offer(BOB)
        offer = {"event": "offer", "time": 0.0, "peer_id": BOB, "name": "bob", "accepted": False}
        more = {"quiet": False, "contact": False, "mistaken_for": ""}
        self.assertEqual(self.objects(), [{**offer, **more}])

    def test_names(self) -> None:
        """No two kinds of event have the same name, but for an answer that repeats one."""
        kinds = [*EVENTS, *RESULTS]
        names = [kind.NAME for kind in kinds if kind is not results.Nat]
        self.assertEqual(len(names), len(set(names)))

    def test_commands(self) -> None:
        """Commands are as on the console, and so are plain lines."""
        self.node.begin(BOB)
        self.written()
        self.stdio.dataReceived(b'/me\n{"command": "/help"}\nhi\n')
        me, commands, sent = self.objects()
        self.assertEqual((me["event"], me["peer_id"]), ("me", ALICE))
        self.assertEqual(me["conversations"][0]["name"], "bob")
        self.assertEqual(
            commands["commands"][2],
            {
                "command": "/connect WHO",
                "name": "connect",
                "argument": "WHO",
                "meaning": "call somebody: a contact, an id, or a name at the registry",
            },
        )
        self.assertEqual((sent["event"], sent["text"]), ("sent", "hi"))

    def test_text_objects(self) -> None:
        """A text in an object may have lines, begin with a slash, and name its receiver."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.stdio.dataReceived(b'{"text": "/one\\ntwo"}\n{"text": "psst", "to": "carol"}\n')
        sent = [("send", BOB, "/one\ntwo"), ("send", CAROL, "psst")]
        self.assertEqual(self.node.asked, sent)

    def test_wrong_objects(self) -> None:
        """What isn't such an object is an error, and nothing is sent."""
        self.node.begin(BOB)
        self.written()
        for line in (
            b"{",
            b"{}",
            b'""',
            b'{"text": 1}',
            b'{"text": ""}',
            b'{"command": "/me", "to": "x"}',
        ):
            self.stdio.dataReceived(line + b"\n")
            (error,) = self.objects()
            self.assertEqual(error["event"], "error")
        self.assertEqual(self.node.asked, [])

    def test_other_json(self) -> None:
        """A JSON value that is neither object nor string is an error; a string is a text."""
        self.node.begin(BOB)
        self.written()
        for line in ("[1,2]", "null", "12", "true", "-1.5e3", "1" * 5000, "[" * 9000 + "]" * 9000):
            self.stdio.dataReceived(line.encode() + b"\n")
            (error,) = self.objects()
            self.assertEqual((error["event"], error["word"]), ("error", "input"), line)
        self.stdio.dataReceived(b'"/two\\nlines"\n[hello]\n"quoted" he said\n')
        said = [text for _, _, text in self.node.asked]
        self.assertEqual(said, ["/two\nlines", "[hello]", '"quoted" he said'])

    def test_request_ids(self) -> None:
        """What comes of a request repeats its id, at once or later; what others do does not."""
        self.node.begin(BOB)
        self.written()
        for line in ('{"text": "hi", "id": "a"}', '{"command": "/me", "id": 0}'):
            self.stdio.dataReceived(line.encode() + b"\n")
        self.node.receive(BOB, "hi yourself")
        self.stdio.dataReceived(b'{"command": "/connect carol", "id": 1}\n')
        self.stdio.dataReceived(b'{"command": "/connect dave", "id": 2}\n')
        self.node.calls[1].errback(WhoError("Nobody is called dave."))
        self.stdio.dataReceived(b'{"text": "psst", "id": 3}\n')
        self.node.calls[0].callback(CAROL)
        self.stdio.dataReceived(b'{"command": "/to carol", "id": 4}\n{"text": 1, "id": 5}\n')
        told = [(one["event"], one.get("request")) for one in self.objects()]
        self.assertEqual(
            told,
            [
                *[("sent", "a"), ("me", 0), ("message", None), ("current", None), ("error", 2)],
                *[("error", 3), ("calling", None), ("current", 1), ("current", 4), ("error", 5)],
            ],
        )

    def test_stored_later(self) -> None:
        """A line is told when it is stored, and answers its own request even then."""
        self.node.begin(BOB)
        self.node.stores_later = True
        self.written()
        for line in ('{"text": "one", "id": "a"}', '{"text": "two"}', '{"text": "three", "id": 3}'):
            self.stdio.dataReceived(line.encode() + b"\n")
        self.assertEqual(self.objects(), [])
        for number, text in enumerate(("one", "two", "three"), 1):
            self.node.tell(MessageSent(BOB, f"s{number}", text))
        self.node.tell(MessageSent(BOB, "s1", "somebody else's"))
        told = [(one["text"], one.get("request")) for one in self.objects()]
        said = [("one", "a"), ("two", None), ("three", 3), ("somebody else's", None)]
        self.assertEqual(told, said)

    def test_wrong_ids(self) -> None:
        """An id that can't be repeated is refused with the request, and nothing is done."""
        self.node.begin(BOB)
        self.written()
        for name in ("true", "[]", '"' + "x" * 129 + '"', "1e999", "9007199254740993"):
            self.stdio.dataReceived(b'{"text": "hi", "id": %s}\n' % name.encode())
            (error,) = self.objects()
            self.assertNotIn("request", error)
        self.assertEqual(self.node.asked, [])

    def test_words(self) -> None:
        """An error has a word beside its sentence."""
        for line, word in (("/to dave", "who"), ("/hlep", "command"), ("/more", "input")):
            self.stdio.dataReceived(line.encode() + b"\n")
            self.assertEqual(self.objects()[-1]["word"], word)
        self.node.records = fail(RegistryError("Ask later.", 429, "too-many"))
        self.stdio.dataReceived(b"/peers\n")
        self.assertEqual(self.objects()[-1]["word"], "too-many")

    def test_numbers(self) -> None:
        """A number that JSON doesn't have becomes null, so that every line can be read."""
        line = encode("peers", 0.0, {"peers": ({"as_of": float("inf")}, {"as_of": 1.5})})
        self.assertEqual(json.loads(line)["peers"], [{"as_of": None}, {"as_of": 1.5}])

    def test_invisible(self) -> None:
        """What nobody would see is escaped, and comes back as it was."""
        text = "a\U000e0041b\ufe0fc\u3164d\u200d\u180b\U000e01ef\ue000\u0378\u00ad\U000f0000漢é"
        line = encode("message", 0.0, {"text": text})
        shown = "".join(one for one in line if not one.isascii())
        self.assertEqual(shown, "漢é")
        self.assertEqual(json.loads(line)["text"], text)

    def test_end(self) -> None:
        """The end of the input leaves."""
        self.stdio.readConnectionLost()
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
