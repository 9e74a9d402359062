"""
Pasted text that names a peer: the id that stands in it, or what keeps it from being one.

::

    0B0B0B0B-...   0b0b0b0b0000...   0b0b0b0b-00 00-...      an id, however it is written or broken
    "0b0b...".   @0b0b...   p2pchat:0b0b...   urn:uuid:...   an id, and what is around it
    Bob <0b0b...>   my id is 0b0b..., call me                the one id in a message
    p2pchat%3A0b0b...   > 0b0b0b0b-00=\\n> 00-...   0b:0b:0b   as other programs write or break it

Hyphens and dashes of all kinds count as hyphens, digits of all scripts and letters that look like
ours as ours, and what nobody sees as nothing.  No username has an id in it
(:mod:`p2pchat.wire.usernames`), so nobody can be called what is taken for one here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import check_peer_id
from p2pchat.wire.usernames import AROUND_IDS, skeleton, with_plain_hyphens

DIGITS = 32  # of an id
LEAST_DIGITS = 20  # of a text that somebody took for an id
MOST_WRONG = 2  # digits by which a text that was copied badly differs

_WITHIN = re.compile(  # without what could be a part of a longer one
    r"(?<![0-9a-z-])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-z-])"
)
_SCHEMES = re.compile(r"^(?:p2pchat:/*|urn:uuid:|0x)")
_BROKEN = re.compile(r"[=\\]?\n[>|\s]*")  # by a mail program or a shell, and then quoted
_HEXADECIMAL = frozenset("0123456789abcdef")
_BETWEEN = frozenset(" -_.:/")  # what stands between groups of digits


def cleaned(text: str) -> str:
    """Return a text as it was meant: nothing invisible, one kind of hyphens, single blanks."""
    seen = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return " ".join(with_plain_hyphens(unicodedata.normalize("NFKC", seen)).split())


def bare(text: str) -> str:
    """Return a text without quotes, brackets and the like around it."""
    return cleaned(text).strip(AROUND_IDS)


def whole_id(text: str) -> str | None:
    """Return the one peer id that stands in a text, or ``None``."""
    found = _within(text)
    if found:
        return found.pop() if len(found) == 1 else None
    return _as_id(_digits(text))


def _within(text: str) -> set[str]:
    """Return the ids that stand in a text in one piece each."""
    found = {_as_id(one[0]) for one in _WITHIN.finditer(cleaned(_in_our_letters(text)).lower())}
    return {one for one in found if one is not None}


def _in_our_letters(text: str) -> str:
    """Return a text without what other programs, keyboards and scripts make of an id's letters."""
    joined = _BROKEN.sub("\n", unquote(text).replace("\r\n", "\n"))
    return joined if joined.isascii() else "".join(map(_our_letter, joined))


def _our_letter(character: str) -> str:
    """Return the letter that one is or looks like; nothing for a mark on another."""
    if character.isascii() or unicodedata.category(character)[0] == "M":
        return character if character.isascii() else ""
    like = str(unicodedata.decimal(character, "")) or skeleton(character)
    return like if like.lower() in _HEXADECIMAL else character


def objection(text: str) -> str:
    """Return what keeps a text from being an id, if somebody takes it for one; else ""."""
    if len(_within(text)) > 1:
        return "more than one id stands in that: give the one that you mean"
    digits = _digits(text)
    wrong = [number for number, one in enumerate(digits) if one not in _HEXADECIMAL]
    if not digits.isalnum() or len(digits) < LEAST_DIGITS or len(wrong) > MOST_WRONG:
        return ""
    if wrong:
        place = wrong[0]
        return f"{digits[place]!r}, at place {place + 1}, is no digit of an id: 0 to 9, a to f"
    if len(digits) != DIGITS:
        what = "some are missing" if len(digits) < DIGITS else "some are too many"
        return f"an id has {DIGITS} digits, and this {len(digits)}: {what}"
    if _as_id(digits) is None:
        return "no id: the 13th digit of one is 8, and the 17th 8, 9, a or b"
    return ""


def beginning(text: str) -> str:
    """Return what is taken for the beginning of an id, with hyphens in their places."""
    return _with_hyphens(_digits(text))


def nearest(peer_id: str, known: Iterable[str]) -> tuple[str, int] | None:
    """Return the id among those known that this one is a bad copy of, and in how many digits."""
    distances = {one: sum(a != b for a, b in zip(one, peer_id, strict=True)) for one in known}
    found = min(distances, key=lambda one: distances[one], default="")
    is_near = found and 0 < distances[found] <= MOST_WRONG
    return (found, distances[found]) if is_near else None


def _digits(text: str) -> str:
    """Return the digits of what may be an id, without anything between or around them."""
    plain = bare(_in_our_letters(text)).lower()
    core = bare(_SCHEMES.sub("", plain)).partition("?")[0].partition("#")[0].strip("/")
    return "".join(one for one in core if one not in _BETWEEN).strip(AROUND_IDS)


def _as_id(digits: str) -> str | None:
    """Return the id with these digits, with hyphens in its places or none."""
    plain = digits.replace("-", "")
    try:
        return check_peer_id(_with_hyphens(plain))
    except RemoteProtocolError:
        return None


def _with_hyphens(digits: str) -> str:
    """Return these digits in the groups that an id has."""
    parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
    return "-".join(filter(None, parts))
