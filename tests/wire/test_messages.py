"""Chat messages: every type round trips, and bad ones raise only our error."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError, UnsupportedVersion
from p2pchat.wire.framing import MAX_FRAME
from p2pchat.wire.messages import (
    MAX_TEXT,
    ChatMessage,
    Disconnect,
    Hello,
    Ping,
    Pong,
    Proof,
    Receipt,
    TextMessage,
    decode,
    encode,
)
from p2pchat.wire.strict_json import dumps, loads
from tests.wire.json_values import damaged, text_of
from tests.wire.names import usernames

numbers = st.integers(0, 2**53)
messages = st.one_of(
    st.builds(Proof, st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64)),
    st.builds(Hello, usernames, text_of(1, 64), st.integers(1, 2**53), text_of(0, 64), numbers),
    st.builds(TextMessage, st.integers(1, 2**53), text_of(0, 200), st.floats(0, 1e10)),
    st.builds(Receipt, numbers),
    st.builds(Ping, numbers),
    st.builds(Pong, numbers),
    st.builds(Disconnect, text_of(0, 64), text_of(0, 200)),
)


def members(message: ChatMessage, **changed: Any) -> dict[str, Any]:
    """Return the members of a message, some changed; ``None`` removes one."""
    good = {**loads(encode(message, 1.0)), **changed}
    return {name: value for name, value in good.items() if value is not None}


class MessageTests(SynchronousTestCase):
    """The seven types."""

    def refuse(self, message: ChatMessage, **changed: Any) -> None:
        """The message with these members is refused."""
        with self.subTest(**changed):
            self.assertRaises(RemoteProtocolError, decode, dumps(members(message, **changed)))

    @settings(max_examples=200)
    @given(messages, st.floats(0, 1e10))
    @example(TextMessage(1, "[" * 100 + '{"\\', 1.0), 1.0)
    def test_round_trip(self, message: ChatMessage, now: float) -> None:
        """Every type comes back from the wire as it was."""
        read = decode(encode(message, now))
        self.assertEqual(read, message)
        self.assertIs(type(read), type(message))

    @settings(max_examples=300)
    @given(damaged(messages.map(members)))
    def test_any_object(self, members: dict[str, Any]) -> None:
        """Any JSON object raises only our error."""
        with contextlib.suppress(RemoteProtocolError):
            decode(dumps(members))

    def test_unknown(self) -> None:
        """Unknown members and types are ignored; an unknown version is refused by name."""
        self.assertEqual(decode(dumps(members(Ping(3), future=[1]))), Ping(3))
        self.assertIsNone(decode(dumps(members(Ping(3), type="TYPING"))))
        newer = dumps(members(Ping(3), v=2, type="TYPING"))
        self.assertIn("version 2", str(self.assertRaises(UnsupportedVersion, decode, newer)))

    def test_common_members(self) -> None:
        """Version, type and time must be there, even where the type isn't known."""
        for name in ("v", "type", "time"):
            self.refuse(Ping(1), **{name: None})
            self.refuse(Ping(1), **{"type": "TYPING", name: []})

    def test_limits(self) -> None:
        """Messages are numbered from 1; texts, keys and signatures have their lengths."""
        self.refuse(TextMessage(1, "", 1.0), sequence=0)
        self.refuse(TextMessage(1, "", 1.0), text="x" * (MAX_TEXT + 1))
        self.refuse(Receipt(0), received=-1)
        self.refuse(Proof(bytes(32), bytes(64)), key="AA")
        self.refuse(Proof(bytes(32), bytes(64)), signature=None)
        self.refuse(Disconnect("left"), reason="x" * 65)
        for nameless in ("", "  ", None):
            self.refuse(Hello("bob", "e"), epoch=nameless)

    def test_hello_from_old_program(self) -> None:
        """HELLO without what has a default opens a log from its first line."""
        old = members(Hello("bob", "e"), oldest=None, known_epoch=None, received=None)
        self.assertEqual(decode(dumps(old)), Hello("bob", "e", 1, "", 0))
        self.assertEqual(decode(dumps(members(Hello("bob", "e"), oldest=0))), Hello("bob", "e"))

    def test_longest(self) -> None:
        """The longest text fits a frame, whatever its characters, and comes back no longer."""
        for character in ("x", "\0", "\x7f", "é", "😀", '"', "\\", "[", "\ud800"):
            body = encode(TextMessage(2**53, character * MAX_TEXT, 1e10 + 0.1), 1e10 + 0.1)
            self.assertLessEqual(len(body), MAX_FRAME)
            read = decode(body)
            assert isinstance(read, TextMessage)
            self.assertEqual(len(read.text), MAX_TEXT)
