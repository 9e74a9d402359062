"""
Requests that are read without twisted.web: those that come whole and are plain.

::

    (GET | POST) /word[/word] HTTP/1.1      words of letters, digits, -, _ and .
    Name: value                             printable ASCII, each name once and short
    ...

    body                                    Content-Length bytes of it, all of them there

That is what peers send, and what costs nothing to read.  :func:`read_plain` owns telling such a
request from any other.  It refuses none: whatever isn't plain, or isn't whole yet, is left to
twisted.web, which answers with the same route methods.  So nothing here decides what is allowed,
and a request that is split over two packets is answered like one that isn't.
"""

from __future__ import annotations

import re
from io import BytesIO

import attrs

MAX_PLAIN_HEAD = 4096  # bytes; a peer's longest has 1.2 KiB, with a document in Authorization
MAX_PLAIN_HEADERS = 32
MAX_PLAIN_BODY = 12 * 1024  # bytes; no document is longer

_HEAD = re.compile(
    rb"(GET|POST) ((?:/[\w.-]{1,64}+){1,2}) HTTP/1\.1\r\n((?:[\w-]{1,64}+:[ -~]*+\r\n)*+)\r\n"
)
_LENGTH = re.compile(rb"[0-9]{1,5}")
# These make a request something else than a question and an answer.
_NOT_PLAIN = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"trailer", b"te", b"cookie"})


@attrs.define(eq=False)
class PlainRequest:
    """
    A request and its answer, as the route methods see them: what they use of ``IRequest``.

    :ivar ip: where it came from; known when it is admitted, as is the next one.
    :ivar origin: under which origin it addresses the registry.
    :ivar code: the status of the answer.
    :ivar answer_headers: those of the answer, in order, written as they go on the wire.
    """

    method: bytes
    path: bytes
    content: BytesIO
    _headers: dict[bytes, bytes]
    ip: str = attrs.field(init=False, default="")
    origin: str = attrs.field(init=False, default="")
    code: int = attrs.field(init=False, default=200)
    answer_headers: dict[bytes, bytes] = attrs.field(init=False, factory=dict)

    def getHeader(self, name: bytes) -> bytes | None:
        """Return a header of the request; the name in lower case."""
        return self._headers.get(name)

    def setResponseCode(self, code: int) -> None:
        """Set the status of the answer."""
        self.code = int(code)

    def setHeader(self, name: bytes | str, value: bytes | str) -> None:
        """Set a header of the answer."""
        name = name.encode("ascii") if isinstance(name, str) else name
        value = value.encode("ascii") if isinstance(value, str) else value
        self.answer_headers[name] = value


def read_plain(data: bytes, start: int) -> tuple[PlainRequest, int] | None:
    """
    Read the request that begins at ``start``, and return it and where it ends.

    None where it isn't plain, or isn't whole.
    """
    head = _HEAD.match(data, start)
    if head is None or head.end() - start > MAX_PLAIN_HEAD:
        return None
    headers = _headers(head[3])
    if headers is None:
        return None
    length = _LENGTH.fullmatch(headers.get(b"content-length", b"0"))
    size = int(length[0]) if length else MAX_PLAIN_BODY + 1
    end = head.end() + size
    if end > len(data) or size > MAX_PLAIN_BODY or (size and head[1] == b"GET"):
        return None
    body = BytesIO(data[head.end() : end])
    return PlainRequest(head[1], head[2], body, headers), end


def _headers(block: bytes) -> dict[bytes, bytes] | None:
    lines = block.split(b"\r\n")[:-1]
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    if len(headers) != len(lines) or len(lines) > MAX_PLAIN_HEADERS:
        return None
    if not _NOT_PLAIN.isdisjoint(headers):
        return None
    plain = headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    return headers if plain else None
