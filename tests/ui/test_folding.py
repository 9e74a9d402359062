"""Tests of :mod:`p2pchat.ui.folding`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.columns import columns
from p2pchat.ui.folding import PIECE, fold
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
        self.assertTrue(all(columns(row) <= width for row in rows))
        self.assertTrue(all(len(fold(text, width, width, n)[0]) <= n for n in (1, 2, 3)))
