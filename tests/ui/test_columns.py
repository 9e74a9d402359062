"""Tests of :mod:`p2pchat.ui.columns`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.columns import columns, cut, joins_previous
from tests.ui.rows import wrap


class ColumnsTests(SynchronousTestCase):
    """Text is measured so that it never takes more than was said."""

    def test_widths(self) -> None:
        """Wide characters take two columns, marks none."""
        self.assertEqual([columns(text) for text in ("abc", "漢字", "e\u0301", "👍")], [3, 4, 1, 2])

    def test_disagreement(self) -> None:
        """What became wide in a later Unicode takes two columns, whichever Python this is."""
        self.assertEqual([columns(one) for one in "\u2630\u268a\u4dc0🇩\U0001d300"], [2] * 5)

    def test_cut(self) -> None:
        """A text that is too wide ends with an ellipsis within the width."""
        self.assertEqual(cut("abcdef", 6), "abcdef")
        self.assertEqual(cut("abcdef", 4), "abc…")
        self.assertEqual(cut("漢字漢", 4), "漢…")
        self.assertEqual(cut("abc", 0), "")

    def test_wrap_at_spaces(self) -> None:
        """Rows break at spaces, which then belong to no row."""
        self.assertEqual(wrap("one two three", 7, 5), ["one two", "three"])
        self.assertEqual(wrap("abcdefghij", 4, 3), ["abcd", "efg", "hij"])
        self.assertEqual(wrap("漢 字漢字", 6, 4), ["漢", "字漢", "字"])
        self.assertEqual(wrap("", 4, 4), [""])
        self.assertEqual(wrap("abcd ", 4, 4), ["abcd"])

    def test_clusters(self) -> None:
        """Marks and joined emoji belong to what stands before them."""
        text = "ae\u0301👨\u200d👩"
        self.assertEqual(
            [joins_previous(text, at) for at in range(6)], [False] * 2 + [True, False] + [True] * 2
        )

    @given(st.text(st.characters(min_codepoint=32, exclude_categories=("C", "Z"))))
    def test_wrap_loses_nothing(self, text: str) -> None:
        """Text without spaces is whole when its rows are joined, and each row fits."""
        rows = wrap(text, 5, 3)
        self.assertEqual("".join(rows), text)
        self.assertLessEqual(columns(rows[0]), 5)
        self.assertTrue(all(columns(row) <= 3 for row in rows[1:]))
