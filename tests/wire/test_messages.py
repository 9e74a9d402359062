"""Control frames and openings: every type round trips, and bad ones raise only our error."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.messages import (
    MAX_FEATURES,
    MAX_STREAMS,
    ControlMessage,
    Credit,
    Disconnect,
    Hello,
    Mailbox,
    Opening,
    Ping,
    Pong,
    Proof,
    StreamRefusal,
    Written,
    decode,
    encode,
)
from p2pchat.wire.strict_json import dumps, loads
from tests.wire.json_values import damaged, text_of
from tests.wire.names import usernames

numbers = st.integers(0, 2**53)
messages = st.one_of(
    st.builds(Proof, st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64)),
    st.builds(Hello, usernames, st.lists(text_of(0, 64), max_size=3).map(tuple)),
    st.builds(Ping, numbers),
    st.builds(Pong, numbers),
    st.builds(Credit, numbers, numbers),
    st.builds(Mailbox, st.binary(max_size=32), st.lists(text_of(0, 64), max_size=5).map(tuple)),
    st.builds(StreamRefusal, numbers, text_of(0, 64), text_of(0, 200)),
    st.builds(
        Disconnect,
        text_of(0, 64),
        text_of(0, 200),
        st.lists(st.builds(Written, numbers, numbers), max_size=3).map(tuple),
    ),
)


def members(message: ControlMessage, **changed: Any) -> dict[str, Any]:
    """Return the members of a message, some changed; ``None`` removes one."""
    good = {**loads(encode(message)), **changed}
    return {name: value for name, value in good.items() if value is not None}


class MessageTests(SynchronousTestCase):
    """The seven types."""

    def refuse(self, message: ControlMessage, **changed: Any) -> None:
        """The message with these members is refused."""
        with self.subTest(**changed):
            self.assertRaises(RemoteProtocolError, decode, dumps(members(message, **changed)))

    @settings(max_examples=200)
    @given(messages)
    def test_round_trip(self, message: ControlMessage) -> None:
        """Every type comes back from the wire as it was."""
        read = decode(encode(message))
        self.assertEqual(read, message)
        self.assertIs(type(read), type(message))

    @settings(max_examples=300)
    @given(damaged(messages.map(members)))
    def test_any_object(self, members: dict[str, Any]) -> None:
        """Any JSON object raises only our error."""
        with contextlib.suppress(RemoteProtocolError):
            decode(dumps(members))

    def test_unknown(self) -> None:
        """Unknown members and types are ignored; a type must be there."""
        self.assertEqual(decode(dumps(members(Ping(3), future=[1]))), Ping(3))
        self.assertIsNone(decode(dumps(members(Ping(3), type="WAVING"))))
        self.refuse(Ping(3), type=None)
        self.refuse(Ping(3), type=[])

    def test_limits(self) -> None:
        """Words, keys, signatures and lists have their lengths."""
        self.refuse(Credit(2, 0), offset=-1)
        self.refuse(Credit(2, 0), stream=None)
        self.refuse(Proof(bytes(32), bytes(64)), key="AA")
        self.refuse(Proof(bytes(32), bytes(64)), signature=None)
        self.refuse(Disconnect("left"), reason="x" * 65)
        self.refuse(Hello("bob"), username=None)
        self.refuse(Hello("bob"), features=["x"] * (MAX_FEATURES + 1))
        self.refuse(Hello("bob"), features=[1])
        written = Written(2, 1).to_json()
        self.refuse(Disconnect("left"), streams=[written] * (MAX_STREAMS + 1))

    def test_defaults(self) -> None:
        """What may be absent may be."""
        self.assertEqual(decode(b'{"type":"HELLO","username":"bob"}'), Hello("bob"))
        self.assertEqual(decode(b'{"type":"DISCONNECT","reason":"left"}'), Disconnect("left"))
        self.assertEqual(
            decode(b'{"type":"REFUSED","stream":6,"reason":"x"}'), StreamRefusal(6, "x")
        )


class OpeningTests(SynchronousTestCase):
    """How a stream begins."""

    @given(text_of(0, 64), text_of(0, 64))
    def test_round_trip(self, kind: str, of: str) -> None:
        """An opening comes back as it was, whatever else a newer program says in it."""
        opening = Opening(kind, of)
        self.assertEqual(Opening.decode(opening.encode()), opening)
        newer = dumps({**opening.to_json(), "future": 1})
        self.assertEqual(Opening.decode(newer), opening)

    def test_refused(self) -> None:
        """It must have a kind, and both words their length."""
        for bad in (b"", b"{}", b'{"kind":1}', b'{"kind":"x","of":[]}', b"\x01\x02"):
            self.assertRaises(RemoteProtocolError, Opening.decode, bad)
        self.assertRaises(RemoteProtocolError, Opening.decode, Opening("x", "y" * 65).encode())
