"""
How many columns of a terminal a text takes, estimated so that it never takes more.

Terminals disagree about joined emoji; here each part counts, as in a terminal that can't join.
They disagree about signs that a later Unicode made wide, too: the greater width of Python's table
and of the newest one (wcwidth) counts.  Everything here takes time in proportion to the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from wcwidth import wcwidth

_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
_EMOJI_FORM = "\ufe0f"
_KNOWN_WIDTHS = 8192  # characters whose width is remembered; a Chinese newspaper uses 3,000


@lru_cache(_KNOWN_WIDTHS)
def column_count(character: str) -> int:
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


def columns(text: str) -> int:
    """Return the columns of a text without control characters."""
    return len(text) if text.isascii() else sum(map(column_count, text))


def cut(text: str, most: int) -> str:
    """Return as much of a text as fits into ``most`` columns, its end shown by an ellipsis."""
    if columns(text) <= most:
        return text
    taken = 0
    for position, character in enumerate(text):
        taken += column_count(character)
        if taken > most - 1:
            return text[:position] + "…" if most > 0 else ""
    return text


def joins_previous(text: str, position: int) -> bool:
    """Tell whether the character there belongs to what stands before it, as a cursor sees it."""
    if not 0 < position < len(text):
        return False
    joiner = "\u200d"
    zero_width = text[position] == _EMOJI_FORM or column_count(text[position]) == 0
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
        taken += column_count(text[position])
        if taken > room:
            return position
    return len(text)
