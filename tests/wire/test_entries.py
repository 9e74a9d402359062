"""Entries of a conversation: what comes back as it was, and what is refused."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.entries import (
    MAX_AFTER,
    MAX_ITEMS,
    MAX_NUMBER,
    MAX_TEXT,
    MAX_TIME,
    TEXT,
    Item,
    Known,
    LogEntry,
    conversation_id,
    decode_have,
    encode_have,
    read_text,
    write_text,
)
from p2pchat.wire.framing import MAX_FRAME
from tests.cases import each
from tests.wire.frames import changed

ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, MAX_NUMBER)
kinds = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255)
made = st.builds(
    LogEntry,
    *(ids, ids, ids, ids, numbers, st.binary(min_size=32, max_size=32), numbers),
    *(st.integers(0, MAX_TIME), kinds),
    st.lists(st.builds(Known, ids, ids, numbers), max_size=MAX_AFTER).map(tuple),
    st.binary(max_size=200),
)
ID = bytes(16)
GOOD = LogEntry(ID, ID, ID, ID, 1, bytes(32), 1, 0, TEXT, (), b"hi")
ITEM = Item(bytes(16), bytes(16), 1, 0)


class EntryTests(SynchronousTestCase):
    """Entries, as bytes."""

    def refuse(self, data: bytes) -> None:
        """These bytes are refused."""
        self.assertRaises(RemoteProtocolError, LogEntry.decode, data)

    @given(made)
    def test_round_trip(self, entry: LogEntry) -> None:
        """Every entry comes back as it was, and is written as it came."""
        data = entry.encode()
        self.assertEqual(LogEntry.decode(data), entry)
        self.assertEqual(LogEntry.decode(data).encode(), data)

    @given(st.binary(max_size=400))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes raise only our error, and so does an entry that is damaged."""
        damaged = GOOD.encode()[: len(data)] + data
        for one in (data, damaged):
            with contextlib.suppress(RemoteProtocolError):
                LogEntry.decode(one)

    def test_cut_short(self) -> None:
        """An entry of which a byte is missing is refused."""
        whole = changed(GOOD, after=(Known(bytes(16), bytes(16), 1),)).encode()
        for length in range(len(whole)):
            self.refuse(whole[:length])

    def test_signature(self) -> None:
        """A signature is read if all of it is there, and what follows it is skipped."""
        unsigned = GOOD.encode()[:-2]
        signed = changed(GOOD, signature=b"sig")
        self.assertEqual(LogEntry.decode(unsigned + b"\x00\x03sig"), signed)
        self.assertEqual(
            (signed.encode(), signed.unsigned_size), (unsigned + b"\x00\x03sig", len(unsigned))
        )
        self.assertEqual(LogEntry.decode(unsigned + b"\x00\x00more"), GOOD)
        self.refuse(unsigned + b"\x00\x04sig")

    @each(
        {"number": MAX_NUMBER + 1},
        {"lamport": MAX_NUMBER + 1},
        {"sent_at": MAX_TIME + 1},
        {"kind": ""},
        {"after": (Known(bytes(16), bytes(16), 1),) * (MAX_AFTER + 1)},
    )
    def test_limits(self, members: dict[str, object]) -> None:
        """Numbers that nobody reaches, no kind, and too many entries before are refused."""
        self.refuse(changed(GOOD, **members).encode())

    def test_kind(self) -> None:
        """The kind is a word in ASCII."""
        data = bytearray(GOOD.encode())
        data[121] = 0xFF
        self.refuse(bytes(data))

    def test_longest(self) -> None:
        """The longest text fits a frame, whatever its characters."""
        for character in ("x", "é", "漢", "😀"):
            body = write_text(character * MAX_TEXT)
            self.assertLess(len(changed(GOOD, body=body).encode()), MAX_FRAME // 2 + 4096)
            self.assertEqual(read_text(body), character * MAX_TEXT)


class TextTests(SynchronousTestCase):
    """Bodies of texts."""

    @each(b"\xff", "x".encode("utf-16"), b"\xed\xa0\x80", b"x" * (MAX_TEXT + 1))
    def test_refused(self, body: bytes) -> None:
        """What isn't UTF-8, a lone surrogate among it, or is too long, is refused."""
        self.assertRaises(RemoteProtocolError, read_text, body)

    @given(st.text(max_size=100))
    def test_any_text(self, text: str) -> None:
        """Any text is written; but for lone surrogates it comes back as it was."""
        self.assertEqual(read_text(write_text(text)), text)

    def test_lone_surrogates(self) -> None:
        """A lone surrogate becomes one U+FFFD; a pair of them one character."""
        self.assertEqual(read_text(write_text("a\ud800b😀")), "a\ufffdb😀")


class HaveTests(SynchronousTestCase):
    """What each side has of the logs."""

    @given(st.lists(st.builds(Item, ids, ids, numbers, numbers, hashes), max_size=5))
    def test_round_trip(self, items: list[Item]) -> None:
        """Items come back as they were."""
        self.assertEqual(decode_have(encode_have(items)[1:]), items)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes raise only our error, or are items."""
        with contextlib.suppress(RemoteProtocolError):
            self.assertEqual(encode_have(decode_have(data))[1:], data)

    def test_limits(self) -> None:
        """Half an item, too many, and numbers that nobody reaches are refused."""
        for items in (
            encode_have([ITEM])[1:-1],
            encode_have([ITEM] * (MAX_ITEMS + 1))[1:],
            encode_have([changed(ITEM, oldest=MAX_NUMBER + 1)])[1:],
            encode_have([changed(ITEM, number=MAX_NUMBER + 1)])[1:],
        ):
            self.assertRaises(RemoteProtocolError, decode_have, items)


class ConversationTests(SynchronousTestCase):
    """Ids of conversations."""

    def test_both_ways(self) -> None:
        """Both sides make the same id; others make others."""
        one, two, three = (bytes([n]) * 16 for n in (1, 2, 3))
        self.assertEqual(conversation_id(one, two), conversation_id(two, one))
        self.assertNotEqual(conversation_id(one, two), conversation_id(one, three))
        self.assertEqual(len(conversation_id(one, two)), 16)
