"""
Refusals: the status and the reason that answer each error, in one table.

A reason is stable, for programs; the detail is the error's own sentence.
"""

from __future__ import annotations

from http import HTTPStatus

from p2pchat import errors
from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.wire.documents import VERSION
from p2pchat.wire.problems import Problem
from p2pchat.wire.work import Challenge

_ANSWERS: dict[type[RemoteProtocolError], tuple[int, str]] = {
    errors.NotCompact: (400, "not-compact"),
    errors.BadHeader: (400, "bad-header"),
    errors.NotUtf8: (400, "not-utf-8"),
    errors.NotJson: (400, "not-json"),
    errors.NestedTooDeep: (400, "nested-too-deep"),
    errors.DuplicateKey: (400, "duplicate-key"),
    errors.DocumentTooLong: (413, "document-too-long"),
    errors.WrongIssuer: (401, "wrong-issuer"),
    errors.BadSignature: (401, "bad-signature"),
    errors.StaleDocument: (401, "stale-document"),
    errors.WrongAudience: (403, "wrong-audience"),
    errors.ReplayedDocument: (409, "replayed-document"),
    errors.TooManyDocuments: (503, "too-many-documents"),
    errors.UnsupportedVersion: (400, "unsupported-version"),
}
FORGOTTEN = 300  # seconds until what is remembered now is forgotten: MAX_AGE of documents
_HEADERS = {401: {"WWW-Authenticate": 'JWS realm="p2pchat"'}}  # RFC 9110 section 15.5.2


class Refused(RegistryError):
    """
    The registry refuses a request.

    :ivar problem: what is answered.
    :ivar headers: response headers that belong to it.
    :ivar body: the problem, written.
    """

    def __init__(self, problem: Problem, headers: dict[str, str], body: bytes = b"") -> None:
        super().__init__(problem.detail, problem.status, problem.reason)
        self.problem = problem
        self.headers = headers
        self.body = body or problem.encode()


def refused(
    status: int,
    reason: str,
    detail: str,
    retry_after: int | None = None,
    work: Challenge | None = None,
) -> Refused:
    """
    Make a refusal.

    :param retry_after: seconds after which it is worth asking again.
    :param work: what would make it worth asking sooner.
    """
    headers = dict(_HEADERS.get(status, {}))
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Refused(Problem(status, reason, detail, work), headers)


def refusal_of(error: RemoteProtocolError | Refused) -> Refused:
    """Return the refusal that answers an error."""
    if isinstance(error, Refused):
        return error
    status, reason = _ANSWERS.get(type(error), (400, "malformed"))
    retry_after = FORGOTTEN if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    detail = _of_version(error) if isinstance(error, errors.UnsupportedVersion) else str(error)
    return refused(status, reason, detail, retry_after)


def _of_version(error: errors.UnsupportedVersion) -> str:
    """Return the sentence for a document of another version; programs of that one show it."""
    old = "the program that sent it" if error.version < VERSION else "the registry"
    what = f"a document of version {error.version}; this registry knows version {VERSION}"
    return f"{what}: update {old}"
