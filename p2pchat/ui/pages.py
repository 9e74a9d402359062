"""
Paragraphs to rows of text, with the time of day, within the width of a terminal.

A row of somebody's message never begins where a new entry does, however long or clever the
message: what is too wide is broken here and not by the terminal, and goes on under an indent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from p2pchat.ui.columns import columns, cut
from p2pchat.ui.folding import fold
from p2pchat.ui.ink import Ink, Tint
from p2pchat.ui.wording import Paragraph
from p2pchat.wire.visible import visible_lines

COLON = ": "  # ends a lead
INDENT = " " * 6  # below the first character after the time of day
MIN_WIDTH = 24  # columns; a narrower terminal doesn't show the ends of rows
MAX_ROWS = 100  # of a message that are shown at once: four screens of 24
CONTINUES = "…"
LATE = 60.0  # seconds between writing and showing that are told; clocks may differ by as many


@attrs.frozen
class Laid:
    """
    A paragraph as rows.

    :ivar rest: what was folded, as a paragraph of its own.
    """

    rows: list[str]
    rest: Paragraph | None = None


@attrs.frozen
class Page:
    """
    Lays out paragraphs.

    :ivar width: gives the present number of columns; ``None`` where rows have no limit.
    """

    _ink: Ink
    _width: Callable[[], int] | None

    def rows(self, paragraph: Paragraph, wall_time: float) -> list[str]:
        """Return the first rows of a paragraph, as :meth:`lay_out` does."""
        return self.lay_out(paragraph, wall_time).rows

    def lay_out(self, paragraph: Paragraph, wall_time: float) -> Laid:
        """
        Return the rows of a paragraph, the first with the local time of day.

        After MAX_ROWS one row says how much is left.
        """
        stamp = time.strftime("%H:%M ", time.localtime(wall_time)) if paragraph.stamped else ""
        lead = self._short(paragraph.lead)
        paragraph = attrs.evolve(paragraph, rows=_with_writing(paragraph, wall_time))
        bodies, rest = self._broken("\n".join(paragraph.rows), columns(stamp + lead))
        first, *others = (self._ink(paragraph.tint, body) for body in bodies)
        begun = self._ink(Tint.FAINT, stamp) + self._ink(paragraph.lead_tint, lead) + first
        rows = [begun, *(INDENT + other for other in others)]
        if not rest:
            return Laid(rows)
        more = f"{CONTINUES} {len(rest):,} more characters: /more shows the next rows"
        rows.append(INDENT + self._ink(Tint.BOLD, more))
        return Laid(rows, attrs.evolve(paragraph, rows=(CONTINUES + rest,), written_at=0.0))

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


def _with_writing(paragraph: Paragraph, wall_time: float) -> tuple[str, ...]:
    """Return the rows, begun by when they were written if that was noticeably earlier."""
    written = paragraph.written_at
    if not written or wall_time - written <= LATE:
        return paragraph.rows
    moment = time.strftime("%H:%M", time.localtime(written))
    if day(written) != day(wall_time):
        moment = f"{day(written)}, {moment}"
    return (f"(written {moment}) {paragraph.rows[0]}", *paragraph.rows[1:])
