"""A text as the rows that it breaks into."""

from __future__ import annotations

from p2pchat.ui.cells import breaks


def wrap(text: str, first: int, others: int) -> list[str]:
    """Return the rows that :func:`breaks` finds, without the spaces that they end with."""
    return [text[start:end].rstrip(" ") for start, end in breaks(text, first, others)]
