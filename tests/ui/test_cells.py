"""Tests of :mod:`p2pchat.ui.cells`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.cells import PIECE, cell_width, cut, fold, joins_previous
from p2pchat.wire.visible import visible, visible_lines
from tests.ui.rows import wrap

_TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("ab \n\t\r\u0301\u200d👨👩漢\ufe0f\U000e0001"))
)


def all_rows(text: str, first: int, others: int, most: int) -> list[str]:
    """Return the rows of a text that is folded again and again."""
    rows, rest = fold(text, first, others, most)
    while rest:
        more, rest = fold(rest, others, others, most)
        rows += more
    return rows


class WidthTests(SynchronousTestCase):
    """Text is measured so that it never takes more than was said."""

    def test_widths(self) -> None:
        """Wide characters take two columns, marks none."""
        self.assertEqual(
            [cell_width(text) for text in ("abc", "漢字", "e\u0301", "👍")], [3, 4, 1, 2]
        )

    def test_disagreement(self) -> None:
        """What became wide in a later Unicode takes two columns, whichever Python this is."""
        self.assertEqual([cell_width(one) for one in "\u2630\u268a\u4dc0🇩\U0001d300"], [2] * 5)

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
        self.assertEqual(wrap("ab \u0300", 2, 2), ["ab", " \u0300"], "a mark keeps its space")

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
        self.assertLessEqual(cell_width(rows[0]), 5)
        self.assertTrue(all(cell_width(row) <= 3 for row in rows[1:]))


class FoldTests(SynchronousTestCase):
    """The first rows are those of the whole, and the rest is all that follows."""

    def test_lines(self) -> None:
        """Lines are rows; what is too wide is broken."""
        self.assertEqual(
            fold("one two three\n\nfour", 7, 5, 9), (["one two", "three", "", "four"], "")
        )
        self.assertEqual(fold("", 7, 5, 9), ([""], ""))

    def test_rest(self) -> None:
        """What doesn't fit stays as text."""
        self.assertEqual(fold("one two three\nfour", 7, 5, 1), (["one two"], "three\nfour"))
        self.assertEqual(fold("one\ntwo\nthree", 7, 5, 2), (["one", "two"], "three"))

    def test_long_line(self) -> None:
        """A line of many pieces is broken as a whole would be, marks and joiners included."""
        for unit in (
            "word ",
            "漢",
            "e\u0301\u0323",
            "👨\u200d👩 ",
            "❤\ufe0f",
            "\U000e0001",
            "\u0301",
        ):
            text = unit * PIECE
            self.assertEqual(all_rows(text, 30, 34, 1000), wrap(visible(text), 30, 34), unit)

    @given(_TEXTS, st.integers(2, 12), st.integers(1, 4))
    def test_any_text(self, text: str, width: int, most: int) -> None:
        """Nothing is lost, nothing too wide, and nothing shown that a terminal would obey."""
        rows = all_rows(text, width, width, most)
        whole = "".join(visible_lines(text)).replace(" ", "")
        self.assertEqual("".join(rows).replace(" ", ""), whole)
        self.assertTrue(all(cell_width(row) <= width for row in rows))
        self.assertTrue(all(len(fold(text, width, width, n)[0]) <= n for n in (1, 2, 3)))
