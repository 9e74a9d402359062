"""Tests of :mod:`p2pchat.ui.json_form`: the requests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.json_form import MAX_ID, BadRequest, Request, parse

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


class ParseTests(SynchronousTestCase):
    """A line asks for what it says, or the program is told what is wrong with it."""

    def _refused(self, line: str) -> BadRequest:
        refused: BadRequest = self.assertRaises(BadRequest, parse, line)
        return refused

    def test_objects(self) -> None:
        """An object is a command or a text, perhaps with a receiver and an id."""
        for line, request in {
            '{"command": "/me"}': Request(line="/me"),
            ' {"text": "/me", "id": 0}': Request(0, text="/me"),
            '{"text": "hi", "to": "bob", "id": "7"}': Request("7", text="hi", to="bob"),
            '{"text": "hi", "to": null, "id": 1.5}': Request(1.5, text="hi"),
        }.items():
            self.assertEqual(parse(line), request)

    def test_texts(self) -> None:
        """A string is a text; what isn't JSON is a line as a person types it."""
        for line, request in {
            '"a\\nb"': Request(text="a\nb"),
            '"quoted" he said': Request(line='"quoted" he said'),
            "  hi": Request(line="  hi"),
            "/me": Request(line="/me"),
            "12 o'clock": Request(line="12 o'clock"),
            "012": Request(line="012"),
            "nan": Request(line="nan"),
            "[x]": Request(line="[x]"),
            "": Request(line=""),
        }.items():
            self.assertEqual(parse(line), request)

    def test_refusal_names_request(self) -> None:
        """An object that asks for nothing is refused by its id, where that can be repeated."""
        self.assertEqual(self._refused('{"text": 1, "id": "a"}').id, "a")
        self.assertEqual(self._refused('{"text": "", "id": 3}').id, 3)
        self.assertIsNone(self._refused('{"text": "x", "id": "%s"}' % ("i" * (MAX_ID + 1))).id)
        self.assertIsNone(self._refused('{"text": "x", "id": true}').id)

    def test_nearly_json(self) -> None:
        """What programs write for JSON though it is none isn't said, either."""
        for line in ("NaN", "-Infinity", "[1, NaN]", "[" * 10**5):
            self._refused(line)

    @given(_VALUES)
    def test_any_value(self, value: Any) -> None:
        """No JSON value but an object or a string is said, and none raises anything else."""
        try:
            request = parse(json.dumps(value))
        except BadRequest as error:
            self.assertNotIn("\n", str(error))
        else:
            self.assertTrue(isinstance(value, str | dict))
            if isinstance(value, str):
                self.assertEqual(request, Request(text=value))

    @given(st.text())
    def test_any_line(self, line: str) -> None:
        """Whatever is written, it is a request or refused."""
        for begin in ("", "{", "[", '"', '{"text": ', '{"text": "hi", "id": '):
            try:
                parse(begin + line)
            except BadRequest as error:
                self.assertTrue(str(error))
