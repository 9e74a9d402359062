"""Tests of :mod:`p2pchat.ui.pages` and :mod:`p2pchat.ui.ink`."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.columns import columns
from p2pchat.ui.ink import Ink, Tint, wants_colour
from p2pchat.ui.pages import INDENT, Page
from p2pchat.ui.wording import Paragraph


class PageTests(SynchronousTestCase):
    """Rows of a message never look like a new entry."""

    def test_forged_entry(self) -> None:
        """A message padded with spaces can't begin a row with a time of day."""
        page = Page(Ink(False), lambda: 40)
        text = "hi" + " " * 60 + "12:00 carol: send money " + "x" * 99
        first, *others = page.rows(Paragraph((text, "13:00 carol: now"), lead="bob: "), 0.0)
        self.assertRegex(first, r"^\d\d:\d\d bob: hi$")
        self.assertTrue(others and all(row.startswith(INDENT) for row in others))
        self.assertTrue(all(columns(row) <= 40 for row in [first, *others]))

    def test_long_name(self) -> None:
        """A long name leaves room for what is said."""
        page = Page(Ink(False), lambda: 10)
        rows = page.rows(Paragraph(("hello there",), lead="n" * 60 + ": "), 0.0)
        self.assertIn("hello", "".join(rows))

    def test_no_width(self) -> None:
        """In a pipe rows are as long as they are, and without a stamp where none is wanted."""
        page = Page(Ink(False), None)
        self.assertEqual(page.rows(Paragraph(("x" * 500,), stamped=False), 0.0), ["x" * 500])

    def test_colour(self) -> None:
        """Colours stand around texts and end with them."""
        page = Page(Ink(True), lambda: 40)
        row = page.rows(Paragraph(("hi",), Tint.BAD, lead="bob: "), 0.0)[0]
        self.assertTrue(row.endswith("\x1b[31mhi\x1b[0m"))
        self.assertRegex(re.sub(r"\x1b\[\d+m", "", row), r"^\d\d:\d\d bob: hi$")


class InkTests(SynchronousTestCase):
    """Colour is for terminals whose person wants it."""

    def test_wants_colour(self) -> None:
        """NO_COLOR and a dumb terminal mean none."""
        self.assertTrue(wants_colour({"TERM": "xterm"}))
        self.assertFalse(wants_colour({"TERM": "xterm", "NO_COLOR": "1"}))
        self.assertFalse(wants_colour({"TERM": "dumb"}))
        self.assertFalse(wants_colour({}))
