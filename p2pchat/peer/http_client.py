"""
HTTP requests to one server that may be hostile, or have somebody hostile before it.

Refuses, each with a sentence: redirects; compressed answers; a head of more than MAX_HEAD bytes; an
answer of more than MAX_ANSWER bytes, or one that isn't there in REQUEST_TIMEOUT.  No connection, an
event stream included, is read faster than READ_RATE: the rest waits in the network.

Every failure is a :class:`p2pchat.errors.RegistryError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IProtocol,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from p2pchat.errors import RegistryError, RegistryUnreachable
from p2pchat.peer.connector import Connector
from p2pchat.peer.failures import in_words
from p2pchat.peer.registry_location import RegistryLocation
from p2pchat.runtime import Runtime, cancel
from p2pchat.wire.origins import origin

REQUEST_TIMEOUT = 5.0  # seconds; an answer takes a round trip and a millisecond
MAX_ANSWER = 256 * 1024  # bytes; a page of 200 records has 60 KiB
MAX_HEAD = 16 * 1024  # bytes from a request to the end of the answer's head; ours has 300
INTERIM = 4096  # bytes that a head of status 1xx counts as, so that few come before the answer
READ_RATE = 128 * 1024  # bytes a second; 40 offers a second are less
READ_BURST = 512 * 1024  # bytes at once: an answer, and the documents that waited for a stream
READ_COST = 64  # bytes that each read costs beside its own, for single bytes cost as much
CLOSE_TIMEOUT = 2.0  # seconds for the other side to let a connection of ours go

_NEVER_SENT = (RequestTransmissionFailed, ResponseNeverReceived, ConnectionLost, ConnectionDone)
_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"[^ ]* 1")


class NeverSent(RegistryUnreachable):
    """The connection was gone that a request should go out on; another may be there."""


@attrs.frozen
class HttpAnswer:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


@attrs.define(eq=False)
class HttpClient:
    """
    Asks one server.

    :ivar server: its URL, of which the origin counts.
    :ivar answered: called with the headers of each answer, and the wall time of its request.
    :ivar location: told of each connection, before anything is sent; may refuse it.
    """

    server: str
    _runtime: Runtime
    answered: Callable[[Headers, float], None]
    location: RegistryLocation
    _origin: bytes = attrs.field(init=False)
    _pool: HTTPConnectionPool = attrs.field(init=False)
    _kept: Agent = attrs.field(init=False)
    _streams: Agent = attrs.field(init=False)  # leaves the kept connection to requests

    def __attrs_post_init__(self) -> None:
        reactor = self._runtime.reactor
        self._origin = origin(self.server).encode("ascii")
        meter = partial(_Meter, self._runtime, self.location)
        self._pool = _MeteredPool(reactor, meter, persistent=True)
        unkept = _MeteredPool(reactor, meter, persistent=False)
        connector = Connector(self._runtime, REQUEST_TIMEOUT)
        self._kept = Agent.usingEndpointFactory(reactor, connector, self._pool)
        self._streams = Agent.usingEndpointFactory(reactor, connector, unkept)

    @inlineCallbacks
    def ask(self, method: str, path: str, headers: dict[str, str], data: bytes = b"") -> Any:
        """Send a request; a Deferred of the :class:`HttpAnswer`, whatever its status."""
        response = yield self._begin(self._kept, method, path, headers, data)
        return (yield self._read(response))

    @inlineCallbacks
    def open(self, path: str, headers: dict[str, str], make: Callable[[], Protocol]) -> Any:
        """
        Open a stream; a Deferred of the protocol that ``make`` returned for its body.

        Where the status isn't 200, of the :class:`HttpAnswer` instead.
        """
        response = yield self._begin(self._streams, "GET", path, headers, b"")
        if response.code == 200:
            protocol = make()
            response.deliverBody(protocol)
            return protocol
        return (yield self._read(response))

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open; requests that follow make new ones."""
        done: Deferred[None] = self._pool.closeCachedConnections()
        return done

    @inlineCallbacks
    def _begin(
        self, agent: Agent, method: str, path: str, headers: dict[str, str], data: bytes
    ) -> Any:
        """Send a request; a Deferred of the response, whose head is to our liking."""
        fields = Headers({"Accept-Encoding": ["identity"]})
        for name, value in headers.items():
            fields.addRawHeader(name, value)
        asked_at = self._runtime.wall_time()
        body = _WholeBody(data) if data or method == "POST" else None
        sent = agent.request(method.encode(), self._origin + path.encode("ascii"), fields, body)
        try:
            response = yield sent.addTimeout(REQUEST_TIMEOUT, self._runtime.clock)
        except _NEVER_SENT as error:
            kind = RegistryUnreachable if _was_cancelled(error) else NeverSent
            why = in_words(error, "broken off")
            raise kind(f"the registry {self.server} can't be asked: {why}") from None
        except Exception as error:
            why = in_words(error, "what is there doesn't speak HTTP")
            raise RegistryUnreachable(
                f"the registry {self.server} can't be reached: {why}"
            ) from None
        self.answered(response.headers, asked_at)
        trouble = _trouble(response)
        if trouble:
            unread: Any = Protocol()
            response.deliverBody(unread)
            unread.transport.loseConnection()
            raise RegistryError(f"{self.server} {trouble}", response.code)
        return response

    @inlineCallbacks
    def _read(self, response: IResponse) -> Any:
        reader = _AnswerReader()
        response.deliverBody(reader)
        try:
            body = yield reader.done.addTimeout(REQUEST_TIMEOUT, self._runtime.clock)
        except Exception as error:
            why = in_words(error, "it isn't whole")
            raise RegistryUnreachable(
                f"the answer of the registry {self.server} can't be read: {why}"
            ) from None
        return HttpAnswer(response.code, response.headers, body)


def _trouble(response: IResponse) -> str:
    """Return what is wrong with the head of an answer, or ""."""
    status, headers = response.code, response.headers
    if 300 <= status < 400:
        return (
            f"sends us somewhere else (HTTP status {status}), where this program doesn't follow: "
            "give the address where the registry is"
        )
    if not 200 <= status < 600:
        return "answers with an HTTP status that there isn't: it seems to be no p2pchat registry"
    encodings = headers.getRawHeaders(b"Content-Encoding", [])
    if any(one.strip().lower() not in {b"", b"identity"} for one in encodings):
        return (
            "compresses its answers although it was asked not to: it, or the proxy before it, "
            "can't be used"
        )
    return ""


def _was_cancelled(error: Exception) -> bool:
    """Tell whether we gave a request up, rather than lost the connection that it went out on."""
    return any(reason.check(CancelledError) for reason in getattr(error, "reasons", ()))


@implementer(IBodyProducer)
class _WholeBody:
    """A body of a few kilobytes, written at once."""

    def __init__(self, body: bytes) -> None:
        self._body, self.length = body, len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write it all."""
        consumer.write(self._body)
        return succeed(None)

    def stopProducing(self) -> None:
        """Nothing is left to stop, nor to pause."""

    pauseProducing = resumeProducing = stopProducing


class _AnswerReader(Protocol):
    """Collects the body of an answer, MAX_ANSWER at most; ``done`` fires with it."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _done: self._stop())
        self._body = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """Add bytes, and stop where they are too many to be an answer."""
        if self.done.called:
            return
        self._body += data
        if len(self._body) > MAX_ANSWER:
            self._stop()
            self.done.errback(RegistryError(f"it has more than {MAX_ANSWER} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The answer is whole, or broken."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._body))
        else:
            self.done.errback(reason)

    def _stop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class _MeteredPool(HTTPConnectionPool):
    """Opens Twisted's own connections, with a :class:`_Meter` each."""

    def __init__(self, reactor: Any, meter: Callable[..., _Meter], persistent: bool) -> None:
        super().__init__(reactor, persistent)
        self._meter = meter

    def getConnection(self, key: Any, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        """See `HTTPConnectionPool`."""
        return super().getConnection(key, _MeteredEndpoint(endpoint, self._meter))


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _MeteredEndpoint:
    """An endpoint whose connections are read no faster than we want."""

    _endpoint: IStreamClientEndpoint
    _meter: Callable[..., _Meter]

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        metered = WrappingFactory(factory)
        factory.noisy = metered.noisy = False
        metered.protocol = self._meter
        connecting: Deferred[Any] = self._endpoint.connect(metered)
        return connecting.addCallback(lambda meter: meter.admit())


class _Meter(ProtocolWrapper):
    """
    Stands between a connection and HTTP: bounds the heads of answers, and how fast it is read.

    A connection that has used up its bytes isn't read until there are some again.
    """

    def __init__(
        self, runtime: Runtime, location: RegistryLocation, factory: Any, wrapped: Any
    ) -> None:
        super().__init__(factory, wrapped)
        self._plain = runtime.nat64.plain
        self._location = location
        self._host: str | None = None  # of the other end, while it is told to be open
        self._clock = runtime.clock
        self._bytes = float(READ_BURST)  # that may be read at once
        self._counted_at = self._clock.seconds()
        self._head: bytearray | None = None  # of the answer that is awaited
        self._heads = 0  # bytes of the interim heads before it
        self._held = False  # by whoever reads the body
        self._timer: IDelayedCall | None = None  # the connection is to be read again, or aborted
        self._over = False

    @property
    def _below(self) -> Any:
        return self.transport

    def admit(self) -> IProtocol:
        """
        Return the protocol above, if the connection may be used.

        :raises RegistryError: it may not, and ends.
        """
        self._host = self._plain(str(getattr(self.getPeer(), "host", "")))
        trouble = self._location.opened(self._host)
        if trouble:
            self.abortConnection()
            raise RegistryError(trouble)
        return self.wrappedProtocol

    def write(self, data: bytes) -> None:
        """Send bytes of a request, and expect the head of an answer."""
        self._head, self._heads = bytearray(), 0
        super().write(data)

    def writeSequence(self, data: Any) -> None:
        """See `ITransport`."""
        self.write(b"".join(data))

    def dataReceived(self, data: bytes) -> None:
        """Count bytes, and hand them on."""
        if self._over:
            return
        if not self._is_head_short(data):
            why = f"the head of its answer has more than {MAX_HEAD} bytes"
            self.connectionLost(Failure(RegistryError(why)))
            self.abortConnection()
            return
        self._spend(len(data) + READ_COST)
        super().dataReceived(data)

    def _is_head_short(self, data: bytes) -> bool:
        """Take bytes of a head; tells whether there aren't too many of them."""
        if self._head is None:
            return True
        self._head += data
        while (end := _HEAD_END.search(self._head)) and self._heads + end.end() <= MAX_HEAD:
            if not _INTERIM.match(self._head):
                self._head = None
                return True
            self._heads += max(end.end(), INTERIM)
            del self._head[: end.end()]
        return self._heads + len(self._head) <= MAX_HEAD

    def _spend(self, count: int) -> None:
        now = self._clock.seconds()
        earned = (now - self._counted_at) * READ_RATE
        self._bytes, self._counted_at = min(self._bytes + earned, READ_BURST) - count, now
        if self._bytes < 0 and self._timer is None:
            self._timer = self._clock.callLater(-self._bytes / READ_RATE, self._go_on)
            self._below.pauseProducing()

    def _go_on(self) -> None:
        self._timer = None
        if not self._held:
            self._below.resumeProducing()

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        self._held = True
        self._below.pauseProducing()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        self._held = False
        if self._timer is None:
            self._below.resumeProducing()

    def loseConnection(self) -> None:
        """Close; a server that doesn't let go is cut off after CLOSE_TIMEOUT."""
        if not self._over:
            cancel(self._timer)
            self._over = True
            self._timer = self._clock.callLater(CLOSE_TIMEOUT, self.abortConnection)
            super().loseConnection()

    def abortConnection(self) -> None:
        """Close at once."""
        self._over = True
        self._below.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End, once: the connection is gone, or what came of it is none of HTTP."""
        self._over = True
        cancel(self._timer)
        host, self._host = self._host, None
        if host is not None:
            self._location.closed(host)
        if self.wrappedProtocol is not None:
            super().connectionLost(reason)
