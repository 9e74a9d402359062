"""Tests of :mod:`p2pchat.ui.text_lines`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.text_lines import MAX_LINE, TextLines


class TextLinesTests(SynchronousTestCase):
    """Lines come out whole, however their bytes arrive."""

    def test_pieces(self) -> None:
        """A character and a line end may be cut in two."""
        lines = TextLines()
        whole = [line for byte in "né\r\nb\n".encode() for line in lines.receive(bytes([byte]))]
        self.assertEqual(whole, ["né", "b"])

    def test_end(self) -> None:
        """The last line needs no line end."""
        lines = TextLines()
        self.assertEqual(lines.receive(b"a\nb"), ["a"])
        self.assertEqual(lines.finish(), ["b"])
        self.assertEqual(lines.finish(), [])

    def test_not_utf8(self) -> None:
        """Bytes that aren't UTF-8 are replaced."""
        self.assertEqual(TextLines().receive(b"\xff\n"), ["\ufffd"])

    def test_overlong(self) -> None:
        """A line that is too long is dropped once, and the next is whole again."""
        lines = TextLines()
        self.assertEqual(lines.receive(b"x" * (MAX_LINE + 1)), [])
        self.assertEqual(lines.receive(b"x" * 10), [])
        self.assertEqual(lines.receive(b"\nshort\n"), [None, "short"])
        self.assertEqual(lines.receive(b"y" * (MAX_LINE + 1) + b"\n"), [None])
