"""
How many columns of a terminal a text takes, estimated so that it never takes more.

Terminals disagree about joined emoji; here each part counts, as in a terminal that can't join.
"""

from __future__ import annotations

import unicodedata

_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
_EMOJI_FORM = "\ufe0f"


def column_count(character: str) -> int:
    """Return the columns of one character: 0, 1 or 2."""
    if character.isascii():
        return 1
    if character == _EMOJI_FORM:  # widens the sign before it
        return 1
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns(text: str) -> int:
    """Return the columns of a text without control characters."""
    return sum(map(column_count, text))


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


def wrap(text: str, first: int, others: int) -> list[str]:
    """
    Break a text into rows, at spaces where there are any in the later half of a row.

    :param first: columns of the first row; at least 2, the width of the widest character.
    :param others: columns of the rows that follow; at least 2.
    """
    rows: list[str] = []
    room = first
    while columns(text) > room:
        end = _break(text, room)
        rows.append(text[:end].rstrip(" ") if text[end - 1] == " " else text[:end])
        text, room = text[end:], others
    return [*rows, text]


def _break(text: str, room: int) -> int:
    end = taken = 0
    while taken + column_count(text[end]) <= room:
        taken += column_count(text[end])
        end += 1
    space = text.rfind(" ", end // 2, end + 1) + 1
    return space or end or 1
