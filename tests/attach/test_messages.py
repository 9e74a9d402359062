"""Tests of :mod:`p2pchat.attach.messages`."""

from __future__ import annotations

import json

import hypothesis.strategies as st
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.attach.messages import (
    FEATURES,
    MAX_HELLO,
    MAX_REQUEST,
    PROTOCOL,
    NodeHello,
    ProgramHello,
    decode,
    decode_node_hello,
    decode_program_hello,
    encode,
    encode_hello,
    refusal_of,
)
from p2pchat.errors import RemoteProtocolError

PROGRAM = ProgramHello("0.1.0", FEATURES, ("json", "stream"))
NODE = NodeHello("0.1.0", FEATURES, 123, "an id", "alice")


class HelloTests(SynchronousTestCase):
    """The first lines of both sides."""

    def test_there_and_back(self) -> None:
        """What one side says the other reads."""
        self.assertEqual(decode_program_hello(encode_hello(PROGRAM)), PROGRAM)
        self.assertEqual(decode_node_hello(encode_hello(NODE)), NODE)
        refused = NodeHello("0.1.0", (), 1, error="full", reason="too many")
        self.assertEqual(decode_node_hello(encode_hello(refused)), refused)

    def test_later_versions(self) -> None:
        """Members and words of a later version are no error."""
        members = {**json.loads(encode_hello(PROGRAM)), "p2pchat": 9, "new": [1], "features": ["x"]}
        found = decode_program_hello(encode(members))
        self.assertEqual((found.protocol, found.features), (9, ("x",)))

    def test_broken(self) -> None:
        """Anything else is one kind of error."""
        lines = (
            *(b"", b"\n", b"hello\n", b"[]\n", b"{}\n", b'{"p2pchat":true}\n', b"\xff\n"),
            *(b'{"p2pchat":1,"wants":"json"}\n', b'{"p2pchat":1,"wants":[1]}\n'),
            encode({"p2pchat": 1, "wants": ["x"] * 100}),
            encode({"p2pchat": 1, "version": "x" * MAX_HELLO}),
        )
        for line in lines:
            self.assertRaises(RemoteProtocolError, decode_program_hello, line)
            if b"wants" not in line:
                self.assertRaises(RemoteProtocolError, decode_node_hello, line)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, line: bytes) -> None:
        """No bytes raise anything else."""
        for read in (decode_program_hello, decode_node_hello):
            try:
                read(line)
            except RemoteProtocolError as error:
                self.assertTrue(str(error))

    def test_refusals(self) -> None:
        """Whoever is older is to be restarted; nobody gets what isn't offered."""
        newer = ProgramHello("0.1.0", FEATURES, ("json",), PROTOCOL + 1)
        for hello, offered, word in (
            (PROGRAM, FEATURES, ""),
            (newer, FEATURES, "restart-node"),
            (ProgramHello("0.1.0", FEATURES, ("hologram",)), FEATURES, "restart-node"),
            (ProgramHello("0.1.0", FEATURES, ("json",), 0), FEATURES, "restart-program"),
            (PROGRAM, ("json",), "not-offered"),
            (ProgramHello("0.1.0", FEATURES, ()), FEATURES, "nothing-wanted"),
        ):
            found, sentence = refusal_of(hello, offered)
            self.assertEqual((found, bool(sentence)), (word, bool(word)))


class LineTests(SynchronousTestCase):
    """The lines after them."""

    def test_one_line(self) -> None:
        """An object is one line, whatever is in it."""
        line = encode({"text": "a\nb\u2028\ud800"})
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(decode(encode({"text": "a\nb\u2028"})), {"text": "a\nb\u2028"})

    def test_too_long(self) -> None:
        """A line has a bound."""
        self.assertRaises(RemoteProtocolError, decode, b"{" + b" " * MAX_REQUEST + b"}")
