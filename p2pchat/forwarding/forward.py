"""
A forward: each connection to one endpoint is connected to another.

Owns how many there are, and what is told of them; never their content::

    listening ──▶ opened ──▶ closed          a connection, once the other end took it
                  failed                     nobody took it: it is reset

Nothing of a connection is read before the other end is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from p2pchat.forwarding.bridge import BridgeEnd

# Connections of one forward at a time: as many as a node has streams.  Each costs a descriptor, or
# two, and 128 KiB at most.
MAX_CONNECTIONS = 1024


@attrs.frozen
class ForwardOpened:
    """Both ends of a connection are there."""

    number: int
    source: IAddress


@attrs.frozen
class ForwardClosed:
    """
    A connection has ended.

    :ivar sent: bytes from who connected; ``received``: to them.
    :ivar reason: what broke it; ``None`` where both sides ended.
    """

    number: int
    source: IAddress
    sent: int
    received: int
    reason: BaseException | None = None


@attrs.frozen
class ForwardFailed:
    """
    The other end of a connection couldn't be had.

    :ivar reason: why not; ``None``: there are too many.
    """

    source: IAddress
    reason: BaseException | None


ForwardEvent = ForwardOpened | ForwardClosed | ForwardFailed


@attrs.define(eq=False)
class _BridgedConnection:
    """The two ends of one connection."""

    number: int
    source: IAddress
    near: BridgeEnd
    far: BridgeEnd | None = None
    reason: BaseException | None = None
    ended: int = 0  # of the two


@attrs.define(eq=False)
class Forward:
    """
    A forward between two endpoints.

    :ivar report: called with what happens.
    """

    listen: IStreamServerEndpoint
    connect: IStreamClientEndpoint
    report: Callable[[ForwardEvent], None]
    _pairs: dict[int, _BridgedConnection] = attrs.Factory(dict)  # by number
    _waiting: dict[int, Deferred[Any]] = attrs.Factory(dict)
    _count: int = 0
    _port: Any = None

    @property
    def open_connections(self) -> int:
        """How many there are."""
        return len(self._pairs)

    def start(self) -> Deferred[Any]:
        """Listen; a Deferred fires with the port, or fails as the endpoint does."""

        def keep(port: Any) -> Any:
            self._port = port
            return port

        return maybeDeferred(self.listen.listen, _ConnectionFactory(self)).addCallback(keep)

    def stop(self) -> Deferred[Any]:
        """Listen no more, and end what is open."""
        for waiting in list(self._waiting.values()):
            waiting.cancel()
        for pair in list(self._pairs.values()):
            for end in (pair.near, pair.far):
                if end is not None:
                    end.abort()
        port, self._port = self._port, None
        return maybeDeferred(getattr(port, "stopListening", lambda: None))

    def accept(self, address: IAddress) -> IProtocol | None:
        """Take a connection, or none where there are too many."""
        if len(self._pairs) >= MAX_CONNECTIONS:
            self.report(ForwardFailed(address, None))
            return None
        self._count += 1
        number = self._count
        near = BridgeEnd(made=lambda _end: self._reach(number), ended=partial(self._ended, number))
        self._pairs[number] = _BridgedConnection(number, address, near)
        return near

    def _reach(self, number: int) -> None:
        far = BridgeEnd(ended=partial(self._ended, number))
        reaching = maybeDeferred(self.connect.connect, Factory.forProtocol(lambda: far))
        self._waiting[number] = reaching
        reaching.addCallbacks(
            lambda _: self._join(number, far), lambda why: self._fail(number, why)
        )

    def _join(self, number: int, far: BridgeEnd) -> None:
        del self._waiting[number]
        pair = self._pairs.get(number)
        if pair is None:  # who connected is gone
            far.abort()
            return
        pair.far = far
        self.report(ForwardOpened(number, pair.source))
        pair.near.join(far)

    def _fail(self, number: int, why: Failure) -> None:
        del self._waiting[number]
        pair = self._pairs.pop(number, None)
        if pair is not None:
            self.report(ForwardFailed(pair.source, why.value))
            pair.near.abort()

    def _ended(self, number: int, end: BridgeEnd, reason: BaseException | None) -> None:
        pair = self._pairs.get(number)
        if pair is None:
            return
        pair.ended += 1
        pair.reason = pair.reason or reason
        if pair.far is None:  # before it was there
            del self._pairs[number]
            if number in self._waiting:
                self._waiting[number].cancel()
        elif pair.ended == 2:
            del self._pairs[number]
            counts = pair.near.received, pair.far.received
            self.report(ForwardClosed(number, pair.source, *counts, pair.reason))


@attrs.define(eq=False)
class _ConnectionFactory(Factory):
    """The factory of the connections that come in."""

    forward: Forward
    noisy = False

    def buildProtocol(self, address: Any) -> Any:
        return self.forward.accept(address)
