"""Colours of a terminal, or none where they aren't wanted (https://no-color.org)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs


class Tint(Enum):
    """What a text is, as the number of its SGR attribute (ECMA-48)."""

    PLAIN = ""
    FAINT = "2"
    BOLD = "1"
    BAD = "31"
    GOOD = "32"
    WARNING = "33"
    THEIRS = "36"


@attrs.frozen
class Ink:
    """Tints text where there is colour."""

    coloured: bool

    def __call__(self, tint: Tint, text: str) -> str:
        """Return the text with its tint."""
        if not self.coloured or tint is Tint.PLAIN or not text:
            return text
        return f"\x1b[{tint.value}m{text}\x1b[0m"


def wants_colour(environment: Mapping[str, str]) -> bool:
    """Tell whether a terminal with this environment may be coloured."""
    return not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"
