"""
Usernames: which are allowed, and which two look alike.

A username is a label that anybody may take; it proves nothing.  Refused, by the registry and by
peers, are names that could be read as something else:

* as a peer id or the beginning of one: 8 hexadecimal digits and more, anywhere in the name if there
  are figures and letters among them; or 4 and more with a figure before a letter;
* as a part of the screen that names stand on: the time of day (a figure first), a command (a slash
  first), our own lines ("you"), and what ends a name there (``:``, ``>``, parentheses);
* as nothing, or as other text than it is: whatever :func:`p2pchat.wire.visible.visible` writes as
  an escape, blanks at the ends or two in a row, and what isn't in Unicode's NFKC form.

Letters and figures of other scripts that look like these count as these: confusables of UTS 39, by
the data of ``confusable_homoglyphs``, which has no skeletons of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

from confusable_homoglyphs import confusables

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.members import Codec
from p2pchat.wire.strict_json import checked
from p2pchat.wire.visible import visible

MAX_USERNAME = 64  # characters; a row of a console shows 24 of them

_ID_LIKE = re.compile(r"[0-9a-f-]{8,}|(?=.*[0-9].*[a-f])[0-9a-f-]{4,}")
_ID_WITHIN = re.compile(r"(?<![0-9a-z-])(?=[a-f-]*[0-9])(?=[0-9-]*[a-f])[0-9a-f-]{8,}(?![0-9a-z-])")
_PUNCTUATION = frozenset(":<>()")
AROUND_IDS = " '\"`.,;:<>()[]{}#@=\u2018\u2019\u201c\u201d"  # what is pasted with one
_HYPHENS = frozenset("\u2212\u2043\u02d7\u00ad")  # beside dashes: minus, bullet, modifier, soft
_LOOK_LIKE_DIGITS = str.maketrans("OoIl|", "00111")  # what the skeleton makes of 0 and 1, too
_MARK = "\u200e"  # stands around the right-to-left entries of the data
_JOINERS = frozenset("\u200c\u200d")
_LATIN = re.compile(
    r"LATIN (?:(?:SMALL|CAPITAL) LETTER (?=. WITH )|LETTER SMALL CAPITAL (?=.$))(?P<letter>[A-Z]).*"
)
_RESERVED = "you"
_LENGTH = f"a username has 1 to {MAX_USERNAME} characters"


def check_username(name: str) -> str:
    """
    Return a name that a peer may call itself.

    :raises RemoteProtocolError: it may not; the sentence says why.
    """
    objection = _objection(name) if len(name) <= MAX_USERNAME else _LENGTH
    if objection:
        raise RemoteProtocolError(objection)
    return name


Username = Annotated[
    str, Codec(lambda value, name: check_username(checked(value, name, str, MAX_USERNAME)))
]


@lru_cache(maxsize=4096)  # names of at most MAX_USERNAME characters
def _objection(name: str) -> str:
    """Return the sentence that refuses a name, or "" for a name that may be used."""
    return next((why for is_refused, why in _OBJECTIONS if is_refused(name)), "")


def with_plain_hyphens(text: str) -> str:
    """Return a text with each hyphen or dash as the one that a keyboard has."""
    return "".join(
        "-" if unicodedata.category(one) == "Pd" or one in _HYPHENS else one for one in text
    )


def comparable(name: str) -> str:
    """
    Return a name as names are compared: by everybody, contacts and registries alike.

    Capital and small letters, kinds of hyphens and of blanks, and the ways to compose a letter make
    no difference.
    """
    return with_plain_hyphens(" ".join(unicodedata.normalize("NFKC", name).split())).casefold()


def looks_like_id(text: str) -> bool:
    """Tell whether a person could take a text for a peer id, or the beginning of one."""
    folded = "".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(AROUND_IDS)
    if _ID_LIKE.fullmatch(folded):
        return True
    # Letters that look like 0 and 1 count as such only among true figures: Bella is a name.
    as_digits = skeleton(folded).casefold().translate(_LOOK_LIKE_DIGITS)
    has_figure = any(one.isdigit() for one in folded)
    return has_figure and len(as_digits) >= 8 and _ID_LIKE.fullmatch(as_digits) is not None


def _has_id(name: str) -> bool:
    """Tell whether an id or the beginning of one stands in a name."""
    return looks_like_id(name) or _ID_WITHIN.search(name.casefold()) is not None


def _has_punctuation(name: str) -> bool:
    """Tell whether a sign in a name looks like one that ends a name on a screen."""
    is_latin = any("LATIN" in unicodedata.name(one, "") for one in name)
    for character in name:
        is_letter = unicodedata.category(character)[0] in "LM"
        if _PUNCTUATION & set(_prototype(character)) and (is_latin or not is_letter):
            return True
    return False


def _has_other_spelling(name: str) -> bool:
    return unicodedata.normalize("NFKC", name) != name


def _is_partly_invisible(name: str) -> bool:
    return visible(name) != name or " ".join(name.split()) != name


def _begins_as_something_else(name: str) -> bool:
    return unicodedata.category(name[0])[0] == "N" or name[0] == "/"


def _is_reserved(name: str) -> bool:
    read = skeleton(_plain(name)).casefold()
    return read.startswith(_RESERVED) and not read[len(_RESERVED) :][:1].isalpha()


@lru_cache(maxsize=4096)  # names of at most MAX_USERNAME characters
def looks(name: str) -> frozenset[str]:
    """
    Return what a name looks like, in one or two spellings; look-alikes have one in common.

    A capital I looks like a small l, and its small letter doesn't: so letters are made small before
    look-alikes are replaced, and after.  Marks, joiners and punctuation make no other person.
    """
    plain = _plain(name)
    return frozenset({_seen(plain.casefold()), _seen(plain)})


def _seen(text: str) -> str:
    """Return the skeleton of a text, without punctuation and blanks if more is left."""
    read = skeleton(text).casefold()
    return "".join(one for one in read if unicodedata.category(one)[0] not in "PZ") or read


def _plain(name: str) -> str:
    """Return a name without marks, joiners, and what is added to a Latin letter."""
    kept = (
        one
        for one in unicodedata.normalize("NFKD", name)
        if unicodedata.category(one)[0] != "M" and one not in _JOINERS
    )
    return "".join(map(_bare_letter, kept))


@lru_cache(maxsize=4096)  # characters
def _bare_letter(character: str) -> str:
    """Return the letter of a Latin letter with a stroke or hook, or of a small capital."""
    found = _LATIN.fullmatch(unicodedata.name(character, ""))
    if found is None:
        return character
    return found["letter"] if character.isupper() else found["letter"].lower()


def skeleton(text: str) -> str:
    """Return a text with each character as the one that it may be taken for (UTS 39 section 4)."""
    return "".join(map(_prototype, unicodedata.normalize("NFKC", text)))


@lru_cache(maxsize=4096)  # characters
def _prototype(character: str) -> str:
    """
    Return the character that a group of look-alikes is written as.

    The data name the group at its prototype, and the prototype alone at every other member; where
    a group has two members, the longer one is the prototype, else the one of the lower code point.
    """
    data = confusables.confusables_data
    own = character if character in data else f"{_MARK}{character}{_MARK}"
    group = [one["c"] for one in data.get(own, ())]
    if len(group) != 1:
        return character
    other = str(group[0])
    is_prototype = len(data.get(other, ())) > 1
    found = other if is_prototype else max(own, other, key=lambda one: (len(one), -ord(one[0])))
    return found.strip(_MARK)


_OBJECTIONS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda name: not name.strip(), _LENGTH),
    (_has_id, "a username must not look like a peer id or the beginning of one"),
    (_has_other_spelling, "a username must be in Unicode's NFKC form"),
    (
        _is_partly_invisible,
        "a username has no invisible or control characters, and single blanks between words",
    ),
    (
        _has_punctuation,
        "a username has no colon, parenthesis, < or >, nor what looks like one",
    ),
    (_begins_as_something_else, "a username begins neither with a figure nor with a slash"),
    (_is_reserved, f"a username must not be {_RESERVED!r}, nor begin with that word"),
)
