"""
The registry's routes, as a peer calls them (docs/protocol.rst lists them).

Owns signing for the registry, reading its answers strictly, and turning every failure into
:class:`p2pchat.errors.RegistryError` with a sentence for the person.  If the registry finds our
documents stale, its ``Date`` header tells by how much our clock is wrong, and from then on
documents are dated by the registry's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import attrs
from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    TimeoutError,
    inlineCallbacks,
    succeed,
)
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from p2pchat.errors import RegistryError, RegistryUnreachable, RemoteProtocolError
from p2pchat.identity.documents import sign_document
from p2pchat.identity.keys import Identity
from p2pchat.peer.event_stream import Event, EventStream
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import Body, Registration, Removal, Subscription
from p2pchat.wire.origins import origin
from p2pchat.wire.problems import Problem
from p2pchat.wire.retry_after import http_date, read_retry_after
from p2pchat.wire.strict_json import JsonObject, loads
from p2pchat.wire.work import Challenge

REQUEST_TIMEOUT = 5.0  # seconds; an answer takes a round trip and a millisecond
MAX_ANSWER = 256 * 1024  # bytes; a page of 200 records has 60 KiB
_NEVER_SENT = (RequestTransmissionFailed, ResponseNeverReceived, ConnectionLost, ConnectionDone)
_FAILURES = (
    ResponseFailed,
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
    OSError,
)


class WorkRequired(RegistryError):
    """
    The registry asks strangers to work before they register.

    Whoever works needn't wait, so its ``retry_after`` is None.

    :ivar challenge: what is asked.
    :ivar idle_wait: seconds after which whoever doesn't work may ask again.
    """

    def __init__(self, problem: Problem, challenge: Challenge, idle_wait: float | None) -> None:
        super().__init__(problem.detail, problem.status, problem.reason)
        self.challenge = challenge
        self.idle_wait = idle_wait


@implementer(IBodyProducer)
@attrs.define
class _WholeBody:
    """A body of a few kilobytes, written at once: treq's own takes turns of a global reactor."""

    _body: bytes
    length: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.length = len(self._body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write it all."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Nothing is left to resume."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


class _ReadyURL(EncodedURL):
    """A URL of ASCII only: hyperlink's own encoding takes an IPv6 literal for a domain name."""

    def to_uri(self) -> EncodedURL:
        """Return it as it is."""
        return self


class _AnswerReader(Protocol):
    """Collects the body of an answer, MAX_ANSWER at most; ``done`` fires with it."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _done: self._stop())
        self._body = b""

    def dataReceived(self, data: bytes) -> None:
        """Add bytes, and stop where they are too many to be an answer."""
        self._body += data
        if len(self._body) > MAX_ANSWER:
            self._stop()
            self._finish(RegistryError(f"an answer of more than {MAX_ANSWER} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The answer is whole, or broken."""
        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._finish(self._body if whole else reason.value)

    def _stop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _finish(self, outcome: bytes | BaseException | None) -> None:
        if self.done.called:
            return
        if isinstance(outcome, bytes):
            self.done.callback(outcome)
        else:
            self.done.errback(Failure(outcome))


@attrs.define(eq=False)
class RegistryClient:
    """
    Talks to one registry for one identity.

    :ivar server: the registry's URL.
    """

    server: str
    _identity: Identity
    _runtime: Runtime
    _http: HTTPClient = attrs.field(init=False)
    _streams: HTTPClient = attrs.field(init=False)  # leaves the kept connection to requests
    _pool: HTTPConnectionPool = attrs.field(init=False)
    _audience: str = attrs.field(init=False)
    _clock_offset: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._audience = origin(self.server)
        reactor = self._runtime.reactor
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        kept = Agent(reactor, connectTimeout=REQUEST_TIMEOUT, pool=self._pool)
        self._http = HTTPClient(kept, data_to_body_producer=_WholeBody)
        self._streams = HTTPClient(Agent(reactor, connectTimeout=REQUEST_TIMEOUT))

    # -- documents

    @property
    def peer_id(self) -> str:
        """The id of the identity that signs."""
        return self._identity.peer_id

    def now(self) -> float:
        """Return seconds since 1970 by the clock that the registry goes by."""
        return self._runtime.wall_time() + self._clock_offset

    def sign(self, audience: str, body: Body) -> str:
        """Sign a document of ours, dated now."""
        name = self._runtime.random_name()
        return sign_document(self._identity, audience, body, self.now(), name)

    # -- routes

    def register(self, registration: Registration) -> Deferred[JsonObject]:
        """
        Make or renew our record; the answer has ``lease``, ``stun`` and perhaps ``turn``.

        It fails with :class:`WorkRequired` where the registry wants work in it first.
        """
        return self._signed("POST", "/register", self._audience, registration)

    def renew(self, renewal: str) -> Deferred[JsonObject]:
        """Prolong our record with the ``renewal`` that the registration's answer had."""
        path = f"/renew/{self._identity.peer_id}"
        headers = {"Authorization": f"Lease {renewal}"}
        return self._attempt(lambda: self._exchange("POST", path, headers=headers))

    def deliver(self, peer_id: str, body: Body) -> Deferred[JsonObject]:
        """Put a document on a peer's event stream."""
        return self._signed("POST", f"/deliver/{peer_id}", peer_id, body)

    def remove(self) -> Deferred[JsonObject]:
        """Delete our record."""
        path = f"/peer/{self._identity.peer_id}"
        return self._signed("DELETE", path, self._audience, Removal(), in_header=True)

    def peers(self, **query: str) -> Deferred[JsonObject]:
        """Return one page of records; ``query`` may have after, limit and username."""
        path = "/peers?" + urlencode(query) if query else "/peers"
        return self._attempt(lambda: self._exchange("GET", path))

    def peer(self, peer_id: str) -> Deferred[JsonObject]:
        """Return one record."""
        return self._attempt(lambda: self._exchange("GET", f"/peer/{quote(peer_id)}"))

    @inlineCallbacks
    def subscribe(self, received: Callable[[Event], None], ended: Callable[[str], None]) -> Any:
        """Open our event stream; a Deferred of the :class:`EventStream` fires when it is live."""
        response = yield self._attempt(self._open_stream)
        stream = EventStream(self._runtime.clock, received, ended)
        response.original.deliverBody(stream)
        return stream

    @inlineCallbacks
    def _open_stream(self) -> Any:
        token = self.sign(self._audience, Subscription())
        path = f"/events/{self._identity.peer_id}"
        headers = {"Authorization": f"JWS {token}"}
        response = yield self._request(self._streams, "GET", path, headers=headers)
        if response.code != 200:
            yield self._read(response)
        return response

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open; requests that follow make new ones."""
        done: Deferred[None] = self._pool.closeCachedConnections()
        return done

    # -- requests

    def _signed(
        self, method: str, path: str, audience: str, body: Body, in_header: bool = False
    ) -> Deferred[JsonObject]:
        def send() -> Deferred[JsonObject]:
            token = self.sign(audience, body)
            if in_header:
                return self._exchange(method, path, headers={"Authorization": f"JWS {token}"})
            kind = {"Content-Type": "application/jose"}
            return self._exchange(method, path, headers=kind, data=token.encode("ascii"))

        return self._attempt(send)

    @inlineCallbacks
    def _attempt(self, send: Callable[[], Deferred[Any]]) -> Any:
        """Send; once more if a kept connection proved dead, or our clock proved wrong."""
        try:
            return (yield send())
        except RegistryError as error:
            if error.reason not in {"stale-document", "connection-reused"}:
                raise
        try:
            return (yield send())
        except RegistryError as error:
            if error.reason == "connection-reused":
                error.reason = "registry"
            raise

    @inlineCallbacks
    def _exchange(self, method: str, path: str, **options: Any) -> Any:
        response = yield self._request(self._http, method, path, **options)
        return (yield self._read(response))

    @inlineCallbacks
    def _request(self, client: HTTPClient, method: str, path: str, **options: Any) -> Any:
        url = _ReadyURL.from_text(self.server.rstrip("/") + path)
        sent = client.request(method, url, **options)
        try:
            return (yield sent.addTimeout(REQUEST_TIMEOUT, self._runtime.clock))
        except _NEVER_SENT as error:
            raise RegistryUnreachable(
                f"the registry {self.server} closed the connection: {_first_line(error)}",
                reason="registry" if _was_cancelled(error) else "connection-reused",
            ) from None
        except _FAILURES as error:
            raise RegistryUnreachable(
                f"the registry {self.server} can't be reached: {_first_line(error)}"
            ) from None

    @inlineCallbacks
    def _read(self, response: Any) -> Any:
        reader = _AnswerReader()
        response.original.deliverBody(reader)
        try:
            body = yield reader.done.addTimeout(REQUEST_TIMEOUT, self._runtime.clock)
        except _FAILURES as error:
            raise RegistryUnreachable(
                f"the registry {self.server} broke off: {_first_line(error)}"
            ) from None
        if response.code >= 300:
            raise self._refusal(response, body)
        return self._members(body)

    def _members(self, body: bytes) -> JsonObject:
        try:
            return loads(body) if body else {}
        except RemoteProtocolError as error:
            raise RegistryError(f"{self.server} is no p2pchat registry: {error}") from None

    def _refusal(self, response: Any, body: bytes) -> RegistryError:
        retry_after = self._retry_after(response)
        try:
            problem = Problem.decode(body)
        except RemoteProtocolError:
            return RegistryError(
                f"{self.server} answered with HTTP status {response.code}: "
                "is it a p2pchat registry?",
                response.code,
                retry_after=retry_after,
            )
        if problem.reason == "stale-document":
            self._set_clock(response)
        if problem.work is not None:
            return WorkRequired(problem, problem.work, retry_after)
        return RegistryError(problem.detail, problem.status, problem.reason, retry_after)

    def _retry_after(self, response: Any) -> float | None:
        theirs = _date(response)
        now = self.now() if theirs is None else theirs
        return read_retry_after(response.headers.getRawHeaders(b"Retry-After", []), now)

    def _set_clock(self, response: Any) -> None:
        theirs = _date(response)
        if theirs is not None:
            self._clock_offset = theirs - self._runtime.wall_time()


def _date(response: Any) -> float | None:
    """Return what time it was when the registry answered, by its own clock."""
    dates = response.headers.getRawHeaders(b"Date", [])
    return http_date(dates[0]) if dates else None


def _was_cancelled(error: Exception) -> bool:
    """Tell whether we gave a request up, rather than lost the connection that it went out on."""
    return any(reason.check(CancelledError) for reason in getattr(error, "reasons", ()))


def _first_line(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        return _first_line(reasons[-1].value)
    if isinstance(error, TimeoutError | ConnectingCancelledError | CancelledError):
        return "no answer in time"
    return (str(error) or type(error).__name__).splitlines()[0]
