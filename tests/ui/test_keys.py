"""Tests of :mod:`p2pchat.ui.keys`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.keys import MAX_PASTE, MAX_SEQUENCE, Focus, Key, KeyReader, Overlong, Press, Typed


def read(data: bytes) -> list[Press]:
    """Return the keys of bytes that arrive one by one."""
    keys = KeyReader()
    return [key for byte in data for key in keys.receive(bytes([byte]))]


class KeyReaderTests(SynchronousTestCase):
    """Bytes become keys, in whatever pieces they come."""

    def test_text(self) -> None:
        """Text of several bytes a character arrives whole."""
        self.assertEqual(read("é👍".encode()), [Typed("é"), Typed("👍")])
        self.assertEqual(KeyReader().receive("é👍".encode()), [Typed("é👍")])

    def test_arrows(self) -> None:
        """Cursor keys in both modes of a terminal are known."""
        self.assertEqual(
            read(b"\x1b[A\x1bOB\x1b[1;5C\x1b[3~"), [Key.UP, Key.DOWN, Key.WORD_RIGHT, Key.DELETE]
        )

    def test_focus(self) -> None:
        """A terminal that gets the focus, or loses it, says so between keys."""
        self.assertEqual(read(b"a\x1b[O\x1b[Ib"), [Typed("a"), Focus.OUT, Focus.IN, Typed("b")])

    def test_unknown(self) -> None:
        """A sequence that isn't known leaves nothing behind, and neither does an endless one."""
        self.assertEqual(read(b"\x1b[?1;2c\x1b[99~a"), [Typed("a")])
        endless = read(b"\x1b[" + b"1" * MAX_SEQUENCE + b"\r")
        self.assertEqual(endless[-1], Key.ENTER)

    def test_alt(self) -> None:
        """Alt with a letter moves by words; Escape before another key is that key."""
        self.assertEqual(read(b"\x1bb\x1bx\x1b\r"), [Key.WORD_LEFT, Typed("x"), Key.ENTER])

    def test_paste(self) -> None:
        """A paste is text with its newlines, whatever else it holds."""
        pasted = read(b"\x1b[200~one\r\ntwo\x1b[A\x03\r\x1b[201~x")
        self.assertEqual(pasted, [Typed("one\ntwo\x1b[A\x03", True), Typed("x")])

    def test_huge_paste(self) -> None:
        """A paste without end is not kept, and its length is told when it ends."""
        keys = KeyReader()
        self.assertEqual(keys.receive(b"\x1b[200~" + b"x" * (MAX_PASTE + 1)), [])
        self.assertEqual(keys.receive(b"\x1b[201~\r"), [Overlong(MAX_PASTE + 1), Key.ENTER])
        self.assertEqual(keys.receive(b"\x1b[200~y\x1b[201~"), [Typed("y", True)])

    @given(st.binary())
    def test_any_bytes(self, data: bytes) -> None:
        """No bytes raise, and pieces make no difference to what isn't text."""
        whole = [key for key in KeyReader().receive(data) if isinstance(key, Key)]
        self.assertEqual([key for key in read(data) if isinstance(key, Key)], whole)
