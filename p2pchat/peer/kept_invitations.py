"""
Open invitations, unanswered tries and given answers, as they are kept over restarts.

Both have the secret of an invitation, and are kept with the other secrets of a node, no longer than
they are needed; each under a name that tells nothing of it.  As JSON::

    invitation  {"line", "server", "seed", "expires_at", "name", "replaces",
                 "grant": {"service", "lifetime"}}
    try         {"line", "server", "seed", "expires_at", "message", "response"}
    answer      {"nameplate", "server", "expires_at", "peer", "message", "response", "completion"}

A file of before had all of them, as {"v": 1, "open": [invitation], "tries": [try], "answers":
[answer]}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Annotated, Self, TypeVar

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.pairing import SEED
from p2pchat.peer.grants import InvitedGrant
from p2pchat.wire.documents import MAX_LABEL, MAX_SERVER
from p2pchat.wire.invitations import MAX_LINE
from p2pchat.wire.members import SPARSE, As, Members, Time, each, nested, octets, text
from p2pchat.wire.nameplates import MESSAGE, Completion, NameplateName, PakeResponse
from p2pchat.wire.strict_json import dumps, field, loads
from p2pchat.wire.usernames import MAX_USERNAME

VERSION = 1  # of a file
KINDS = INVITATION, TRY, ANSWER = "invitation", "try", "answer"  # of secrets
MAX_KEPT = 64  # of each kind

Place = tuple[str, str]  # kind and name of a secret


@attrs.frozen
class KeptInvitation(Members):
    """
    An open invitation of ours.

    :ivar seed: what its side of the pairing is made of.
    """

    line: Annotated[str, text(MAX_LINE)] = attrs.field(repr=False)
    server: Annotated[str, text(MAX_SERVER)]
    seed: Annotated[bytes, octets(SEED)] = attrs.field(repr=False)
    expires_at: Time
    name: Annotated[str, text(MAX_USERNAME), SPARSE] = ""
    replaces: Annotated[str, text(MAX_LABEL), SPARSE] = ""
    grant: Annotated[InvitedGrant | None, nested(InvitedGrant), SPARSE] = None


@attrs.frozen
class KeptTry(Members):
    """
    A try of somebody's invitation that isn't answered yet.

    :ivar message: the inviter's.
    :ivar response: ours.
    """

    line: Annotated[str, text(MAX_LINE)] = attrs.field(repr=False)
    server: Annotated[str, text(MAX_SERVER)]
    seed: Annotated[bytes, octets(SEED)] = attrs.field(repr=False)
    expires_at: Time
    message: Annotated[bytes, octets(MESSAGE)]
    response: Annotated[PakeResponse, nested(PakeResponse)]


@attrs.frozen
class KeptAnswer(Members):
    """
    Our answer to a try of an invitation of ours, which has no secret any more.

    :ivar peer_id: of whom it let in, "" where it let in nobody.
    :ivar message: ours, which stands at the nameplate.
    :ivar response: the try.
    """

    nameplate: NameplateName
    server: Annotated[str, text(MAX_SERVER)]
    expires_at: Time
    peer_id: Annotated[str, text(MAX_LABEL), As("peer")]
    message: Annotated[bytes, octets(MESSAGE)]
    response: Annotated[PakeResponse, nested(PakeResponse)]
    completion: Annotated[Completion, nested(Completion)]


@attrs.frozen
class KeptInvitations(Members):
    """All of them."""

    open: Annotated[tuple[KeptInvitation, ...], each(nested(KeptInvitation), MAX_KEPT)] = ()
    tries: Annotated[tuple[KeptTry, ...], each(nested(KeptTry), MAX_KEPT)] = ()
    answers: Annotated[tuple[KeptAnswer, ...], each(nested(KeptAnswer), MAX_KEPT), SPARSE] = ()

    def rows(self) -> dict[Place, bytes]:
        """Return them as secrets, by kind and name."""
        rows = {(INVITATION, _name(one.seed)): dumps(one.to_json()) for one in self.open}
        rows |= {(TRY, _name(one.seed)): dumps(one.to_json()) for one in self.tries}
        for one in self.answers:
            rows[ANSWER, _name(one.response.message)] = dumps(one.to_json())
        return rows

    @classmethod
    def from_secrets(cls, found: Mapping[str, Iterable[bytes]]) -> Self:
        """
        Read secrets of the KINDS, those that expire first first.

        :raises RemoteProtocolError: one can't be understood.
        """
        return cls(
            _read(KeptInvitation, found[INVITATION]),
            _read(KeptTry, found[TRY]),
            _read(KeptAnswer, found[ANSWER]),
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """
        Read a file of before.

        :raises RemoteProtocolError: it can't be understood.
        """
        members = loads(data)
        version = field(members, "v", int)
        if version != VERSION:
            raise RemoteProtocolError(f"version {version}, and this program knows {VERSION}")
        return cls.from_json(members)


_Kept = TypeVar("_Kept", KeptInvitation, KeptTry, KeptAnswer)


def _read(kind: type[_Kept], values: Iterable[bytes]) -> tuple[_Kept, ...]:
    found = [kind.from_json(loads(value)) for value in values]
    return tuple(sorted(found, key=lambda one: one.expires_at))


def _name(source: bytes) -> str:
    return sha256(source).hexdigest()[:32]
