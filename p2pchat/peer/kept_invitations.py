"""
The file of open invitations, unanswered tries and given answers, so that they outlive the program.

::

    {"v": 1, "open":  [{"line", "server", "seed", "expires_at", "name", "replaces"}],
             "tries": [{"line", "server", "seed", "expires_at", "message", "response"}],
             "answers": [{"nameplate", "server", "expires_at", "peer", "message", "response",
                          "completion"}]}

The first two have the secret of an invitation: the file has mode 0600, and nothing stays in it
longer than it is needed.  One that can't be understood is a reason to stop, as with the others.
"""

from __future__ import annotations

from typing import Annotated, Self

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.pairing import SEED
from p2pchat.wire.documents import MAX_LABEL, MAX_SERVER
from p2pchat.wire.invitations import MAX_LINE
from p2pchat.wire.members import SPARSE, As, Members, Time, each, nested, octets, text
from p2pchat.wire.nameplates import MESSAGE, Completion, NameplateName, PakeResponse
from p2pchat.wire.strict_json import dumps, field, loads
from p2pchat.wire.usernames import MAX_USERNAME

VERSION = 1  # of the file
MAX_KEPT = 64  # of each kind


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

    def encode(self) -> bytes:
        """Return the content of the file."""
        return dumps({"v": VERSION, **self.to_json()})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """
        Read the content of the file.

        :raises RemoteProtocolError: it can't be understood.
        """
        members = loads(data)
        version = field(members, "v", int)
        if version != VERSION:
            raise RemoteProtocolError(f"version {version}, and this program knows {VERSION}")
        return cls.from_json(members)
