"""
Refusals of the registry: problem documents (RFC 9457), and how long it asks to be left alone.

The ``type`` of a problem is a relative reference that names the reason
(``/problems/stale-document``), stable for programs; ``detail`` is the sentence for people.  A
registry that asks for work says what in the extension member ``work``.

``Retry-After`` (RFC 9110 section 10.2.3) is read here, within a bound;
:mod:`p2pchat.session.retry_after` obeys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
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

# Seconds; our registry asks for 60 at most where leases are as long as usual.  A registry that
# lies, or counts in days, keeps nobody away for long.
MAX_RETRY_AFTER = 300.0

_DELTA_SECONDS = re.compile(rb"[0-9]+")


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


def http_date(value: bytes) -> float | None:
    """Read an HTTP-date (RFC 9110 section 5.6.7): seconds since 1970, or None if it is none."""
    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def read_retry_after(values: Sequence[bytes], now: float) -> float | None:
    """
    Return the seconds that are asked for, MAX_RETRY_AFTER at most; None if nothing clear is.

    :param values: the field's values; there ought to be one.
    :param now: seconds since 1970 by the clock of whoever sent it.
    """
    if len(values) != 1:
        return None
    if _DELTA_SECONDS.fullmatch(values[0]):
        asked = float(values[0])
    else:
        date = http_date(values[0])
        if date is None:
            return None
        asked = date - now
    return min(max(asked, 0.0), MAX_RETRY_AFTER)
