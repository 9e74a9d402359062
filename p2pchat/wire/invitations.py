"""
Invitations: one line by which two people meet, to be used once.

::

    p2pchat:join/CODE@SERVER            for whoever can paste it
    p2pchat:join/CODE@SERVER?NAME=VALUE&NAME=VALUE
    482913-ocean-table-brick            spoken, for whoever has the same registry set

    CODE     base32 (RFC 4648, in small letters, not padded) of
                 nameplate, 8 bytes | secret, 16 bytes | check, 4 bytes
    SERVER   URL of the registry; https:// is left out
    check    the beginning of SHA-256(LABEL | 0x00 | nameplate | secret | what follows the @)

The nameplate is where the two meet at the registry, which learns nothing of the secret.  Of a
spoken one the figures are the nameplate and the words the secret, by which one guess is allowed.

Owns how a line is found in what was pasted: capital letters, quotes, what nobody sees, words around
it, and where a mail program broke it, make no difference.  A line that was damaged is refused here,
by its check, before it could be tried and so used up.

A parameter may follow; this program knows GRANT, the service that whoever joins may open.  One that
is named in ``crit`` (as in RFC 7515 section 4.1.11) is refused where it isn't known; others are
ignored.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b32decode, b32encode
from hashlib import sha256
from itertools import dropwhile, takewhile

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.origins import origin, registry_url
from p2pchat.wire.service_names import is_service
from p2pchat.wire.usernames import with_plain_hyphens
from p2pchat.wire.words import WordList

LABEL = b"p2pchat 1 invitation"
SCHEME = "p2pchat:join/"
NAMEPLATE = 8  # bytes: nobody finds one by trying
SECRET = 16  # bytes
CHECK = 4  # bytes
CODE = 45  # characters that these take
FIGURES = 6  # of a spoken nameplate
WORDS = 3  # of a spoken secret: 33 bits, of which one guess is allowed
MAX_PASTED = 4000  # characters that are looked at
MAX_SEARCHED = 65_536  # characters in which one is looked for: more than a message has
MAX_LINE = 1000  # characters of an invitation
MAX_PARAMETERS = 8
CRITICAL = "crit"  # the parameter that names those that must be known
GRANT = "grant"  # a service that whoever joins may open at the inviter's
KNOWN = frozenset({GRANT})  # parameters that this program knows

# Wherever a mail program broke it.
_LINK = re.compile(r"p ?2 ?p ?c ?h ?a ?t ?: ?/{0,2} ?j ?o ?i ?n ?/", re.IGNORECASE)
_CODE = re.compile("[a-z2-7]+")
_MISREAD = str.maketrans("018", "olb")  # figures that base32 doesn't have
_PARAMETER = re.compile(r"([a-z]{1,16})=([A-Za-z0-9._~,-]{0,200})")
_TOKENS = re.compile(r"[0-9]+|[^\W\d_]+")  # of a spoken one, whatever stands between
_AROUND = " '\"`.,;:!<>()[]{}\u2018\u2019\u201c\u201d"
_EXPECTED = f"{SCHEME}..., or {FIGURES} figures and {WORDS} words"


@attrs.frozen
class Invitation:
    """
    One invitation.

    :ivar server: URL of the registry, in small letters.
    :ivar nameplate: where the two meet there.
    :ivar secret: what both know, and the registry doesn't.
    :ivar parameters: what follows the URL, as it is written.
    """

    server: str
    nameplate: str
    secret: str = attrs.field(repr=False)
    parameters: str = ""

    @classmethod
    def link(cls, server: str, random: bytes, service: str = "") -> Invitation:
        """Make one to be pasted, of NAMEPLATE + SECRET random bytes, and perhaps with a grant."""
        parameters = f"{GRANT}={service}" if service else ""
        place, secret = _base32(random[:NAMEPLATE]), _base32(random[NAMEPLATE:])
        return cls(server.lower(), place, secret, parameters)

    @classmethod
    def spoken(cls, server: str, random: bytes, words: WordList) -> Invitation:
        """Make one to be said, of as many random bytes."""
        number = int.from_bytes(random[:NAMEPLATE], "big") % 10**FIGURES
        secret = words.spell(random[NAMEPLATE:], WORDS)
        return cls(server.lower(), f"{number:0{FIGURES}}", "-".join(secret))

    @property
    def is_spoken(self) -> bool:
        """Whether it is one to be said."""
        return is_spoken(self.nameplate)

    @property
    def service(self) -> str:
        """The service that it lets whoever joins open, or ""."""
        named = dict(one.partition("=")[::2] for one in self.parameters.split("&"))
        service = named.get(GRANT, "")
        return service if is_service(service) else ""

    @property
    def origin(self) -> str:
        """The origin of the registry."""
        return origin(self.server)

    @property
    def password(self) -> bytes:
        """What proves to the other side that we have this invitation, and no other."""
        return f"{self.secret}?{self.parameters}".encode("ascii")

    def __str__(self) -> str:
        if self.is_spoken:
            return f"{self.nameplate}-{self.secret}"
        place = self.server.removeprefix("https://")
        place += f"?{self.parameters}" if self.parameters else ""
        raw = _bytes(self.nameplate) + _bytes(self.secret)
        return f"{SCHEME}{_base32(raw + _check(raw, self.server, self.parameters))}@{place}"


def is_spoken(nameplate: str) -> bool:
    """Tell whether a nameplate belongs to a spoken invitation."""
    return len(nameplate) == FIGURES and nameplate.isdigit()


def has_invitation(text: str) -> bool:
    """Tell whether a link stands in a text, or a part of one: it is a secret."""
    return _LINK.search(_cleaned(text[:MAX_SEARCHED])) is not None


def parse_invitation(text: str, server: str, words: WordList) -> Invitation:
    """
    Read what was pasted or typed.

    :param server: URL of our registry, which is meant by a spoken invitation.
    :raises RemoteProtocolError: there is none, it was damaged, or it wants what we don't know.
    """
    cleaned = _cleaned(text[:MAX_PASTED])
    link = _LINK.search(cleaned)
    if link is not None:
        return _read_link(cleaned[link.end() :])
    spoken = _TOKENS.findall(cleaned)
    if not any(one.isdigit() for one in spoken):
        raise RemoteProtocolError(f"that is no invitation: {_EXPECTED}")
    return _read_spoken(spoken, server, words)


def _cleaned(text: str) -> str:
    """Return a text as it was meant: nothing invisible, one kind of hyphens and of blanks."""
    seen = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return " ".join(with_plain_hyphens(unicodedata.normalize("NFKC", seen)).split())


def _read_spoken(tokens: list[str], server: str, words: WordList) -> Invitation:
    said = list(dropwhile(str.isalpha, tokens))
    figures = "".join(takewhile(str.isdigit, said))
    heard = list(dropwhile(str.isdigit, said))
    if len(figures) != FIGURES:
        raise RemoteProtocolError(
            f"a spoken invitation has {FIGURES} figures and {WORDS} words, and this begins with "
            f"{len(figures)} figure{'s' * (len(figures) != 1)}"
        )
    if len(heard) != WORDS:
        count = f"{len(heard)} word{'s' * (len(heard) != 1)}"
        raise RemoteProtocolError(
            f"a spoken invitation has {WORDS} words after its figures, and this {count}"
        )
    return Invitation(server, figures, "-".join(words.read(heard)))


def _read_link(rest: str) -> Invitation:
    """Read what follows the scheme: up to a blank, or up to a later one if it was broken there."""
    pieces = rest.split(" ")
    for count in range(1, len(pieces) + 1):
        whole = "".join(pieces[:count])
        if len(whole) > MAX_LINE:
            break
        for tried in dict.fromkeys((whole, whole.rstrip(_AROUND))):
            found = _checked(tried)
            if found is not None:
                return _known(found)
    raise RemoteProtocolError(
        "that invitation is damaged: a part is missing or was changed on the way; paste it again, "
        "whole"
    )


def _checked(text: str) -> Invitation | None:
    """Read a link; ``None`` where its check says that it isn't one as it was written."""
    code, at, place = text.partition("@")
    code = code.lower().translate(_MISREAD)
    if not at or len(code) != CODE or not _CODE.fullmatch(code) or not place.isascii():
        return None
    raw = _bytes(code)
    address, _, parameters = place.partition("?")
    url = address if "://" in address else f"https://{address}"
    try:
        server = registry_url(url.lower())
    except RemoteProtocolError:
        return None
    if _check(raw[:-CHECK], server, parameters) != raw[-CHECK:]:
        return None
    return Invitation(
        server,
        _base32(raw[:NAMEPLATE]),
        _base32(raw[NAMEPLATE:-CHECK]),
        parameters,
    )


def _known(invitation: Invitation) -> Invitation:
    """
    Return an invitation that wants nothing that we don't know.

    :raises RemoteProtocolError: it does.
    """
    if not invitation.parameters:
        return invitation
    written = invitation.parameters.split("&")
    found = {one[1]: one[2] for one in map(_PARAMETER.fullmatch, written) if one is not None}
    if not len(found) == len(written) <= MAX_PARAMETERS:
        raise RemoteProtocolError("what follows the address in that invitation makes no sense")
    critical = set(found.get(CRITICAL, "").split(",")) - {""}
    unknown = ", ".join(sorted(critical - KNOWN))
    if unknown:
        raise RemoteProtocolError(
            f"that invitation is for more than a conversation ({unknown}), which this version of "
            "the program doesn't know: update it"
        )
    return invitation


def _check(raw: bytes, server: str, parameters: str) -> bytes:
    place = f"{server}?{parameters}".encode("ascii")
    return sha256(LABEL + b"\x00" + raw + place).digest()[:CHECK]


def _base32(raw: bytes) -> str:
    return b32encode(raw).decode("ascii").rstrip("=").lower()


def _bytes(text: str) -> bytes:
    return b32decode(text.upper() + "=" * (-len(text) % 8))
