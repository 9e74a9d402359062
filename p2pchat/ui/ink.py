"""
Colours of a terminal, or none where they aren't wanted (https://no-color.org).

A terminal's background is white or black and nobody tells us which, so each colour is one that can
be read on both: the contrast is at least 4.5 (WCAG 2, for text), which of the 256 colours of xterm
a handful have and of the first 16, whose shades people choose themselves, none.  Where there are
no 256, bold stands for them, or nothing.  SGR 2, faint, is unreadable on many a screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs


class Tint(Enum):
    """What a text is, as SGR attributes (ECMA-48): where there are 256 colours, and elsewhere."""

    PLAIN = ("", "")
    FAINT = ("38;5;243", "")
    BOLD = ("1", "1")
    BAD = ("1;38;5;131", "1")
    GOOD = ("38;5;29", "")
    WARNING = ("38;5;131", "1")
    THEIRS = ("1;38;5;63", "1")


@attrs.frozen
class Ink:
    """
    Tints text where that is wanted.

    :ivar coloured: attributes may be used at all.
    :ivar has_256: the terminal has xterm's 256 colours.
    """

    coloured: bool
    has_256: bool = True

    def __call__(self, tint: Tint, text: str) -> str:
        """Return the text with its tint."""
        attributes = tint.value[0 if self.has_256 else 1]
        if not self.coloured or not attributes or not text:
            return text
        return f"\x1b[{attributes}m{text}\x1b[0m"


def ink_for(environment: Mapping[str, str]) -> Ink:
    """Return what a terminal with this environment can show, and its person wants."""
    term = environment.get("TERM", "dumb")
    has_256 = "256color" in term or environment.get("COLORTERM", "") in {"truecolor", "24bit"}
    return Ink(not environment.get("NO_COLOR") and term != "dumb", has_256)
