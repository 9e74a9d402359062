"""
Text of any length to the first rows of it, at the cost of these rows.

The rest stays text: it is made visible and broken into rows only when somebody wants to see it.
"""

from __future__ import annotations

from p2pchat.ui.columns import breaks
from p2pchat.wire.visible import TAB, is_boundary, visible

PIECE = 512  # characters made visible at a time; some rows
MAX_OVERRUN = 64  # characters that a piece may be longer, to end where none is torn


def fold(text: str, first: int, others: int, most: int) -> tuple[list[str], str]:
    """
    Return the first rows of a text, at least one, made visible; and the rest of it, "" for none.

    :param first: columns of the first row, at least 2.
    :param others: columns of the others, at least 2.
    :param most: rows.
    """
    text = text.replace("\r\n", "\n").replace("\t", TAB)
    rows: list[str] = []
    start = 0
    while start <= len(text) and len(rows) < most:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        room = others if rows else first
        rest = _break_line(text[start:end], rows, (room, others), most)
        if rest:
            return rows, rest + text[end:]
        start = end + 1
    return rows, text[start:]


def _break_line(line: str, rows: list[str], room: tuple[int, int], most: int) -> str:
    """Append the rows of a line while there may be more of them; return the rest of it."""
    shown, position = "", 0
    first, others = room
    while True:
        end = _piece_end(line, position)
        shown += visible(line[position:end])
        position = end
        begun = 0
        for start, stop in breaks(shown, first, others):
            begun = start
            if stop == len(shown):
                break
            if len(rows) == most:
                return shown[start:] + line[position:]
            rows.append(shown[start:stop].rstrip(" "))
            first = others
        shown = shown[begun:]
        if position == len(line):
            break
    if len(rows) == most:
        return shown
    rows.append(shown.rstrip(" "))
    return ""


def _piece_end(line: str, start: int) -> int:
    end = start + PIECE
    while end < len(line) and end < start + PIECE + MAX_OVERRUN and not is_boundary(line, end):
        end += 1
    return min(end, len(line))
