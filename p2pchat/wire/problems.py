"""
Problem documents (RFC 9457), the form of every refusal of the registry.

The ``type`` of a problem is a relative reference that names the reason
(``/problems/stale-document``), stable for programs; ``detail`` is the sentence for people.  A
registry that asks for work says what in the extension member ``work``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Self

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.members import SPARSE, As, Codec, Members, nested, text
from p2pchat.wire.strict_json import JsonObject, checked, dumps, loads
from p2pchat.wire.work import Challenge

CONTENT_TYPE = b"application/problem+json"
TYPE_PREFIX = "/problems/"
_STATUSES = frozenset(map(int, HTTPStatus))


def _status(value: object, name: str) -> int:
    status = checked(value, name, int, 599)
    if status not in _STATUSES:
        raise RemoteProtocolError(f"{status} is not an HTTP status")
    return status


def _reason(value: object, name: str) -> str:
    return checked(value, name, str, 200).removeprefix(TYPE_PREFIX)


@attrs.frozen
class Problem(Members):
    """
    A refusal.

    :ivar status: HTTP status code.
    :ivar reason: a word for programs, such as ``stale-document``.
    :ivar detail: what was wrong, where, and what to do.
    :ivar work: what must be done first.
    """

    status: Annotated[int, Codec(_status)]
    reason: Annotated[str, Codec(_reason, TYPE_PREFIX.__add__), As("type")]
    detail: Annotated[str, text(2000)] = ""
    work: Annotated[Challenge | None, nested(Challenge), SPARSE] = None

    def to_json(self) -> JsonObject:
        """Return the members, in the order of the RFC."""
        phrase = HTTPStatus(self.status).phrase
        return {"type": TYPE_PREFIX + self.reason, "title": phrase, **super().to_json()}

    def encode(self) -> bytes:
        """Return the document."""
        return dumps(self.to_json())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """
        Read a problem document.

        :raises RemoteProtocolError: it isn't one.
        """
        return cls.from_json(loads(data))
