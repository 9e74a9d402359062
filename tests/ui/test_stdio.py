"""Tests of :mod:`p2pchat.ui.stdio`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.stdio import MAX_LINE, LineReader


class LineReaderTests(SynchronousTestCase):
    """Lines come out whole, however their bytes arrive."""

    def test_pieces(self) -> None:
        """A character and a line end may be cut in two."""
        lines = LineReader()
        whole = [line for byte in "né\r\nb\n".encode() for line in lines.receive(bytes([byte]))]
        self.assertEqual(whole, ["né", "b"])

    def test_end(self) -> None:
        """The last line needs no line end."""
        lines = LineReader()
        self.assertEqual(lines.receive(b"a\nb"), ["a"])
        self.assertEqual(lines.finish(), ["b"])
        self.assertEqual(lines.finish(), [])

    def test_not_utf8(self) -> None:
        """Bytes that aren't UTF-8 are replaced."""
        self.assertEqual(LineReader().receive(b"\xff\n"), ["\ufffd"])

    def test_overlong(self) -> None:
        """A line that is too long is dropped once, and the next is whole again."""
        lines = LineReader()
        self.assertEqual(lines.receive(b"x" * (MAX_LINE + 1)), [])
        self.assertEqual(lines.receive(b"x" * 10), [])
        self.assertEqual(lines.receive(b"\nshort\n"), [None, "short"])
        self.assertEqual(lines.receive(b"y" * (MAX_LINE + 1) + b"\n"), [None])
