"""
HTTP requests to one server that may be hostile, or have somebody hostile before it.

Refuses, each with a sentence: redirects; compressed answers; an answer of more than MAX_ANSWER
bytes, or one that isn't there in time.  How fast it is read, where connections lead, and how long
they may take: :mod:`p2pchat.peer.http_meter`, :mod:`p2pchat.peer.http_connections`,
:mod:`p2pchat.peer.request_times`.

Every failure is a :class:`p2pchat.errors.RegistryError`.  A request that gets no answer, or a
redirect, ends the connections that are kept; whoever reads the others says what else is foreign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, NoRouteError
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from p2pchat.errors import P2PChatError, RegistryError, RegistryUnreachable
from p2pchat.peer.failures import in_words, is_of_tls, reasons
from p2pchat.peer.foreign_answers import ForeignAnswer, foreign_answer, is_page
from p2pchat.peer.http_connections import HttpConnections
from p2pchat.peer.nat64 import lack_in_words
from p2pchat.peer.registry_location import RegistryLocation
from p2pchat.peer.request_times import REQUEST_TIMEOUT, RequestTimes
from p2pchat.runtime import Runtime
from p2pchat.wire.origins import origin

MAX_ANSWER = 264 * 1024  # bytes; mail that is fetched has 258 KiB, a page of 200 records 60
NO_ANSWER = "no-answer"  # the reason of a request that got none in time
EVENTS = b"text/event-stream"

_NEVER_SENT = (RequestTransmissionFailed, ResponseNeverReceived, ConnectionLost, ConnectionDone)


class NeverSent(RegistryUnreachable):
    """The connection was gone, or dead, that a request should go out on; another may be there."""


@attrs.frozen
class HttpAnswer:
    """A whole answer; ``asked_at`` is when, by the steady clock."""

    status: int
    headers: Headers
    body: bytes
    asked_at: float


@attrs.define(eq=False)
class HttpClient:
    """
    Asks one server.

    :ivar server: its URL, of which the origin counts.
    :ivar location: told of each connection, before anything is sent; may refuse it.
    :ivar trust_root: who may have signed its certificate (:class:`p2pchat.peer.tls.ServerTls`).
    :ivar times: how long it takes to answer, and may.
    """

    server: str
    _runtime: Runtime
    location: RegistryLocation
    trust_root: Any = None
    times: RequestTimes = attrs.field(init=False)
    _origin: bytes = attrs.field(init=False)
    _connections: HttpConnections = attrs.field(init=False)
    _has_answered: bool = False  # so what is there speaks HTTP

    def __attrs_post_init__(self) -> None:
        self._origin = origin(self.server).encode("ascii")
        self.times = RequestTimes(self._runtime.clock)
        self._connections = HttpConnections(
            self._runtime, self.location, self.times, self.trust_root
        )

    @inlineCallbacks
    def ask(self, method: str, path: str, headers: dict[str, str], data: bytes = b"") -> Any:
        """Send a request; a Deferred of the :class:`HttpAnswer`, whatever its status."""
        response, asked_at = yield self._begin(self._connections.kept, method, path, headers, data)
        return (yield self._read(response, asked_at))

    @inlineCallbacks
    def open(self, path: str, headers: dict[str, str], make: Callable[[], Protocol]) -> Any:
        """
        Open a stream of events; a Deferred of the protocol that ``make`` returned for its body.

        Where the answer is none, of the :class:`HttpAnswer` instead.
        """
        response, asked_at = yield self._begin(self._connections.streams, "GET", path, headers, b"")
        kinds = response.headers.getRawHeaders(b"Content-Type", [b""])
        if response.code == 200 and kinds[0].lower().startswith(EVENTS):
            protocol = make()
            response.deliverBody(protocol)
            return protocol
        return (yield self._read(response, asked_at))

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open; requests that follow make new ones."""
        return self._connections.close()

    def distrust(self) -> None:
        """Close them, and try other addresses of the name first: somebody else answered."""
        self._connections.distrust()

    @inlineCallbacks
    def _begin(
        self, agent: Agent, method: str, path: str, headers: dict[str, str], data: bytes
    ) -> Any:
        """Send a request; a Deferred of the response, its head to our liking, and of when."""
        fields = Headers({"Accept-Encoding": ["identity"]})
        for name, value in headers.items():
            fields.addRawHeader(name, value)
        self._connections.check()
        asked_at, under_way = self._runtime.clock.seconds(), self.times.under_way
        body = _WholeBody(data) if data or method == "POST" else None
        sent = agent.request(method.encode(), self._origin + path.encode("ascii"), fields, body)
        is_kept = self.times.under_way == under_way
        try:
            response = yield self.times.bound(sent)
        except Exception as error:
            self.distrust()
            had_its_time = self._runtime.clock.seconds() - asked_at >= REQUEST_TIMEOUT
            raise self._unanswered(error, is_kept and had_its_time) from None
        self._has_answered = True
        trouble = self._trouble(response)
        if trouble is not None:
            unread: Any = Protocol()
            response.deliverBody(unread)
            unread.transport.loseConnection()
            self.distrust()
            raise trouble
        return response, asked_at

    def _unanswered(self, error: Exception, may_be_dead: bool) -> RegistryError:
        """Return why there is none; ``may_be_dead``: the connection, which was there before."""
        if is_of_tls(error):
            why = in_words(error, "")
            return ForeignAnswer(f"the registry {self.server} can't be reached: {why}")
        if not isinstance(error, _NEVER_SENT):
            why = in_words(error, "what is there doesn't speak HTTP")
            if any(isinstance(one, NoRouteError) for one in reasons(error)):
                why += lack_in_words(self._runtime)
            return RegistryUnreachable(f"the registry {self.server} can't be reached: {why}")
        found = reasons(error)
        was_cancelled = any(isinstance(one, CancelledError) for one in found)
        why = in_words(error, "broken off")
        sentence = f"the registry {self.server} can't be asked: {why}"
        if was_cancelled:
            kind = NeverSent if may_be_dead else RegistryUnreachable
            return kind(sentence, reason=NO_ANSWER)
        is_known = any(isinstance(one, P2PChatError) for one in found)
        is_plain = self.server.lower().startswith("http:")
        may_be_tls = is_plain and not is_known and not self._has_answered
        hint = "; if it speaks TLS there, its address begins with https://" if may_be_tls else ""
        return NeverSent(f"{sentence}{hint}")

    @inlineCallbacks
    def _read(self, response: IResponse, asked_at: float) -> Any:
        reader = _AnswerReader()
        response.deliverBody(reader)
        try:
            body = yield reader.done.addTimeout(self.times.limit, self._runtime.clock)
        except Exception as error:
            self.distrust()
            why = in_words(error, "it isn't whole")
            raise RegistryUnreachable(
                f"the answer of the registry {self.server} can't be read: {why}"
            ) from None
        return HttpAnswer(response.code, response.headers, body, asked_at)

    def _trouble(self, response: IResponse) -> RegistryError | None:
        """Return what is wrong with the head of an answer, if anything is."""
        status, headers = response.code, response.headers
        if not (200 <= status < 300 or 400 <= status < 600):
            return foreign_answer(self.server, status, headers, b"")
        encodings = headers.getRawHeaders(b"Content-Encoding", [])
        if all(one.strip().lower() in {b"", b"identity"} for one in encodings):
            return None
        if is_page(headers):  # no registry's; its status and type say more, and it isn't unpacked
            return None
        return ForeignAnswer(
            f"{self.server} compresses its answers although it was asked not to: it, or the proxy "
            "before it, can't be used",
            status,
        )


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
