"""
Nameplates: where two people who share an invitation meet at a registry.

::

    inviter                          registry                          joiner

    claim: message A   ────────▶   nameplate
                                       │  ◀──────────   what is there?
                                       └──────────▶     message A
                                       ◀────────────    message B, confirmation, sealed card: once
    what is there?     ────────▶
    ◀────────   message B, confirmation, sealed card
    completion: confirmation, sealed card  ─▶
                                       └──────────▶     the same

The registry keeps what it is given and understands none of it; :mod:`p2pchat.identity.pairing`
does.  What stands at a nameplate is shown to whoever knows its name: the messages of a PAKE may be
seen, and the cards are sealed.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.members import SPARSE, Codec, Members, integer, nested, octets, octets_up_to, text
from p2pchat.wire.strict_json import checked

MESSAGE = 33  # bytes of a message of SPAKE2: its side, and a point
CONFIRMATION = 32  # bytes
MAX_CARD = 4096  # bytes of a sealed card
LONGEST = 86_400  # seconds that a nameplate may be claimed for: a day
LONGEST_SPOKEN = 600  # seconds, of one that is said

_NAMEPLATE = re.compile("[0-9]{6}|[a-z2-7]{13}")  # spoken, or 8 bytes in base32


def check_nameplate(name: str) -> str:
    """
    Return a name that a nameplate may have.

    :raises RemoteProtocolError: it may not.
    """
    if not _NAMEPLATE.fullmatch(name):
        raise RemoteProtocolError("a nameplate has 6 figures, or 13 characters of base32")
    return name


NameplateName = Annotated[
    str, Codec(lambda value, name: check_nameplate(checked(value, name, str, 13)))
]


@attrs.frozen
class Claim(Members):
    """
    A claim of a nameplate for its author.

    :ivar message: the author's message of SPAKE2.
    :ivar lifetime: seconds.
    """

    TYPE: ClassVar[str] = "claim"

    nameplate: NameplateName
    message: Annotated[bytes, octets(MESSAGE)]
    lifetime: Annotated[int, integer(LONGEST, 1)]


@attrs.frozen
class PakeResponse(Members):
    """
    The joiner's one try.

    :ivar message: its message of SPAKE2.
    :ivar confirmation: proves that it knows the secret.
    :ivar card: who it is, sealed to the inviter.
    """

    message: Annotated[bytes, octets(MESSAGE)]
    confirmation: Annotated[bytes, octets(CONFIRMATION)]
    card: Annotated[bytes, octets_up_to(MAX_CARD)]


@attrs.frozen
class Completion(Members):
    """
    The inviter's answer to a try.

    :ivar confirmation: proves that it knows the secret, too; empty: the try showed no such
        knowledge, and the invitation is burnt.
    :ivar card: who it is, sealed to the joiner.
    """

    TYPE: ClassVar[str] = "completion"

    nameplate: NameplateName
    confirmation: Annotated[bytes, octets_up_to(CONFIRMATION)] = b""
    card: Annotated[bytes, octets_up_to(MAX_CARD)] = b""

    @property
    def is_burnt(self) -> bool:
        """Whether the try failed."""
        return not self.confirmation


@attrs.frozen
class Release(Members):
    """The end of its author's claim."""

    TYPE: ClassVar[str] = "release"

    nameplate: NameplateName


@attrs.frozen
class NameplateState(Members):
    """
    The state of a nameplate, as whoever knows its name is shown it.

    :ivar origin: of the registry, as the inviter knows it: the joiner must know it so, too.
    :ivar message: the inviter's message of SPAKE2.
    :ivar expires_in: seconds.
    """

    origin: Annotated[str, text(512)]
    message: Annotated[bytes, octets(MESSAGE)]
    expires_in: Annotated[int, integer(LONGEST)]
    response: Annotated[PakeResponse | None, nested(PakeResponse), SPARSE] = None
    completion: Annotated[Completion | None, nested(Completion), SPARSE] = None
