"""Sentences, quotations and tables of a console."""

from __future__ import annotations

from collections.abc import Sequence

from p2pchat.ui.cells import cell_width
from p2pchat.wire.visible import visible

MAX_EXCERPT = 40  # characters of a line that is quoted
MAX_EXCERPTS = 3  # lines quoted at once


def sentence(text: str, is_name: bool = False) -> str:
    """
    Return a text that begins with a capital letter and ends with one full stop, or as it ends.

    :param is_name: it begins with somebody's name, which stays as it is.
    """
    text = text.strip()
    word = text.partition(" ")[0].rstrip(",:;.")
    if not is_name and word.replace("'", "").isalpha():
        text = text[:1].upper() + text[1:]
    text = text.rstrip(".") if not text.endswith("...") else text
    return text if text.endswith(("?", "!", "…", "...")) else f"{text}."


def excerpt(text: str) -> str:
    """Return the beginning of a line, in quotes."""
    shown = visible(text[: MAX_EXCERPT + 1])
    return f'"{shown}"' if len(shown) <= MAX_EXCERPT else f'"{shown[: MAX_EXCERPT - 1]}…"'


def excerpts(quoted: Sequence[str], count: int) -> str:
    """Return the first few of ``count`` quoted lines, and how many there are beside."""
    shown = ", ".join(quoted[:MAX_EXCERPTS])
    beside = count - min(len(quoted), MAX_EXCERPTS)
    return f"{shown} and {beside:,} more" if beside > 0 else shown


def table(rows: Sequence[tuple[str, ...]], head: tuple[str, ...] = ()) -> list[str]:
    """Lay out rows in columns; below a head, a column without anything is left out."""
    cells = list(zip(*rows, strict=True))
    if head:
        cells = [(top, *below) for top, below in zip(head, cells, strict=True) if any(below)]
    widths = [max(map(cell_width, column)) for column in cells]
    laid = [map(_padded, row, widths) for row in zip(*cells, strict=True)]
    return ["  " + "  ".join(row).rstrip() for row in laid]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_width(cell))
