"""
Paragraphs to rows of text, with the time of day, within the width of a terminal.

A row of somebody's message never begins where a new entry does, however long or clever the
message: what is too wide is broken here and not by the terminal, and goes on under an indent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from p2pchat.ui.columns import columns, cut, wrap
from p2pchat.ui.ink import Ink, Tint
from p2pchat.ui.wording import Paragraph

INDENT = " " * 6  # below the first character after the time of day
MIN_WIDTH = 24  # columns; a narrower terminal breaks rows as it likes


@attrs.frozen
class Page:
    """
    Lays out paragraphs.

    :ivar width: gives the present number of columns; ``None`` where rows have no limit.
    """

    _ink: Ink
    _width: Callable[[], int] | None

    def rows(self, paragraph: Paragraph, wall_time: float) -> list[str]:
        """Return the rows of a paragraph, the first with the local time of day."""
        stamp = time.strftime("%H:%M ", time.localtime(wall_time)) if paragraph.stamped else ""
        lead = self._short(paragraph.lead)
        bodies = self._broken(paragraph, columns(stamp + lead))
        first, *others = (self._ink(paragraph.tint, body) for body in bodies)
        begun = self._ink(Tint.FAINT, stamp) + self._ink(paragraph.lead_tint, lead) + first
        return [begun, *(INDENT + other for other in others)]

    def _short(self, lead: str) -> str:
        return lead if self._width is None else cut(lead, max(self._width(), MIN_WIDTH) // 2)

    def _broken(self, paragraph: Paragraph, taken: int) -> list[str]:
        if self._width is None:
            return list(paragraph.rows)
        width = max(self._width(), MIN_WIDTH)
        first, others = width - taken, width - len(INDENT)
        bodies: list[str] = []
        for row in paragraph.rows:
            bodies += wrap(row, others if bodies else first, others)
        return bodies
