"""Tests of :mod:`p2pchat.wire.visible`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.wire.visible import MAX_NAME, visible, visible_lines, visible_name

_KEPT = "\u200c\u200d"


class VisibleTests(SynchronousTestCase):
    """What a terminal would obey is shown, and what people write stays as it is."""

    def test_controls(self) -> None:
        """Escape, bell, C1 controls and a carriage return are written out."""
        self.assertEqual(visible("\x1b[31m\a\x9b\r\x7f"), r"\x1b[31m\x07\x9b\r\x7f")

    def test_hidden(self) -> None:
        """Bidirectional, zero-width, tag and filler characters and surrogates are written out."""
        shown = visible("\u202e\u2066\u200b\ufeff\xad\u3164\U000e0041\ud800")
        self.assertEqual(shown, r"\u202e\u2066\u200b\ufeff\xad\u3164\U000e0041\ud800")

    def test_text_stays(self) -> None:
        """Words of many scripts, emoji and emoji made of several stay as they are."""
        for text in (
            "naïve Ångström",
            "עברית",
            "می‌خواهم",
            "क्‍ष",
            "日本語",
            "👍🏽",
            "❤️",
            "1️⃣",
            "👨‍👩‍👧",
            "❤️‍🔥",
        ):
            self.assertEqual(visible(text), text)

    def test_joiner_elsewhere(self) -> None:
        """A joiner between Latin letters, at an end or doubled hides nothing."""
        self.assertEqual(visible("a\u200db\u200c"), r"a\u200db\u200c")
        self.assertEqual(visible("👨\u200d\u200d👩"), "👨\\u200d\\u200d👩")

    def test_selectors(self) -> None:
        """A variation selector that chooses nothing is shown."""
        self.assertEqual(visible("a\ufe0f\U000e0100"), r"a\ufe0f\U000e0100")

    def test_marks(self) -> None:
        """Marks stay up to four on a base; a mark without base gets a dotted circle."""
        self.assertEqual(
            visible("e\u0301" + "\u0300" * 5), "e\u0301" + "\u0300" * 3 + r"\u0300" * 2
        )
        self.assertEqual(visible("\u0301"), "\u25cc\u0301")
        self.assertEqual(visible("\x1b\u0301"), "\\x1b\u25cc\u0301")

    def test_spaces(self) -> None:
        """Spaces of any width are spaces."""
        self.assertEqual(visible("a\u00a0b\u202fc\u3000d"), "a b c  d")

    def test_lines(self) -> None:
        """Only LF and CR LF end a line of a message; a tab is four spaces there."""
        self.assertEqual(visible_lines("a\n\tb\r\nc\rd\u2028"), ["a", "    b", r"c\rd\u2028"])
        self.assertEqual(visible_lines(""), [""])

    def test_names(self) -> None:
        """A name is one short line that isn't empty."""
        self.assertEqual(visible_name("  Bob \n B. "), r"Bob \n B.")
        self.assertEqual(visible_name(" "), "?")
        self.assertEqual(len(visible_name("x" * 99)), MAX_NAME)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever the text, nothing is left that isn't printable, joiners apart."""
        shown = visible(text)
        self.assertTrue(all(one.isprintable() or one in _KEPT for one in shown))
        self.assertEqual(visible(shown), shown)
