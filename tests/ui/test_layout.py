"""Tests of :mod:`p2pchat.ui.layout` and :mod:`p2pchat.ui.layout`."""

from __future__ import annotations

import re
from time import localtime, mktime, strftime

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.cells import cell_width
from p2pchat.ui.layout import INDENT, LATE, Colour, Entry, Layout, Style, day, style_for


class LayoutTests(SynchronousTestCase):
    """Rows of a message never look like a new entry."""

    def test_forged_entry(self) -> None:
        """A message padded with spaces can't begin a row with a time of day."""
        layout = Layout(Style(False), lambda: 40)
        text = "hi" + " " * 60 + "12:00 carol: send money " + "x" * 99
        first, *others = layout.lay_out(Entry((text, "13:00 carol: now"), lead="bob: "), 0.0).rows
        self.assertRegex(first, r"^\d\d:\d\d bob: hi$")
        self.assertTrue(others and all(row.startswith(INDENT) for row in others))
        self.assertTrue(all(cell_width(row) <= 40 for row in [first, *others]))

    def test_long_name(self) -> None:
        """A long name leaves room for what is said."""
        layout = Layout(Style(False), lambda: 10)
        rows = layout.lay_out(Entry(("hello there",), lead="n" * 60 + ": "), 0.0).rows
        self.assertIn("hello", "".join(rows))

    def test_no_width(self) -> None:
        """In a pipe rows are as long as they are, and without a stamp where none is wanted."""
        layout = Layout(Style(False), None)
        self.assertEqual(layout.lay_out(Entry(("x" * 500,), stamped=False), 0.0).rows, ["x" * 500])

    def test_colour(self) -> None:
        """Colours stand around texts and end with them."""
        layout = Layout(Style(True), lambda: 40)
        row = layout.lay_out(Entry(("hi",), Colour.BAD, lead="bob: "), 0.0).rows[0]
        self.assertTrue(row.endswith("\x1b[1;38;5;131mhi\x1b[0m"))
        self.assertRegex(re.sub(r"\x1b\[[\d;]+m", "", row), r"^\d\d:\d\d bob: hi$")

    def test_lead(self) -> None:
        """What ends a lead stays, however long the name is."""
        layout = Layout(Style(False), lambda: 40)
        (row,) = layout.lay_out(Entry(("hi",), lead="n" * 60 + ": "), 0.0).rows
        self.assertRegex(row, r"^\d\d:\d\d n+…: hi$")

    def test_written(self) -> None:
        """What was written noticeably earlier says when; a day that isn't today has its date."""
        layout, now = Layout(Style(False), None), 1_795_000_000.0
        said = Entry(("hi", "ho"), lead="bob: ")
        for seconds, shown in (
            (0, "bob: hi"),
            (LATE, "bob: hi"),
            (-3600, "bob: hi"),
            (300, rf"bob: \(written {strftime('%H:%M', localtime(now - 300))}\) hi"),
            (3 * 86400, r"bob: \(written \w+, \d+ November 2026, \d\d:\d\d\) hi"),
        ):
            row = layout.lay_out(attrs.evolve(said, written_at=now - seconds), now).rows[0]
            self.assertRegex(row, rf"^\d\d:\d\d {shown}$")

    def test_day(self) -> None:
        """A date is said as people say it."""
        noon = mktime((2026, 11, 30, 12, 0, 0, 0, 0, -1))
        self.assertEqual(day(noon), "Monday, 30 November 2026")


class StyleTests(SynchronousTestCase):
    """Colour is for terminals whose person wants it."""

    def test_wanted(self) -> None:
        """NO_COLOR and a dumb terminal mean none; 256 colours are used where they are announced."""
        self.assertEqual(style_for({"TERM": "xterm-256color"}), Style(True, True))
        self.assertEqual(
            style_for({"TERM": "alacritty", "COLORTERM": "truecolor"}), Style(True, True)
        )
        self.assertEqual(style_for({"TERM": "linux"}), Style(True, False))
        self.assertFalse(style_for({"TERM": "xterm", "NO_COLOR": "1"}).coloured)
        self.assertFalse(style_for({"TERM": "dumb"}).coloured)
        self.assertFalse(style_for({}).coloured)

    def test_contrast(self) -> None:
        """Each colour can be read on white and on black; where there are no 256, none is used."""
        own = Style(True, True)(Colour.CODE, "x")
        self.assertEqual(own, "\x1b[38;5;231;48;5;16mx\x1b[0m")  # has its background with it
        for colour in set(Colour) - {Colour.CODE}:
            many, few = (Style(True, has_256)(colour, "x") for has_256 in (True, False))
            self.assertIn(few, {"x", "\x1b[1mx\x1b[0m"})
            for number in re.findall(r"38;5;(\d+)", many):
                light = luminance(int(number))
                contrast = min(1.05 / (light + 0.05), (light + 0.05) / 0.05)
                self.assertGreaterEqual(contrast, 4.5, colour)
            self.assertRegex(many, r"^(\x1b\[(1|(1;)?38;5;\d+)m)?x(\x1b\[0m)?$")


def luminance(number: int) -> float:
    """Return the relative luminance (WCAG 2) of one of xterm's colours 16 to 255."""
    if number >= 232:  # the ramp of greys
        levels = [8 + 10 * (number - 232)] * 3
    else:  # the cube
        steps = ((number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6)
        levels = [(0, 95, 135, 175, 215, 255)[step] for step in steps]
    red, green, blue = (
        one / 3294.6 if one <= 10 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in levels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
