"""Contents of envelopes: the frames of a link, shorter."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.entries import ENTRY, HAVE, NOTHING, TEXT, LogEntry
from p2pchat.wire.envelopes import (
    COARSE,
    COARSE_STEP,
    FOLLOWING,
    MAX_CONTENTS,
    MAX_FRAMES,
    STEP,
    decode_contents,
    encode_contents,
    pad,
    unpad,
)
from p2pchat.wire.framing import encode_frame
from tests.pages import ROOT

ID = bytes(16)


def log(texts: list[bytes], name: bytes = ID) -> list[bytes]:
    """Return the frames of a log that has these texts."""
    bodies, previous = [], NOTHING
    for number, text in enumerate(texts, 1):
        entry = LogEntry(ID, ID, ID, name, number, previous, number, 0, TEXT, (), text)
        bodies.append(ENTRY + entry.encode() + b"newer" * (number % 2))
        previous = sha256(bodies[-1][1:]).digest()
    return bodies


class ContentsTests(SynchronousTestCase):
    """What is written is read."""

    @given(st.lists(st.one_of(st.binary(max_size=300), st.sampled_from(log([b"a", b"b", b"c"])))))
    def test_any(self, bodies: list[bytes]) -> None:
        """Any frames come out as they went in, but what only an envelope has."""
        bodies = [one for one in bodies if one[:1] != FOLLOWING]
        self.assertEqual(decode_contents(encode_contents(bodies)), bodies)

    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
    def test_log(self, texts: list[bytes]) -> None:
        """A log comes out as it went in, with what a newer program wrote after an entry."""
        bodies = [HAVE, *log(texts), *log(texts, b"l" * 16)]
        self.assertEqual(decode_contents(encode_contents(bodies)), bodies)

    def test_hundred(self) -> None:
        """A hundred lines of 80 characters are less than 12 KB."""
        contents = encode_contents(log([b"x" * 80] * 100))
        self.assertLess(len(contents), 12_000)

    def test_follows_none(self) -> None:
        """What follows none is refused, and so is what is cut short."""
        whole = encode_contents(log([b"a", b"b"]))
        for data in (encode_frame(FOLLOWING + b"x" * 99), whole[:-1], b"\x00", b"\xff" * 8):
            with self.assertRaises(RemoteProtocolError):
                decode_contents(data)

    def test_many(self) -> None:
        """So many frames that each costs more than its bytes are refused."""
        decode_contents(encode_frame(b"") * MAX_FRAMES)
        with self.assertRaises(RemoteProtocolError):
            decode_contents(encode_frame(b"") * (MAX_FRAMES + 1))


class PaddingTests(SynchronousTestCase):
    """Sizes tell steps alone."""

    @given(st.binary(max_size=3 * STEP))
    def test_any(self, contents: bytes) -> None:
        """What is padded is found again, and a whole number of steps long."""
        padded = pad(contents)
        self.assertEqual(unpad(padded), contents)
        self.assertEqual(len(padded) % STEP, 0)

    def test_coarse(self) -> None:
        """Long ones have greater steps."""
        self.assertEqual(len(pad(bytes(COARSE))), COARSE + COARSE_STEP)

    def test_cut(self) -> None:
        """What is cut short is refused."""
        for padded in (b"", b"\x00\x00\x00\x05abcd", b"\xff" * 40):
            with self.assertRaises(RemoteProtocolError):
                unpad(padded)


class PageTests(SynchronousTestCase):
    """The numbers of docs/protocol.rst."""

    def test_numbers(self) -> None:
        """The page has those of this module."""
        words = " ".join((ROOT / "docs/protocol.rst").read_text().split())
        self.assertIn(
            f"a multiple of {STEP:,} bytes, above {COARSE:,} of {COARSE_STEP:,}; contents have at "
            f"most {MAX_CONTENTS:,} bytes",
            words,
        )
        self.assertIn(f"An envelope has at most {MAX_FRAMES:,}.", words)
