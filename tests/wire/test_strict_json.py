"""JSON from strangers: what is read, and that nothing else than our error comes out."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.strict_json import MAX_DEPTH, dumps, field, loads, optional, timestamp
from tests.wire.json_values import any_text, values


class LoadTests(SynchronousTestCase):
    """One object, in UTF-8, and nothing that two readers could read differently."""

    def refuse(self, data: bytes, word: str) -> None:
        """These bytes are refused with a sentence that says why."""
        error = self.assertRaises(RemoteProtocolError, loads, data)
        self.assertIn(word, str(error))

    @given(st.dictionaries(any_text, values, max_size=4))
    def test_round_trip(self, value: dict[str, Any]) -> None:
        """What is written is read."""
        self.assertEqual(loads(dumps(value)), value)

    def test_refused(self) -> None:
        """Duplicate keys at any level, constants, other encodings, other values."""
        self.refuse(b'{"a":1,"a":1}', "twice")
        self.refuse(b'{"b":[{"a":1,"\\u0061":2}]}', "twice")
        for constant in (b"NaN", b"Infinity", b"-Infinity"):
            self.refuse(b'{"a":%s}' % constant, "not JSON")
        self.refuse('{"a":"é"}'.encode("latin-1"), "UTF-8")
        self.refuse(b'{"a":"\xed\xa0\x80"}', "UTF-8")
        self.refuse('{"a":1}'.encode("utf-16"), "UTF-8")
        for other in (b"", b"[]", b"1", b'"a"', b"null", b"{} {}", b"{", b"\xef\xbb\xbf{}"):
            self.assertRaises(RemoteProtocolError, loads, other)
        self.refuse(b'{"a":' + b"9" * 5000 + b"}", "not a JSON document")

    def test_depth(self) -> None:
        """MAX_DEPTH levels are read, one more is refused, and so are a hundred thousand."""

        def nested(levels: int) -> bytes:
            return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

        loads(nested(MAX_DEPTH))
        self.refuse(nested(MAX_DEPTH + 1), "nests")
        self.refuse(nested(100_000), "nests")
        self.refuse(b'{"a":"","b":' + b'[{"a":' * 50_000, "nests")

    def test_brackets_in_text(self) -> None:
        """What a person writes may have any number of brackets, quotes and backslashes."""
        for text in ("[" * 1000, '"' + "{" * 1000, "\\" + "[" * 1000, '\\"' * 500 + "{" * 500):
            self.assertEqual(loads(dumps({"a": text})), {"a": text})

    @settings(max_examples=300)
    @given(st.one_of(st.binary(max_size=60), st.text('{}[]":,\\u0d8nul1e9-. ', max_size=40)))
    @example(b'{"a":"' + b"\\" * 1000 + b"[" * 100)
    def test_any_bytes(self, data: bytes | str) -> None:
        """Any bytes raise only our error."""
        data = data if isinstance(data, bytes) else data.encode()
        try:
            value = loads(data)
        except RemoteProtocolError:
            return
        self.assertEqual(value, json.loads(data))


class DumpTests(SynchronousTestCase):
    """What we write can be carried by UTF-8 and is read by everybody."""

    def test_compact(self) -> None:
        """No spaces, and no escapes where none are needed."""
        self.assertEqual(dumps({"a": [1, "é\n"]}), '{"a":[1,"é\\n"]}'.encode())

    @given(st.text(st.characters(), max_size=30))
    @example("\ud800")
    @example("a\ud800\udbffb\udc00")
    def test_surrogates(self, text: str) -> None:
        """A lone surrogate becomes one U+FFFD: the text never gets longer."""
        read = loads(dumps({"a": text}))["a"]
        self.assertLessEqual(len(read), len(text))
        self.assertEqual(read.isascii(), text.isascii())
        if not any("\ud800" <= character <= "\udfff" for character in text):
            self.assertEqual(read, text)
        self.assertEqual(loads(dumps({"a": "x\ud800y\udc00"}))["a"], "x\ufffdy\ufffd")


class FieldTests(SynchronousTestCase):
    """Members are of exactly the type that is asked for."""

    def test_types(self) -> None:
        """A bool is no integer, an integer no bool, and null is not there."""
        cases: tuple[tuple[Any, type[Any]], ...] = (
            *((True, int), (1, bool), (1.0, int), ("1", int), (None, str), (["a"], str)),
            *(({}, list), ([], dict), (-1, int), (2**53 + 1, int), ("\ud800", str)),
        )
        for value, kind in cases:
            with self.subTest(value=value, kind=kind):
                self.assertRaises(RemoteProtocolError, field, {"a": value}, "a", kind)
                if value is not None:
                    self.assertRaises(RemoteProtocolError, optional, {"a": value}, "a", kind, None)
        self.assertRaises(RemoteProtocolError, field, {}, "a", str)

    def test_limits(self) -> None:
        """``most`` is the length of a text or list and the value of a number."""
        cases: tuple[tuple[Any, Any, type[Any]], ...] = (
            *(("ab", "abc", str), ([1, 2], [1, 2, 3], list), (2, 3, int)),
        )
        for good, bad, kind in cases:
            self.assertEqual(field({"a": good}, "a", kind, 2), good)
            self.assertRaises(RemoteProtocolError, field, {"a": bad}, "a", kind, 2)

    def test_long_and_odd(self) -> None:
        """What is too long is refused for that, before anybody looks through it."""
        with self.assertRaises(RemoteProtocolError) as caught:
            field({"a": "\ud800" * 5}, "a", str, 4)
        self.assertIn("longer than 4", str(caught.exception))

    def test_optional(self) -> None:
        """What is absent or null has its default."""
        self.assertEqual(optional({}, "a", int, 7), 7)
        self.assertEqual(optional({"a": None}, "a", int, 7), 7)
        self.assertEqual(optional({"a": 0}, "a", int, 7), 0)

    def test_timestamp(self) -> None:
        """A time is a finite number of seconds since 1970."""
        self.assertEqual(timestamp({"a": 0}, "a"), 0.0)
        self.assertEqual(timestamp({"a": 1.5}, "a"), 1.5)
        times: tuple[Any, ...] = (-1, 1e11, 10**400, math.inf, math.nan, True, "1", None, [])
        for value in times:
            with self.subTest(value=value):
                self.assertRaises(RemoteProtocolError, timestamp, {"a": value}, "a")
