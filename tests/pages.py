"""The pages of the documentation, as the tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def page(name: str) -> str:
    """Return the source of a page."""
    return (ROOT / "docs" / f"{name}.rst").read_text(encoding="utf-8")


def vectors(text: str) -> dict[str, str]:
    """Return the ``name = value`` lines of literal blocks, values over several lines joined."""
    found = re.findall(r"^    ([a-z ]+[a-z]) = (\S+)$((?:\n        \S+$)*)", text, re.MULTILINE)
    return {name: first + re.sub(r"\s", "", rest) for name, first, rest in found}


def literal_after(text: str, words: str) -> str:
    """Return the literal block that follows these words."""
    block = re.compile(re.escape(words) + r"[^\n]*::\n\n((?:    [^\n]*\n)+)").search(text)
    assert block is not None, words
    return block[1]
