"""
The cells of a terminal that a text takes, and the rows that it breaks into.

Widths are estimated so that no text takes more.  Terminals disagree about joined emoji; here each
part counts, as in a terminal that can't join.  They disagree about signs that a later Unicode made
wide, too: the greater width of Python's table and of the newest one (wcwidth) counts.  Everything
here takes time in proportion to the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from wcwidth import wcwidth

from p2pchat.wire.visible import TAB, is_boundary, visible

_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
_EMOJI_FORM = "\ufe0f"
_KNOWN_WIDTHS = 8192  # characters whose width is remembered; a Chinese newspaper uses 3,000
PIECE = 512  # characters made visible at a time; some rows
MAX_OVERRUN = 64  # characters that a piece may be longer, to end where none is torn


@lru_cache(_KNOWN_WIDTHS)
def character_width(character: str) -> int:
    """Return the columns of one character: 0, 1 or 2."""
    if character.isascii():
        return 1
    if character == _EMOJI_FORM:  # widens the sign before it
        return 1
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return max(1, wcwidth(character))


def cell_width(text: str) -> int:
    """Return the columns of a text without control characters."""
    return len(text) if text.isascii() else sum(map(character_width, text))


def cut(text: str, most: int) -> str:
    """Return as much of a text as fits into ``most`` columns, its end shown by an ellipsis."""
    if cell_width(text) <= most:
        return text
    taken = 0
    for position, character in enumerate(text):
        taken += character_width(character)
        if taken > most - 1:
            return text[:position] + "…" if most > 0 else ""
    return text


def joins_previous(text: str, position: int) -> bool:
    """Tell whether the character there belongs to what stands before it, as a cursor sees it."""
    if not 0 < position < len(text):
        return False
    joiner = "\u200d"
    zero_width = text[position] == _EMOJI_FORM or character_width(text[position]) == 0
    return zero_width or text[position - 1] == joiner


def breaks(text: str, first: int, others: int) -> Iterator[tuple[int, int]]:
    """
    Return where each row of a text begins and ends, at least one row.

    A row ends at a space where there is one in its later half; the next begins after that space.

    :param first: columns of the first row; at least 2, the width of the widest character.
    :param others: columns of the rows that follow; at least 2.
    """
    measure = _ascii_end if text.isascii() else _end
    start, room = 0, first
    while (end := measure(text, start, room)) < len(text):
        after_space = text.rfind(" ", start + (end - start) // 2, end + 1) + 1
        if joins_previous(text, after_space):  # a mark would lose the space that it stands on
            after_space = 0
        end = after_space or max(end, start + 1)
        if end == len(text):  # what is too much is the space after the last word
            break
        yield start, end
        start, room = end, others
    yield start, len(text)


def _ascii_end(text: str, start: int, room: int) -> int:
    return min(start + room, len(text))


def _end(text: str, start: int, room: int) -> int:
    """Return the end of what fits into ``room`` columns from ``start`` on."""
    taken = 0
    for position in range(start, len(text)):
        taken += character_width(text[position])
        if taken > room:
            return position
    return len(text)


def fold(text: str, first: int, others: int, most: int) -> tuple[list[str], str]:
    """
    Return the first rows of a text, at least one, made visible; and the rest of it, "" for none.

    The cost is that of these rows; the rest stays text until somebody wants to see it.

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
