"""
A web proxy: HTTP/1.1 from browsers on this machine to a service, through a lock.

Each connection of a browser has one to the service, made for the first request that the lock lets
pass; requests follow each other on both.  Every request is checked.  Bodies go through as they
come, both ways, held back by who reads slowly; after ``101 Switching Protocols`` (WebSocket) bytes
do.  HTTP itself is h11's work::

    browser ──▶ near (h11 server) ──▶ lock ──▶ far (h11 client) ──▶ service
            ◀──                   ◀─────────                    ◀──

A service that can't be reached is a page with the reason (502); a response that breaks off
breaks off for the browser, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
import h11
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.forwarding.web_lock import Headers, PageAnswer, WebLock, page
from p2pchat.runtime import cancel

# Connections that no request of has passed the lock yet: another user of the machine may make as
# many as that; then the oldest goes.  A browser has six to a host.
MAX_STRANGERS = 64
MAX_CONNECTIONS = 1024  # in all, as a node has streams
LOCKED_TIMEOUT = 20.0  # seconds for a first request that passes
MAX_AHEAD = 64 * 1024  # bytes of a request beyond the one that is being answered


@attrs.frozen
class HostNames:
    """
    Names of the service, where it expects another one than the browser has.

    :ivar shown: in the browser.
    :ivar expected: by the service; "" for the same.
    """

    shown: str
    expected: str = ""

    def to_service(self, headers: Headers) -> Headers:
        """Put what the service expects into a request."""
        return self._replaced(headers, self.shown, self.expected, {b"host", b"origin", b"referer"})

    def to_browser(self, headers: Headers) -> Headers:
        """Put our own name into a response."""
        return self._replaced(headers, self.expected, self.shown, {b"location"})

    def _replaced(self, headers: Headers, old: str, new: str, names: set[bytes]) -> Headers:
        if not self.expected:
            return headers
        found, url, other = [], f"http://{old}".encode(), f"http://{new}".encode()
        for name, value in headers:
            changed = value
            if name.lower() == b"host" and b"host" in names:
                changed = new.encode()
            elif name.lower() in names and value[len(url) : len(url) + 1] in {b"", b"/"}:
                changed = other + value.removeprefix(url) if value.startswith(url) else value
            found.append((name, changed))
        return found


@attrs.define(eq=False)
class WebProxy(Factory):
    """
    The factory of a port for browsers.

    :ivar connect: the service.
    :ivar failed: called with why the service couldn't be reached; returns what is shown of it.
    """

    lock: WebLock
    names: HostNames
    connect: IStreamClientEndpoint
    failed: Callable[[BaseException], str]
    clock: IReactorTime
    noisy = False
    strangers: dict[BrowserConnection, None] = attrs.Factory(dict)  # the oldest first
    _count: int = 0

    def buildProtocol(self, address: Any) -> Any:
        """Take a connection of a browser, or refuse one too many."""
        if self._count >= MAX_CONNECTIONS:
            return None
        if len(self.strangers) >= MAX_STRANGERS:
            oldest = next(iter(self.strangers))
            del self.strangers[oldest]  # it goes in a later turn, and many may come in this one
            oldest.abort()
        self._count += 1
        made = BrowserConnection(self)
        self.strangers[made] = None
        return made

    def gone(self, connection: BrowserConnection) -> None:
        """Let a connection go."""
        self.strangers.pop(connection, None)
        self._count -= 1


class BrowserConnection(Protocol):
    """One connection of a browser, and the one to the service that belongs to it."""

    transport: Any

    def __init__(self, proxy: WebProxy) -> None:
        self._proxy = proxy
        self._near = h11.Connection(h11.SERVER)
        self._far: ServiceConnection | None = None
        self._reaching: Deferred[Any] | None = None
        self._first: h11.Request | None = None  # waits for the service
        self._is_ours = False  # whether the request is answered by a page
        self._is_switched = self._is_taking = False
        self._timer: IDelayedCall | None = None

    # -- the browser

    def connectionMade(self) -> None:
        """Wait for a request, not for ever."""
        self._timer = self._proxy.clock.callLater(LOCKED_TIMEOUT, self.abort)

    def dataReceived(self, data: bytes) -> None:
        """Take what the browser sends."""
        if self._is_switched and self._far is not None:
            self._far.transport.write(data)
            return
        self._near.receive_data(data)
        self._take_requests()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let the service go, too."""
        cancel(self._timer)
        self._proxy.gone(self)
        if self._reaching is not None:
            self._reaching.cancel()
        if self._far is not None:
            self._far.end(is_clean=bool(self._is_switched and reason.check(ConnectionDone)))

    def abort(self) -> None:
        """End at once."""
        self.transport.abortConnection()

    def _take_requests(self) -> None:
        if self._is_taking:
            return  # an answer of ours led back here; the loop goes on
        self._is_taking = True
        try:
            while self._reaching is None:  # what follows the first request waits with it
                event = self._near.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                if isinstance(event, h11.ConnectionClosed):
                    self.transport.loseConnection()
                    break
                self._take(event)
            self._check_ahead()
        except h11.RemoteProtocolError as error:
            self._answer(page(error.error_status_hint, "No HTTP", str(error)))
            self.transport.loseConnection()
        finally:
            self._is_taking = False

    def _check_ahead(self) -> None:
        if len(self._near.trailing_data[0]) > MAX_AHEAD and self._reaching is None:
            self.abort()

    def _take(self, event: Any) -> None:
        if isinstance(event, h11.Request):
            self._decide(event)
        elif self._is_ours:
            self._next_exchange()
        elif self._far is not None and event is not None:
            self._far.send(event)

    def _decide(self, request: h11.Request) -> None:
        headers = request.headers.raw_items()
        found = self._proxy.lock.check(request.method, request.target, headers)
        if isinstance(found, PageAnswer):
            self._answer(found)
            return
        self._is_ours = False
        cancel(self._timer)
        self._proxy.strangers.pop(self, None)
        changed = list(self._proxy.names.to_service(found))
        passed = h11.Request(method=request.method, target=request.target, headers=changed)
        if self._far is not None:
            self._far.send(passed)
        else:
            self._reach(passed)

    def _answer(self, answer: PageAnswer) -> None:
        """Answer with a page; what is left of the request is read and thrown away."""
        self._is_ours = True
        if self._near.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.abort()
            return
        headers = list(answer.all_headers)
        self._write(h11.Response(status_code=answer.status, headers=headers))
        self._write(h11.Data(data=answer.body))
        self._write(h11.EndOfMessage())
        self._next_exchange()

    # -- the service

    def _reach(self, request: h11.Request) -> None:
        self._first = request
        self.transport.pauseProducing()
        factory = Factory.forProtocol(partial(ServiceConnection, self))
        self._reaching = maybeDeferred(self._proxy.connect.connect, factory)
        self._reaching.addCallbacks(self._reached, self._unreached)

    def _reached(self, far: ServiceConnection) -> None:
        self._reaching = None
        first, self._first = self._first, None
        if not self.transport.connected or first is None:
            far.end(is_clean=False)
            return
        self._far = far
        far.transport.registerProducer(self.transport, True)
        self.transport.registerProducer(far.transport, True)
        far.send(first)
        self.transport.resumeProducing()
        self._take_requests()

    def _unreached(self, failure: Failure) -> None:
        self._reaching = None
        if self.transport.connected:
            text = self._proxy.failed(cast(BaseException, failure.value))
            self._answer(page(502, "The service can't be reached", text))
            self.transport.loseConnection()

    def responded(self, event: Any) -> None:
        """Pass on what the service answers."""
        if isinstance(event, h11.Response | h11.InformationalResponse):
            named = self._proxy.names.to_browser(event.headers.raw_items())
            headers = list(self._proxy.lock.without_ours(named))
            event = attrs_free_copy(event, headers)
        self._write(event)
        if isinstance(event, h11.EndOfMessage):
            self._next_exchange()

    def switched(self, rest: bytes) -> None:
        """Pass on bytes from now on."""
        self._is_switched = True
        if self._far is not None:
            self._far.transport.write(self._near.trailing_data[0])
        self.transport.write(rest)

    def pass_on(self, data: bytes) -> None:
        """Pass on bytes of another protocol."""
        self.transport.write(data)

    def service_gone(self, is_clean: bool) -> None:
        """End, for the service has."""
        self._far = None
        self.transport.unregisterProducer()
        is_idle = self._near.our_state in {h11.IDLE, h11.DONE, h11.MUST_CLOSE}
        if is_clean and (is_idle or self._is_switched):
            self.transport.loseConnection()
        elif is_clean and self._near.our_state is h11.SEND_RESPONSE:
            self._answer(page(502, "No answer", "The service ended without an answer."))
            self.transport.loseConnection()
        else:
            self.abort()

    def broken(self, error: Exception) -> None:
        """Say that what the service answers is no HTTP."""
        if self._near.our_state is h11.SEND_RESPONSE:
            self._answer(page(502, "No HTTP", f"The service answers something else: {error}"))
            self.transport.loseConnection()
        else:
            self.abort()

    def _next_exchange(self) -> None:
        """Go on with the next request once this one is whole on both sides."""
        if self._near.our_state is h11.MUST_CLOSE:
            self.transport.loseConnection()
            return
        is_over = self._near.our_state is h11.DONE and self._near.their_state is h11.DONE
        if not is_over:
            return
        if self._far is not None and not self._is_ours and not self._far.next_exchange():
            self.transport.loseConnection()
            return
        self._near.start_next_cycle()
        self._take_requests()

    def _write(self, event: Any) -> None:
        data = self._near.send(event)
        if data:
            self.transport.write(data)


def attrs_free_copy(event: Any, headers: list[tuple[bytes, bytes]]) -> Any:
    """Return a response with other headers."""
    return type(event)(status_code=event.status_code, headers=headers, reason=event.reason)


@implementer(IHalfCloseableProtocol)
class ServiceConnection(Protocol):
    """The connection to the service."""

    transport: Any

    def __init__(self, browser: BrowserConnection) -> None:
        self._browser = browser
        self._http = h11.Connection(h11.CLIENT)
        self._is_over = False
        self._is_switched = False

    def send(self, event: Any) -> None:
        """Send a part of a request."""
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError:  # it answered before it had all, and wants no more
            return
        if data:
            self.transport.write(data)

    def end(self, is_clean: bool) -> None:
        """End, for the browser has."""
        if not self._is_over:
            self._is_over = True
            self.transport.unregisterProducer()
            (self.transport.loseConnection if is_clean else self.transport.abortConnection)()

    def next_exchange(self) -> bool:
        """Begin another exchange; returns whether the service takes one."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def dataReceived(self, data: bytes) -> None:
        """Take what the service answers."""
        if self._is_switched:
            self._browser.pass_on(data)
        elif not self._is_over:
            self._http.receive_data(data)
            self._take_responses()

    def readConnectionLost(self) -> None:
        """Take the end of what the service answers."""
        self._lost(is_clean=True)
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing is to be done: the other direction tells."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Take the end of the connection."""
        self._lost(is_clean=reason.check(ConnectionDone) is not None)

    def _lost(self, is_clean: bool) -> None:
        if self._is_over:
            return
        if is_clean and not self._is_switched:
            self._http.receive_data(b"")
            self._take_responses()
        if not self._is_over:
            self._is_over = True
            self._browser.service_gone(is_clean)

    def _take_responses(self) -> None:
        try:
            while not self._is_over:
                event = self._http.next_event()
                if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                    return
                if event is h11.PAUSED:
                    self._switch()
                    return
                self._browser.responded(event)
        except h11.RemoteProtocolError as error:
            self._is_over = True
            self._browser.broken(error)
            self.transport.abortConnection()

    def _switch(self) -> None:
        if self._http.their_state is h11.SWITCHED_PROTOCOL:
            self._is_switched = True
            self._browser.switched(self._http.trailing_data[0])
