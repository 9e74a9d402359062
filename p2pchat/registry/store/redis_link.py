"""
Two connections to Redis that come back by themselves: one asks, the other listens.

Owns connecting, timeouts and reconnecting: whatever is asked while there is no connection fails at
once, what isn't answered within REPLY_TIMEOUT ends the connection, and both are the same refusal.
After a failure it tries again for ever, RETRY_FIRST to RETRY_LONGEST seconds apart.  It logs once
that Redis is away, and once that it is back.

The protocol is txredisapi's, with hiredis to read replies: its own reader takes one string in a
turn of the reactor.  Its pool isn't used, because it gives up for ever when a connection is lost
at the wrong moment, and makes those who ask meanwhile wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import hiredis  # noqa: F401 - so that its absence is an error and not a slow reader
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from txredisapi import RedisError, RedisProtocol, ResponseError, SubscriberProtocol

from p2pchat.registry.refusals import Refused, refused
from p2pchat.registry.store.redis_url import RedisUrl
from p2pchat.runtime import Runtime

CONNECT_TIMEOUT = 2.0  # seconds
REPLY_TIMEOUT = 2.0  # seconds; less than what a peer waits for us
RETRY_FIRST = 0.2  # seconds
RETRY_LONGEST = 2.0  # seconds
RETRY_AFTER = 2  # seconds, for those who ask meanwhile

_log = Logger()


def unavailable() -> Refused:
    """Return the refusal of what can't be done without the store."""
    detail = "the registry can't reach its store at the moment: try again soon"
    return refused(503, "store-unavailable", detail, retry_after=RETRY_AFTER)


class _Reporting:
    """Tells its factory that it ended, and why."""

    def connectionLost(self, why: Failure) -> None:
        """Report before what waits for replies fails."""
        self.factory.lost(why.getErrorMessage())  # type: ignore[attr-defined]
        super().connectionLost(why)  # type: ignore[misc]


class _Asking(_Reporting, RedisProtocol):  # type: ignore[misc]  # txredisapi has no types
    """The connection that asks."""


class _Listening(_Reporting, SubscriberProtocol):  # type: ignore[misc]
    """The connection that listens, and hands messages on."""

    def messageReceived(self, pattern: object, channel: object, message: object) -> None:
        """Take one message."""
        if isinstance(message, str):
            self.factory.received(message)


class _QuietClientService(ClientService):
    """A ClientService that logs nothing: the link says once that there is no connection."""

    _log = Logger(observer=LogPublisher())


@attrs.define(eq=False)
class _RedisConnection(Factory):
    """
    One connection, made again whenever it is lost.

    What txredisapi's protocol wants of its factory is here: ``isLazy``, ``stopTrying`` and
    ``connectionError``.

    :ivar kind: the protocol's class.
    :ivar changed: called when ``ready`` has come (None) or gone (the reason).
    :ivar received: called with each message, of one that listens.
    :ivar ready: the protocol, while it can be used.
    """

    runtime: Runtime
    url: RedisUrl
    kind: Callable[..., Any]
    changed: Callable[[str | None], None]
    received: Callable[[str], None] | None = None
    ready: Any = None
    isLazy = False
    noisy = False
    _wait: float = RETRY_FIRST
    _service: ClientService = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        endpoint = _endpoint(self.runtime.reactor, self.url)
        self._service = _QuietClientService(endpoint, self, self._delay, self.runtime.clock)

    def start(self) -> None:
        """Connect, and stay connected."""
        connected = self._service.whenConnected(failAfterFailures=1)
        connected.addErrback(lambda failure: self.lost(failure.getErrorMessage()))
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Disconnect; fires when that is done."""
        return self._service.stopService()

    def abort(self) -> None:
        """Drop the connection; it is made again."""
        if self.ready is not None:
            self.ready.transport.abortConnection()

    def _delay(self, _attempt: int) -> float:
        """Return the seconds until the next try; one that was let in no further is no success."""
        wait, self._wait = self._wait, min(self._wait * 2, RETRY_LONGEST)
        return wait * (0.5 + self.runtime.random_bytes(1)[0] / 255)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the protocol of a new connection."""
        protocol = self.kind(
            replyTimeout=REPLY_TIMEOUT,
            username=self.url.user or None,
            password=self.url.password or None,
            dbid=self.url.database,
            convertNumbers=False,
        )
        protocol.factory = self
        protocol.callLater = self.runtime.clock.callLater
        protocol.whenConnected().addCallback(self._usable)
        return protocol

    def _usable(self, protocol: Any) -> None:
        self.ready, self._wait = protocol, RETRY_FIRST
        self.changed(None)

    def lost(self, reason: str) -> None:
        """Note that the connection has ended."""
        self.ready = None
        if self._service.running:
            self.changed(reason)

    def stopTrying(self) -> None:
        """Try again all the same: a wrong password may be made right on the server."""

    def connectionError(self, why: str) -> None:
        """Note that the server didn't let us in; the connection is ending."""
        self.changed(why)


@attrs.define(eq=False)
class RedisLink:
    """
    The way to one Redis server.

    :ivar channel: the channel that we listen to.
    :ivar received: takes each message.
    :ivar connected: called whenever both connections are there again.
    :ivar since: when they were made, on the clock of the runtime; None: they aren't both there.
    """

    runtime: Runtime
    url: RedisUrl
    channel: str
    received: Callable[[str], None]
    connected: Callable[[], None]
    since: float | None = attrs.field(init=False, default=None)
    _asking: _RedisConnection = attrs.field(init=False)
    _listening: _RedisConnection = attrs.field(init=False)
    _subscribed: bool = attrs.field(init=False, default=False)
    _logged: bool | None = attrs.field(init=False, default=None)  # whether it is there
    _complaint: str = attrs.field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        connection = partial(_RedisConnection, self.runtime, self.url)
        self._asking = connection(_Asking, self._asking_changed)
        self._listening = connection(_Listening, self._listening_changed, self.received)

    def start(self) -> None:
        """Connect, and stay connected."""
        self._asking.start()
        self._listening.start()

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        stopping = self._asking.stop()
        return stopping.addCallback(lambda _: self._listening.stop())

    def run(self, script: str, *arguments: object) -> Deferred[Any]:
        """Run a script; the Deferred fires with its result, or fails with Refused."""
        return self._ask(lambda redis: redis.eval(script, [], arguments))

    def listens(self) -> None:
        """Ask whether the connection that listens is alive; if it isn't, make it again."""
        if self._listening.ready is not None:
            self._listening.ready.ping().addErrback(lambda failure: failure.trap(RedisError))

    def publish(self, channel: str, message: str) -> Deferred[Any]:
        """Send a message; the Deferred fires with the number of those who got it."""
        return self._ask(lambda redis: redis.publish(channel, message))

    def _ask(self, command: Callable[[Any], Deferred[Any]]) -> Deferred[Any]:
        redis = self._asking.ready
        if redis is None:
            return fail(unavailable())
        # What was lost raises, if its connectionLost comes later.
        return maybeDeferred(command, redis).addErrback(self._refuse)

    def _refuse(self, failure: Failure) -> Failure:
        if failure.check(RedisError) is None:
            return failure  # cancelled, or our own mistake
        if failure.check(ResponseError) is not None:
            self._complain(failure.getErrorMessage())
        return Failure(unavailable())

    def _complain(self, error: str) -> None:
        """Warn the operator of what Redis objects to, such as that it is full; each time once."""
        if error != self._complaint:
            self._complaint = error
            _log.warn("The store {url} refuses: {error}", url=str(self.url), error=error)

    def _asking_changed(self, reason: str | None) -> None:
        if reason is not None:
            self._listening.abort()  # which might not notice by itself that Redis is away
        self._changed(reason)

    def _listening_changed(self, reason: str | None) -> None:
        if reason is not None:
            self._subscribed = False
            self._changed(reason)
            return
        subscribed = self._listening.ready.subscribe(self.channel)
        subscribed.addCallbacks(self._is_subscribed, lambda _: None)

    def _is_subscribed(self, _reply: object) -> None:
        self._subscribed = True
        self._changed(None)

    def _changed(self, reason: str | None) -> None:
        if reason is not None:
            self.since = None
            if self._logged is not False:
                _log.warn("No store: {url}: {reason}; trying on", url=str(self.url), reason=reason)
            self._logged = False
        elif self._asking.ready and self._subscribed and self.since is None:
            self.since, self._logged = self.runtime.clock.seconds(), True
            _log.info("The store {url} is there", url=str(self.url))
            self.connected()


def _endpoint(reactor: Any, url: RedisUrl) -> IStreamClientEndpoint:
    plain = HostnameEndpoint(reactor, url.host, url.port, timeout=CONNECT_TIMEOUT)
    return wrapClientTLS(optionsForClientTLS(url.host), plain) if url.tls else plain
