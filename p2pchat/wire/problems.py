"""
Problem documents (RFC 9457), the only form in which the registry says no.

The ``type`` of a problem is a relative reference that names the reason
(``/problems/stale-document``), stable for programs; ``detail`` is the sentence for people.  A
registry that asks for work says what in the extension member ``work``.
"""

from __future__ import annotations

from http import HTTPStatus

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.strict_json import JsonObject, dumps, field, loads, optional
from p2pchat.wire.work import Challenge

CONTENT_TYPE = b"application/problem+json"
TYPE_PREFIX = "/problems/"


@attrs.frozen
class Problem:
    """
    One refusal.

    :ivar status: HTTP status code.
    :ivar reason: a word for programs, such as ``stale-document``.
    :ivar detail: what was wrong, where, and what to do.
    :ivar work: what must be done first.
    """

    status: int
    reason: str
    detail: str
    work: Challenge | None = None

    def to_json(self) -> JsonObject:
        """Return the members of the document."""
        return {
            "type": TYPE_PREFIX + self.reason,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"work": self.work.to_json()} if self.work else {}),
        }

    def encode(self) -> bytes:
        """Return the document."""
        return dumps(self.to_json())

    @classmethod
    def decode(cls, data: bytes) -> Problem:
        """
        Read a problem document.

        :raises RemoteProtocolError: it isn't one.
        """
        members = loads(data)
        status = field(members, "status", int, 599)
        if status not in HTTPStatus._value2member_map_:
            raise RemoteProtocolError(f"{status} is not an HTTP status")
        kind = field(members, "type", str, 200)
        work = optional(members, "work", dict, {})
        return cls(
            status,
            kind.removeprefix(TYPE_PREFIX),
            optional(members, "detail", str, "", 2000),
            Challenge.from_json(work) if work else None,
        )
