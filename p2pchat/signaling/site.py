"""
The HTTP connection below the routes: what is refused before a route is looked for.

* a body over MAX_BODY bytes, as soon as its length is declared or, where it isn't, when the
  first byte too many arrives: 413, and the connection ends.  What the client is still sending
  is thrown away for a moment, so that it reads the answer instead of a reset.
* a method, path or ``Host`` that isn't text a router could work on: 400.
* a connection that is idle for IDLE_TIMEOUT; event streams aren't idle.

Speaks HTTP/1.1 only and writes no access log: addresses of peers are nobody's business.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from p2pchat.errors import RemoteProtocolError
from p2pchat.signaling.metrics import Counts
from p2pchat.signaling.refusals import Refused, refusal_of, refused
from p2pchat.wire.origins import origin
from p2pchat.wire.problems import CONTENT_TYPE

MAX_BODY = 64 * 1024  # bytes; twice the longest document
IDLE_TIMEOUT = 60.0  # seconds
MAX_DISCARDED = 1024 * 1024  # bytes read after a refusal
LINGER = 2.0  # seconds of reading after a refusal
SERVER = b"p2pchat"

_METHOD = re.compile(rb"[A-Z]{1,20}")

_log = Logger()


def client_ip(request: IRequest) -> str:
    """Return the address of the connection, an IPv4 one without its IPv6 mapping."""
    ip = str(getattr(request.getClientAddress(), "host", ""))
    return ip.removeprefix("::ffff:") if "." in ip else ip


def request_origin(request: IRequest) -> str:
    """
    Return the origin that the client dialed, by its ``Host`` header.

    :raises RemoteProtocolError: there is none, or it isn't a host.
    """
    host = request.getHeader(b"host") or b""
    scheme = "https" if request.isSecure() else "http"
    return origin(f"{scheme}://{host.decode('latin-1')}")


def refuse(request: IRequest, refusal: Refused) -> bytes:
    """Set status and headers of a refusal, and return its body."""
    body = refusal.problem.encode()
    request.setResponseCode(refusal.problem.status)
    for name, value in refusal.headers.items():
        request.setHeader(name, value)
    request.setHeader(b"content-type", CONTENT_TYPE)
    request.setHeader(b"content-length", b"%d" % len(body))
    request.setHeader(b"cache-control", b"no-store")
    return body


class RegistryRequest(Request):
    """A request whose body is bounded while it arrives."""

    content: BytesIO
    begun = 0.0  # when there was something to answer
    method = path = b""  # until the request is whole
    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Refuse a declared length that is too great."""
        self._begin()
        self.content = BytesIO()
        if length is not None and length > MAX_BODY:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, or refuse it when there are too many."""
        self._received += len(data)
        if self._refused:
            if self._received > MAX_DISCARDED:
                self._hang_up()
        elif self._received > MAX_BODY:
            self._refuse_body()
        else:
            self.content.write(data)

    def _refuse_body(self) -> None:
        self._refused = True
        self.content = BytesIO()
        refusal = refused(413, "body-too-large", f"a body has at most {MAX_BODY} bytes")
        self._count(refusal)
        # The request line isn't ours yet, so that Request.write can't be used.
        self.clientproto = b"HTTP/1.1"
        body = refuse(self, refusal)
        self.setHeader(b"connection", b"close")
        self.setHeader(b"server", SERVER)
        self.channel.writeHeaders(b"HTTP/1.1", b"413", b"Content Too Large", self.responseHeaders)
        self.channel.write(body)
        self.channel.callLater(LINGER, self._hang_up)

    def _hang_up(self) -> None:
        channel = getattr(self, "channel", None)
        if channel is not None:
            channel.loseConnection()

    def process(self) -> None:
        """Answer, unless the request was refused already or no router could work on it."""
        self._begin()
        if self._refused:
            self._hang_up()
            return
        try:
            self._check_text()
        except RemoteProtocolError as error:
            self._answer(refusal_of(error))
        else:
            super().process()

    def _check_text(self) -> None:
        if not _METHOD.fullmatch(self.method):
            raise RemoteProtocolError("an unknown method")
        request_origin(self)
        if not self.path.startswith(b"/") and self.path != b"*":
            raise RemoteProtocolError("a path must begin with /")
        try:
            unquote_to_bytes(self.path).decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("a path must be UTF-8") from None

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer our own mistake, without its traceback."""
        _log.failure("a request could not be answered", reason)
        detail = "the registry made a mistake; its log has the details"
        self._answer(refused(500, "internal-error", detail))
        return reason

    def _answer(self, refusal: Refused) -> None:
        self._count(refusal)
        body = refuse(self, refusal)
        self.setHeader(b"server", SERVER)
        self.write(body)
        self.finish()

    def _begin(self) -> None:
        site: RegistrySite = self.channel.site  # type: ignore[attr-defined]  # Site sets it
        self.begun = site.clock.seconds()

    def _count(self, refusal: Refused) -> None:
        site: RegistrySite = self.channel.site  # type: ignore[attr-defined]  # Site sets it
        site.counts.refusals[refusal.problem.reason] += 1


class RegistryChannel(HTTPChannel):
    """A connection that counts its answers, and ends quietly when it is idle."""

    site: RegistrySite

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """Count an answer: every one passes here, that of an event stream as it begins."""
        request = cast(RegistryRequest, self.requests[0])
        took = self.site.clock.seconds() - request.begun
        self.site.counts.answered(request.method, request.path, int(code), took)
        if self.site.is_draining:
            self.persistent = 0
            headers.setRawHeaders(b"connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def connectionMade(self) -> None:
        """Take notice of a connection."""
        self.site.channels.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Take notice that it is gone."""
        self.site.channels.discard(self)
        super().connectionLost(reason)

    def drain(self) -> None:
        """End with the answer that is under way; at once, if there is none."""
        self.persistent = 0
        if not self.requests:
            self.loseConnection()

    def timeoutConnection(self) -> None:
        """Drop the connection; Twisted would log its address."""
        cast(ITCPTransport, self.transport).abortConnection()


class RegistrySite(Site):
    """
    The factory of the registry's HTTP connections.

    :ivar counts: where answers, and refusals below the routes, are counted.
    :ivar clock: what answers are timed by.
    :ivar channels: the connections that there are.
    :ivar is_draining: whether each of them ends with its next answer.
    """

    protocol = RegistryChannel  # type: ignore[assignment]  # the base class serves HTTP/2 too
    noisy = False

    def __init__(self, resource: IResource, counts: Counts, clock: IReactorTime) -> None:
        super().__init__(
            resource,
            requestFactory=RegistryRequest,
            parsePOSTFormSubmission=False,
            timeout=IDLE_TIMEOUT,
            reactor=clock,
        )
        self.counts = counts
        self.clock = clock
        self.channels: set[RegistryChannel] = set()
        self.is_draining = False

    def drain(self) -> None:
        """Let each connection end with the answer that is under way; those that idle, now."""
        self.is_draining = True
        for channel in list(self.channels):
            channel.drain()

    def startFactory(self) -> None:
        """Open no access log."""

    def stopFactory(self) -> None:
        """Close no access log."""

    def log(self, request: Any) -> None:
        """Write no access log."""

    def getResourceFor(self, request: Request) -> IResource:
        """Find the resource; the last moment to say which server this is."""
        request.setHeader(b"server", SERVER)
        found: IResource = super().getResourceFor(request)
        return found

    def acceptableProtocols(self) -> list[bytes]:
        """Speak HTTP/1.1 only: HTTP/2 would come without these limits."""
        return [b"http/1.1"]
