"""
Entries of a console as rows, with colours and the time of day, within the width of a terminal.

A row of somebody's message never begins where a new entry does, however long or clever the
message: what is too wide is broken here and not by the terminal, and goes on under an indent.

A terminal's background is white or black and nobody tells us which, so each colour is one that can
be read on both: the contrast is at least 4.5 (WCAG 2, for text), which of the 256 colours of xterm
a handful have and of the first 16, whose shades people choose themselves, none.  Where there are
no 256, bold stands for them, or nothing.  SGR 2, faint, is unreadable on many a screen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum

import attrs

from p2pchat.ui.cells import cell_width, cut, fold
from p2pchat.wire.visible import visible_lines

COLON = ": "  # ends a lead
INDENT = " " * 6  # below the first character after the time of day
MIN_WIDTH = 24  # columns; a narrower terminal doesn't show the ends of rows
MAX_ROWS = 100  # of a message that are shown at once: four screens of 24
CONTINUES = "…"
LATE = 60.0  # seconds between writing and showing that are told; clocks may differ by as many


class Colour(Enum):
    """Kinds of text, as SGR attributes (ECMA-48): where there are 256 colours, and elsewhere."""

    PLAIN = ("", "")
    FAINT = ("38;5;243", "")
    BOLD = ("1", "1")
    BAD = ("1;38;5;131", "1")
    GOOD = ("38;5;29", "")
    WARNING = ("38;5;131", "1")
    THEIRS = ("1;38;5;63", "1")
    CODE = ("38;5;231;48;5;16", "")  # of a QR code: white on a black of its own


@attrs.frozen
class Style:
    """
    The colours of one terminal.

    :ivar coloured: attributes may be used at all.
    :ivar has_256: the terminal has xterm's 256 colours.
    """

    coloured: bool
    has_256: bool = True

    def __call__(self, colour: Colour, text: str) -> str:
        """Return the text with its colour."""
        attributes = colour.value[0 if self.has_256 else 1]
        if not self.coloured or not attributes or not text:
            return text
        return f"\x1b[{attributes}m{text}\x1b[0m"


def style_for(environment: Mapping[str, str]) -> Style:
    """Return the style for a terminal with this environment."""
    term = environment.get("TERM", "dumb")
    has_256 = "256color" in term or environment.get("COLORTERM", "") in {"truecolor", "24bit"}
    return Style(not environment.get("NO_COLOR") and term != "dumb", has_256)


@attrs.frozen
class Entry:
    """
    A paragraph of the console, such as a message or a sentence about an event.

    :ivar lead: stands before the first row, such as a name with its colon.
    :ivar rows: at least one; what is too wide is wrapped.  Messages are as they came: the layout
        makes visible what it shows of them.
    :ivar stamped: the time of day stands before it.
    :ivar written_at: when somebody says to have written it, seconds since 1970; 0: nobody does.
    :ivar shown_at: seconds since 1970 whose time of day stands before it; 0: that of now.
    """

    rows: tuple[str, ...]
    colour: Colour = Colour.PLAIN
    lead: str = ""
    lead_colour: Colour = Colour.BOLD
    stamped: bool = True
    written_at: float = 0.0
    shown_at: float = 0.0

    def moved(self, seconds: float) -> Entry:
        """Return it by another clock, which is ahead by so much; 0 is nobody's time."""
        return attrs.evolve(
            self,
            written_at=self.written_at + (seconds if self.written_at > 0 else 0.0),
            shown_at=self.shown_at + (seconds if self.shown_at > 0 else 0.0),
        )


@attrs.frozen
class Laid:
    """
    An entry as rows.

    :ivar rest: what was folded, as an entry of its own.
    """

    rows: list[str]
    rest: Entry | None = None


@attrs.frozen
class Layout:
    """
    The layout of one console.

    :ivar width: gives the present number of columns; ``None`` where rows have no limit.
    """

    _style: Style
    _width: Callable[[], int] | None

    def lay_out(self, entry: Entry, wall_time: float) -> Laid:
        """
        Return the rows of an entry, the first with the local time of day.

        After MAX_ROWS one row says how much is left.
        """
        shown_at = time.localtime(entry.shown_at if entry.shown_at > 0 else wall_time)
        stamp = time.strftime("%H:%M ", shown_at) if entry.stamped else ""
        lead = self._short(entry.lead)
        entry = attrs.evolve(entry, rows=_with_writing(entry, wall_time))
        bodies, rest = self._broken("\n".join(entry.rows), cell_width(stamp + lead))
        first, *others = (self._style(entry.colour, body) for body in bodies)
        begun = self._style(Colour.FAINT, stamp) + self._style(entry.lead_colour, lead) + first
        rows = [begun, *(INDENT + other for other in others)]
        if not rest:
            return Laid(rows)
        more = f"{CONTINUES} {len(rest):,} more characters: /more shows the next rows"
        rows.append(INDENT + self._style(Colour.BOLD, more))
        return Laid(rows, attrs.evolve(entry, rows=(CONTINUES + rest,), written_at=0.0))

    def _short(self, lead: str) -> str:
        """Return a lead within half a row, what it ends with kept."""
        if self._width is None:
            return lead
        most = max(self._width(), MIN_WIDTH) // 2
        return cut(lead.removesuffix(COLON), most - len(COLON)) + COLON * lead.endswith(COLON)

    def _broken(self, text: str, taken: int) -> tuple[list[str], str]:
        """Return the rows to show, and the text of those that are folded."""
        if self._width is None:
            return visible_lines(text), ""
        width = max(self._width(), MIN_WIDTH)
        return fold(text, width - taken, width - len(INDENT), MAX_ROWS)


def day(wall_time: float) -> str:
    """Return the local date as people say it: Monday, 30 November 2026."""
    local = time.localtime(wall_time)
    return time.strftime(f"%A, {local.tm_mday} %B %Y", local)


def _with_writing(entry: Entry, wall_time: float) -> tuple[str, ...]:
    """Return the rows, begun by when they were written if that was noticeably earlier."""
    written = entry.written_at
    if not written or wall_time - written <= LATE:
        return entry.rows
    moment = time.strftime("%H:%M", time.localtime(written))
    if day(written) != day(wall_time):
        moment = f"{day(written)}, {moment}"
    return (f"(written {moment}) {entry.rows[0]}", *entry.rows[1:])
