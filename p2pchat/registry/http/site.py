"""
The HTTP connections below the routes: their limits and deadlines, and what is refused early.

* a plain request (:mod:`p2pchat.registry.http.plain_requests`) is handed to the route methods as it
  is; all others go through twisted.web and Klein.  Both come to the same methods.
* every request takes a token of its address (:mod:`p2pchat.registry.admission.control`) as soon
  as its head is there, before a body is read or a route is looked for; so does a head that isn't
  one.
* a connection for which there is no room (:mod:`p2pchat.registry.http.connections`) is told so when
  it asks for something, 429 or 503; above MAX_REJECTING of these, it is closed without a word.
* a head over MAX_HEAD bytes or MAX_HEADERS headers, with a line over MAX_LINE or a name over
  MAX_NAME, with lines that are continued, with a length that is no number of MAX_DIGITS, or with
  ``Transfer-Encoding`` other than one ``chunked``: 400, and the connection ends.
* a chunked body, whose bytes might come in a chunk each: 411, and the connection ends.
* a body whose declared length is over MAX_BODY bytes: 413, and the connection ends.
* an envelope for a mailbox may be longer, by a permit in the head of its request, without which
  not a byte of it is kept; how many may be on their way is said in
  :mod:`p2pchat.registry.mailbox.uploads`.
* what a client goes on sending then is thrown away for a moment, so that it reads the answer
  instead of a reset.
* a method, path or ``Host`` that isn't text a router could work on, or a second ``Host``: 400.
* a ``Host`` that isn't this registry's (:mod:`p2pchat.registry.audiences`): 421.
* a connection whose deadline has passed is dropped without a word.
* a request behind another on the same connection waits until that is answered, and until the
  client has taken most of what was answered so far; meanwhile no more is read.
* every answer is counted, and while the connections drain it ends its own.

Speaks HTTP/1.1 only and writes no access log: addresses of peers are nobody's business.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from p2pchat.errors import RemoteProtocolError
from p2pchat.registry.admission.rates import Limits, source_of
from p2pchat.registry.audiences import own_origins
from p2pchat.registry.http.access import ConnectionInfo, SiteRoutes, host_of
from p2pchat.registry.http.client_address import FORWARDED
from p2pchat.registry.http.connections import (
    NEVER,
    UNLIMITED,
    ConnectionAdmission,
    ConnectionPhase,
    ConnectionTable,
    Slot,
)
from p2pchat.registry.http.plain_requests import PlainRequest, read_plain
from p2pchat.registry.mailbox.uploads import Upload
from p2pchat.registry.refusals import Refused, refusal_of, refused
from p2pchat.registry.registry import Registry
from p2pchat.runtime import cancel
from p2pchat.wire.problems import CONTENT_TYPE

MAX_BODY = 16 * 1024  # bytes; more than any document, so that one that is too long is told so
MAX_HEAD = 16 * 1024  # bytes of request line and headers
MAX_LINE = 2048  # bytes of the request line; the longest of ours has 900, with a name of a peer
MAX_HEADERS = 64
MAX_NAME = 64  # bytes of a header's name; twisted.web keeps 10,000 of them for good
MAX_DIGITS = 10  # of a length
MAX_REJECTING = 64  # connections
RETRY_AFTER = 5  # seconds; silent connections are gone after twice that
MAX_DISCARDED = 1024 * 1024  # bytes read after a refusal
LINGER = 2.0  # seconds of reading after a refusal
SERVER = b"p2pchat"
DEPOSITS = b"/mail/"  # the beginning of a path that envelopes are posted to

BAD_HEAD = refused(
    400,
    "malformed",
    f"not the head of an HTTP/1.1 request of at most {MAX_HEAD} bytes and {MAX_HEADERS} headers",
)
TOO_LARGE = refused(413, "body-too-large", f"a body has at most {MAX_BODY} bytes")
MISTAKE = refused(500, "internal-error", "the registry made a mistake; its log has the details")
NO_LENGTH = refused(411, "length-required", "send the body with its Content-Length, not chunked")
NO_ROOM = {
    ConnectionAdmission.FULL: refused(
        503, "too-many-connections", "this registry is full: try again soon", RETRY_AFTER
    ),
    ConnectionAdmission.TOO_MANY: refused(
        429, "too-many-connections", "too many connections from your address", RETRY_AFTER
    ),
}

_STATUS = {status.value: b"%d %b" % (status, status.phrase.encode()) for status in HTTPStatus}
_date = lru_cache(maxsize=1)(datetimeToString)  # it changes once a second
_TLS_HELLO = b"\x16\x03"  # how a client of TLS begins; it is answered at once, and can tell
_METHOD = re.compile(rb"[A-Z]{1,20}")
_DIGITS = re.compile(rb"[0-9]{1,%d}" % MAX_DIGITS)

_log = Logger()


def refuse(request: IRequest | PlainRequest, refusal: Refused) -> bytes:
    """Set status and headers of a refusal, and return its body."""
    request.setResponseCode(refusal.problem.status)
    for name, value in refusal.headers.items():
        request.setHeader(name, value)
    request.setHeader(b"Content-Type", CONTENT_TYPE)
    request.setHeader(b"Content-Length", b"%d" % len(refusal.body))
    request.setHeader(b"Cache-Control", b"no-store")
    return refusal.body


def _head(request: PlainRequest, now: float) -> bytes:
    lines = b"".join([b"%b: %b\r\n" % field for field in request.answer_headers.items()])
    return b"HTTP/1.1 %b\r\nServer: %b\r\nDate: %b\r\n%b\r\n" % (
        _STATUS[request.code],
        SERVER,
        _date(int(now)),
        lines,
    )


class RegistryRequest(Request):
    """
    A request that is admitted, or refused, when its head is there.

    :ivar ip: where it came from.
    :ivar origin: under which origin it addresses the registry.
    """

    channel: RegistryChannel
    content: BytesIO
    begun = 0.0  # when there was something to answer
    method = path = b""  # until the request is whole
    ip = origin = ""
    upload: Upload | None = None  # what it is of, where it has an envelope
    fetch: Upload | None = None  # what is answered, where that is mail
    _refusal: Refused | None = None
    _deposits: bytes | None = None  # the path of a request that leaves an envelope

    def admit(self, method: bytes, target: bytes) -> None:
        """Take a token, or remember that there was none."""
        try:
            forwarded = self.requestHeaders.getRawHeaders(FORWARDED, ())
            path, access = target.partition(b"?")[0], self.channel.site.access
            self.ip = access.admit(self.channel.info, forwarded, method, path)
        except Refused as refusal:
            self._refusal = refusal
        self._deposits = path if method == b"POST" and path.startswith(DEPOSITS) else None

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that is too large or has no length, before a byte of it is read."""
        self._begin()
        self.content = BytesIO()
        if self._refusal is None and self._deposits is not None:
            self._begin_upload(self._deposits, length)
        is_too_long = length is not None and length > MAX_BODY and self.upload is None
        if length is None or is_too_long:
            self._refuse_body(self._refusal or (NO_LENGTH if length is None else TOO_LARGE))
        elif self._refusal is not None and self.requestHeaders.hasHeader(b"expect"):
            self._refuse_body(self._refusal)

    def _begin_upload(self, path: bytes, length: int | None) -> None:
        mailboxes = self.channel.site.registry.mailboxes
        shown = self.requestHeaders.getRawHeaders(b"authorization", [b""])[-1]
        try:
            if mailboxes is not None and length is not None:
                self.upload = mailboxes.begin_upload(path, shown, length, self.ip)
        except (RemoteProtocolError, Refused) as error:
            self._refusal = refusal_of(error)

    def _end_upload(self) -> None:
        mailboxes = self.channel.site.registry.mailboxes
        if mailboxes is not None and self.upload is not None:
            mailboxes.uploads.end(self.upload)

    def finish(self) -> None:
        """Give back the room that the body took, and soon that of the answer."""
        self._end_upload()
        channel, fetch = self.channel, self.fetch
        super().finish()
        if fetch is not None:
            channel.hold(fetch)

    def connectionLost(self, reason: Failure) -> None:
        """Give back the room that body and answer took."""
        self._end_upload()
        if self.fetch is not None:
            self.channel.site.end_fetches([self.fetch])
        super().connectionLost(reason)

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, if it will be of use."""
        if self._refusal is None:
            self.content.write(data)

    def _refuse_body(self, refusal: Refused) -> None:
        self._count(refusal)
        self.requestHeaders.removeHeader(b"expect")  # nothing is to be continued
        # The request line isn't ours yet, so that Request.write can't be used.
        self.clientproto = b"HTTP/1.1"
        body = refuse(self, refusal)
        self.setHeader(b"Connection", b"close")
        self._sign()
        code, _, phrase = _STATUS[refusal.problem.status].partition(b" ")
        self.channel.writeHeaders(b"HTTP/1.1", code, phrase, self.responseHeaders)
        self.channel.write(body)
        self.channel.discard()

    def process(self) -> None:
        """Answer, unless the request was refused already or no router could work on it."""
        self._begin()
        if self._refusal is not None:
            self._answer(self._refusal)
            return
        try:
            self._check_text()
            access, host = self.channel.site.access, self.getHeader(b"host")
            self.origin = access.addressed(self.channel.info, host)
        except (RemoteProtocolError, Refused) as error:
            self._answer(refusal_of(error))
        else:
            super().process()

    def _check_text(self) -> None:
        if not _METHOD.fullmatch(self.method):
            raise RemoteProtocolError("an unknown method")
        if len(self.requestHeaders.getRawHeaders(b"host", ())) > 1:
            raise RemoteProtocolError("Host is given twice")
        if not self.path.startswith(b"/") and self.path != b"*":
            raise RemoteProtocolError("a path must begin with /")
        try:
            unquote_to_bytes(self.path).decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("a path must be UTF-8") from None

    def render(self, resrc: IResource) -> None:
        """Answer in our own name, and with the time that documents are judged by."""
        self._sign()
        super().render(resrc)

    def _sign(self) -> None:
        """Say which server this is, and what time it is here, which peers go by."""
        now = self.channel.site.registry.wall_time()
        self.setHeader(b"Server", SERVER)
        self.setHeader(b"Date", _date(int(now)))

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer our own mistake, without its traceback."""
        _log.failure("a request could not be answered", reason)
        self._answer(MISTAKE)
        return reason

    def _answer(self, refusal: Refused) -> None:
        self._count(refusal)
        body = refuse(self, refusal)
        self._sign()
        self.write(body)
        self.finish()

    def _begin(self) -> None:
        self.begun = self.channel.site.registry.now()

    def _count(self, refusal: Refused) -> None:
        self.channel.site.metrics.refused(refusal.problem.reason)


AnyRequest = RegistryRequest | PlainRequest


class RegistryChannel(HTTPChannel):
    """
    One connection.

    :ivar info: what it tells of its requests.
    """

    site: RegistrySite
    info: ConnectionInfo
    maxHeaders = MAX_HEADERS
    totalHeadersSize = MAX_HEAD
    _slot: Slot
    _pending: Deferred[bytes] | None = None  # the answer to a plain request, on its way
    _fetches: list[Upload]  # answers that aren't taken yet
    _kept = b""  # what came while there was something to wait for
    _discarded = -1  # bytes thrown away after a refusal; -1: there was none
    _lingering: IDelayedCall | None = None  # the end of that

    def connectionMade(self) -> None:
        """Take a slot."""
        local, secure = self.getHost(), self.isSecure()
        own = own_origins(host_of(local), getattr(local, "port", 0), secure)
        self.info = ConnectionInfo(self.getPeer(), secure, own)
        self._slot = self.site.take_slot(self, self.info.client)
        self._fetches = []
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give the slot up, and what the client waited for."""
        self.site.connections.remove(self._slot)
        self.site.end_fetches(self._fetches)
        self._kept = b""
        cancel(self._lingering)  # lest it hold what is gone
        if self._pending is not None:
            self._pending.cancel()
        super().connectionLost(reason)

    def drop(self) -> None:
        """End the connection quietly; Twisted would log its address."""
        cast(ITCPTransport, self.transport).abortConnection()

    def drain(self) -> None:
        """End with the answer that is under way; at once, if there is none."""
        self.persistent = 0
        if not self.requests and self._pending is None:
            self.loseConnection()

    def _enter(self, phase: ConnectionPhase) -> None:
        self._slot.enter(phase, self.site.registry.now())

    @property
    def _waits(self) -> bool:
        """Whether nothing may be answered now: another answer is on its way, or isn't taken."""
        return self._pending is not None or bool(self.paused)

    # -- reading

    def dataReceived(self, data: bytes) -> None:
        """Read; what neither this nor twisted.web foresaw ends the connection and nothing else."""
        try:
            self._read(data)
        except Exception:  # the reactor would log it with the client's address
            self.site.complain("a request could not be read")
            self.drop()

    def _read(self, data: bytes) -> None:
        """Answer what is plain, and hand the rest to twisted.web."""
        if cast(Any, self.transport).disconnecting:  # no interface has it
            return
        if self._waits:
            self._kept += data
            cast(IPushProducer, self.transport).pauseProducing()
            return
        if not self.requests and self.persistent and self.line_mode:
            data = self.clearLineBuffer() + data
            if data.startswith(_TLS_HELLO):
                self._respondToBadRequestAndDisconnect()
                return
            if b"\r\n\r\n" in data:  # else it would be tried again with each byte
                data = self._answer_plain(data)
            if data and self._slot.phase is ConnectionPhase.IDLE:
                self._enter(ConnectionPhase.HEAD)
        if data or self.requests:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Refuse a line that is continued (RFC 9112 section 5.2), and a first one that is long."""
        if line[:1] in (b" ", b"\t") or (not self.requests and len(line) > MAX_LINE):
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:
        """Refuse what twisted.web would stumble over, keep for ever, or take for something else."""
        name, _, value = line.partition(b":")
        if len(name) > MAX_NAME or not self._may_frame(name.lower(), value.strip(b" \t").lower()):
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(super().headerReceived(line))

    def _may_frame(self, name: bytes, value: bytes) -> bool:
        """Tell whether a header leaves no doubt of where the request ends."""
        if name == b"content-length":
            return _DIGITS.fullmatch(value) is not None
        if name == b"transfer-encoding":
            again = self.requests[-1].requestHeaders.hasHeader(name)
            return value == b"chunked" and not again
        return True

    def rawDataReceived(self, data: bytes) -> None:
        """Take a piece of a body, or throw it away."""
        if self._discarded < 0:
            super().rawDataReceived(data)
            return
        self._discarded += len(data)
        if self._discarded >= min(self.length or MAX_DISCARDED, MAX_DISCARDED):
            self._hang_up()

    def discard(self) -> None:
        """Throw away what still comes, for a moment, and hang up."""
        self._discarded = 0
        self._lingering = self.site.registry.runtime.clock.callLater(LINGER, self._hang_up)

    def _hang_up(self) -> None:
        transport = cast(Any, self.transport)  # no interface has ``disconnecting``
        if not (self._slot.is_gone or transport.disconnecting):
            self.loseConnection()

    def _answer_plain(self, data: bytes) -> bytes:
        """Answer the plain requests that data begins with; return what follows them."""
        position = 0
        while position < len(data) and self.persistent and not self._waits:
            found = read_plain(data, position)
            begun = self.site.registry.now()
            answer = self.site.routes.answer_plain(found[0], self.info) if found else None
            if found is None or answer is None:
                return data[position:]
            request, position = found
            self._await(answer, request, begun)
        if self._waits:
            self._kept = data[position:] + self._kept
        return b""

    def _await(self, answer: Deferred[bytes], request: PlainRequest, begun: float) -> None:
        self._pending = answer
        answer.addCallback(self._write_plain, request, begun)
        if self._pending is not None:
            self._enter(ConnectionPhase.ANSWERING)
            answer.addCallback(lambda _: self._go_on())

    def _write_plain(self, body: bytes, request: PlainRequest, begun: float) -> None:
        self._pending = None
        if self._slot.is_gone:
            return
        now = self.site.registry.now()
        self.site.metrics.answered(request.method, request.path, request.code, now - begun)
        self.site.connections.asked(self._slot)
        self._slot.enter(ConnectionPhase.IDLE, now)
        if self.site.connections.is_draining:
            self.persistent = 0
            request.setHeader(b"Connection", b"close")
        self.write(_head(request, self.site.registry.wall_time()) + body)
        if not self.persistent:
            self.loseConnection()

    def _go_on(self) -> None:
        """Read on after a wait."""
        transport = cast(Any, self.transport)  # no interface has ``disconnecting``
        if not (self._waits or self._slot.is_gone or transport.disconnecting):
            transport.resumeProducing()
            data, self._kept = self._kept, b""
            self.dataReceived(data)

    # -- what twisted.web reads and writes

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """Count an answer: every one of its passes here, an event stream's as it begins."""
        request = cast(RegistryRequest, self.requests[0])
        took = self.site.registry.now() - request.begun
        self.site.metrics.answered(request.method, request.path, int(code), took)
        if self.site.connections.is_draining:
            self.persistent = 0
            headers.setRawHeaders(b"connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def allHeadersReceived(self) -> None:
        """Admit the request, or not; give its body time."""
        self.requests[-1].admit(self._command, self._path)
        if self.length != 0:
            self._enter(ConnectionPhase.BODY)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """Note a whole request; it is answered now."""
        self.site.connections.asked(self._slot)
        self._enter(ConnectionPhase.ANSWERING)
        super().allContentReceived()

    def requestDone(self, request: IRequest) -> None:
        """Wait for the next request, or answer it if it is here."""
        self._enter(ConnectionPhase.IDLE)
        super().requestDone(request)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Answer a line that is longer than all of a head may be."""
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Answer a head that isn't one; twisted.web would give no reason."""
        try:
            self.site.access.admit_unread(self.info.client)
            self.write(self.site.refuse_unread(BAD_HEAD))
        except Refused as refusal:
            self.write(self.site.refuse_unread(refusal))
        self.loseConnection()

    # -- a client that takes nothing

    def hold(self, fetch: Upload) -> None:
        """Keep the room of an answer until that was taken."""
        self._fetches.append(fetch)
        if not self.paused or self._slot.is_gone:
            self.site.end_fetches(self._fetches)

    def pauseProducing(self) -> None:
        """Answer nothing more: what was answered waits to be taken."""
        self.paused = True
        self._slot.stalled = self.site.registry.now()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """Answer again."""
        self.paused = False
        self._slot.stalled = NEVER
        self.site.end_fetches(self._fetches)
        self._fetches = []
        super().resumeProducing()
        self._go_on()


class RejectingProtocol(Protocol):
    """A connection for which there is no room: says so when it is asked something."""

    def __init__(self, site: RegistrySite, refusal: Refused) -> None:
        self._site = site
        self._refusal = refusal

    def connectionMade(self) -> None:
        """Wait a moment for a request; most clients read no answer before."""
        self._site.rejecting += 1
        self._timer = self._site.registry.runtime.clock.callLater(LINGER, self._hang_up)

    def dataReceived(self, data: bytes) -> None:
        """Answer, whatever it is, and hang up."""
        if self._timer.active():
            self._timer.cancel()
            transport = cast(ITCPTransport, self.transport)
            transport.write(self._site.refuse_unread(self._refusal))
            transport.loseConnection()

    def _hang_up(self) -> None:
        cast(ITCPTransport, self.transport).abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Make room for another."""
        self._site.rejecting -= 1
        cancel(self._timer)


class RegistrySite(Site):
    """
    The factory of the registry's HTTP connections.

    :ivar routes: where plain requests are answered.
    :ivar access: what the others pass first.
    :ivar registry: whose connections these are.
    :ivar connections: the table in which they have their slots.
    :param limits: how many there may be.
    :ivar metrics: where answers, and refusals below the routes, are counted.
    :ivar rejecting: how many connections are being refused now.
    """

    protocol = RegistryChannel  # type: ignore[assignment]  # the base class serves HTTP/2 too
    noisy = False

    def __init__(
        self,
        resource: IResource,
        routes: SiteRoutes,
        registry: Registry,
        limits: Limits,
    ) -> None:
        super().__init__(
            resource,
            requestFactory=RegistryRequest,
            parsePOSTFormSubmission=False,
            timeout=None,  # deadlines are the table's
            reactor=registry.runtime.clock,
        )
        self.routes = routes
        self.access = routes.access
        self.registry = registry
        self.connections = ConnectionTable(limits)
        registry.sweeps.append(self.connections.sweep)
        self.metrics = registry.metrics
        self.rejecting = 0
        self._next_complaint = 0.0

    def complain(self, what: str) -> None:
        """Log the exception that is being handled; one a second at most, for strangers cause it."""
        now = self.registry.now()
        if now >= self._next_complaint:
            self._next_complaint = now + 1.0
            _log.failure(what)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return what serves a new connection, or refuses it; None: it is closed."""
        admission = self.connections.admit(self._source(addr))
        if admission is ConnectionAdmission.ADMITTED:
            return super().buildProtocol(addr)
        if self.rejecting >= MAX_REJECTING:
            return None
        return RejectingProtocol(self, NO_ROOM[admission])

    def take_slot(self, channel: RegistryChannel, client: IAddress) -> Slot:
        """Give a connection its slot in the table."""
        return self.connections.add(channel, self._source(client), self.registry.now())

    def end_fetches(self, fetches: list[Upload]) -> None:
        """Give back the room of answers that were taken; it may be given back already."""
        mailboxes = self.registry.mailboxes
        if mailboxes is not None:
            for fetch in fetches:
                mailboxes.fetches.end(fetch)

    def _source(self, address: IAddress | None) -> str:
        host = host_of(address)
        return UNLIMITED if host in self.access.proxies else source_of(host)

    def refuse_unread(self, refusal: Refused) -> bytes:
        """Count a refusal of what wasn't read, and write it as the end of its connection."""
        self.metrics.refused(refusal.problem.reason)
        self.metrics.answered(b"", b"", refusal.problem.status, 0.0)
        request = PlainRequest(b"", b"", BytesIO(), {})
        body = refuse(request, refusal)
        request.setHeader(b"Connection", b"close")
        return _head(request, self.registry.wall_time()) + body

    def startFactory(self) -> None:
        """Open no access log."""

    def stopFactory(self) -> None:
        """Close no access log."""

    def log(self, request: Any) -> None:
        """Write no access log."""

    def acceptableProtocols(self) -> list[bytes]:
        """Speak HTTP/1.1 only: HTTP/2 would come without these limits."""
        return [b"http/1.1"]
