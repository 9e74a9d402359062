r"""
Text of others, made safe for a terminal.

What a terminal would obey, or hide, is written as an escape: ESC is ``\x1b``, U+202E is ``\u202e``.
The rule, on top of :meth:`str.isprintable`:

- space separators of any kind are shown as spaces, a tab as four;
- a zero-width joiner or non-joiner stays between two emoji and between two letters of the scripts
  that are spelled with it (Arabic to Sinhala); anywhere else it is escaped;
- a variation selector stays where it chooses between text and emoji form; others are escaped, since
  they can hide data;
- of combining marks the first four after a base stay; those that follow are escaped, and a mark
  without a base gets a dotted circle, so that none is drawn over somebody else's text;
- letters that look like nothing (Hangul fillers and their like) are escaped.

Right-to-left letters stay: they are text.  A backslash stays as it is, so the written form of an
escape can be typed; it then is what it looks like.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

MAX_NAME = 24  # columns that a name may take on a screen
MAX_MARKS = 4  # combining marks on one base; Vietnamese needs 2, pointed Hebrew 3
TAB = "    "

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_FORM_SELECTORS = frozenset("\ufe0e\ufe0f")
_DOTTED_CIRCLE = "\u25cc"
# Default_Ignorable_Code_Point that str.isprintable() lets pass, and what is drawn as nothing: the
# blank Braille pattern, the object replacement character, the null notehead.
_MARKS = frozenset({"Mn", "Me"})
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufffc\U00016fe4\U0001d159"
)
_JOINED_SCRIPTS = range(0x0600, 0x0E00)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_VARIATION_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_KEYCAP_BASES = frozenset("#*0123456789")
_KNOWN_CHARACTERS = 8192  # that are remembered; a Chinese newspaper uses 3,000


def visible(text: str) -> str:
    """Return a text as one line that a terminal only draws, in time in proportion to it."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = -1  # combining marks on the present base; -1: there is no base
    for position, character in enumerate(text):
        if _is_plain(character):
            shown.append(character)
            marks = 0
            continue
        if unicodedata.category(character) in _MARKS and not _hides(text, position):
            marks += 1
            if marks == 0:
                shown.append(_DOTTED_CIRCLE)
                marks = 1
            shown.append(character if marks <= MAX_MARKS else _escape(character))
            continue
        drawn = _draw(text, position)
        shown.append(drawn)
        marks = 0 if drawn == character else -1
    return "".join(shown)


def visible_lines(text: str) -> list[str]:
    """Return the lines of a message, each as :func:`visible` shows it; at least one."""
    return [visible(line) for line in text.replace("\r\n", "\n").replace("\t", TAB).split("\n")]


def is_boundary(text: str, position: int) -> bool:
    """Tell whether both parts of a text cut there look as they do together."""
    return _is_plain(text[position]) and text[position - 1] not in {_ZWJ, _ZWNJ}


def visible_name(name: str, most: int = MAX_NAME) -> str:
    """Return a name without doubled spaces, shortened to ``most`` characters."""
    shown = " ".join(visible(name).split()) or "?"
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _draw(text: str, position: int) -> str:
    character = text[position]
    if unicodedata.category(character) == "Zs":
        return "  " if character == "\u3000" else " "
    if character in {_ZWJ, _ZWNJ} and _joins(text, position):
        return character
    if character.isprintable() and not _hides(text, position):
        return character
    return _escape(character)


@lru_cache(_KNOWN_CHARACTERS)
def _is_plain(character: str) -> bool:
    """Tell whether a character is drawn as it is, whatever stands beside it."""
    return (
        character.isprintable()
        and unicodedata.category(character) not in _MARKS
        and character not in _BLANK
        and character not in _VARIATION_SELECTORS
    )


@lru_cache(_KNOWN_CHARACTERS)
def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _hides(text: str, position: int) -> bool:
    """Tell whether a character that counts as printable draws nothing and has no use here."""
    character = text[position]
    if character in _BLANK:
        return True
    if character not in _VARIATION_SELECTORS:
        return False
    before = text[position - 1] if position else ""
    return character not in _FORM_SELECTORS or not (_is_emoji(before) or before in _KEYCAP_BASES)


def _joins(text: str, position: int) -> bool:
    if not 0 < position < len(text) - 1:
        return False
    before, after = text[position - 1], text[position + 1]
    if ord(before) in _JOINED_SCRIPTS and ord(after) in _JOINED_SCRIPTS:
        return before.isprintable() and after.isprintable()
    if before in _FORM_SELECTORS and position > 1:
        before = text[position - 2]
    return text[position] == _ZWJ and _is_emoji(before) and _is_emoji(after)


def _is_emoji(character: str) -> bool:
    """Tell whether a character may be a part of an emoji: symbols, arrows, skin tones."""
    if not character or ord(character) < 0xA9:
        return False
    return unicodedata.category(character) in {"So", "Sm"} or ord(character) in _SKIN_TONES
