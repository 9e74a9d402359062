"""
Two connections, of which each sends on what the other receives.

Owns backpressure, for each is the other's producer: who reads slowly holds back who writes, and no
more than the transports' own buffers wait in between.  Owns the end, too::

    one sends no more (FIN)     the other is told so; the way back stays open
    one is gone in order        what it sent is delivered, then the other ends
    one was reset, or broken    the other is aborted: what it got may be incomplete

A transport that can't be closed by half, such as TLS, is closed whole when there is no more to
send on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

Ended = Callable[["BridgeEnd", BaseException | None], None]


@implementer(IHalfCloseableProtocol)
@attrs.define(eq=False, slots=False)
class BridgeEnd(Protocol):
    """
    One of the two connections; it reads nothing before it is joined to the other.

    :ivar made: called when the connection is there.
    :ivar ended: called once, when nothing is left to do here, with the reason if that was none of
        both sides'.
    :ivar received: bytes so far.
    """

    made: Callable[[BridgeEnd], None] = lambda _end: None
    ended: Ended = lambda _end, _reason: None
    received: int = 0
    other: BridgeEnd | None = attrs.field(default=None, init=False)
    _transport: Any = attrs.field(default=None, init=False)
    _is_read: bool = attrs.field(default=False, init=False)  # nothing more comes
    _is_closing: bool = attrs.field(default=False, init=False)  # nothing more is to be written
    _is_written: bool = attrs.field(default=False, init=False)  # nor is anything left to write
    _is_ended: bool = attrs.field(default=False, init=False)

    def connectionMade(self) -> None:
        """Wait for the other side."""
        self._transport = self.transport
        self._transport.pauseProducing()
        self.made(self)

    def join(self, other: BridgeEnd) -> None:
        """Let bytes go both ways from now on; both connections must be there."""
        self.other, other.other = other, self
        for one, its in ((self, other), (other, self)):
            one._transport.registerProducer(its._transport, True)
        for one in (self, other):
            if not one._is_ended:
                one._transport.resumeProducing()

    def abort(self) -> None:
        """End the connection at once, whatever waits on it."""
        if not self._is_ended:
            getattr(self._transport, "abortConnection", self._transport.loseConnection)()

    def dataReceived(self, data: bytes) -> None:
        """Send it on."""
        self.received += len(data)
        if self.other is not None:
            self.other._transport.write(data)

    def readConnectionLost(self) -> None:
        """Let the other side know that there is no more."""
        self._is_read = True
        if self._is_closing:
            self._transport.loseConnection()
        if self.other is not None:
            self.other._finish()
        self._end_if_done()

    def writeConnectionLost(self) -> None:
        """Note that all is written; where there was more, that the connection is broken."""
        self._is_written = True
        if not self._is_closing:
            self._transport.loseConnection()
            self._end(BrokenPipeError("it takes no more"))
        else:
            self._end_if_done()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End, and the other side with it."""
        self._end(None if reason.check(ConnectionDone) else reason.value)

    def _finish(self) -> None:
        """Send what is left, then no more."""
        if self._is_closing or self._is_ended:
            return
        self._is_closing = True
        self._transport.unregisterProducer()
        if self._is_read or ISSLTransport.providedBy(self._transport):
            self._transport.loseConnection()
        else:
            self._transport.loseWriteConnection()

    def _end_if_done(self) -> None:
        if self._is_read and self._is_written:
            self._end(None)

    def _end(self, reason: BaseException | None) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        other = self.other
        if other is not None and reason is not None:
            other.abort()
        elif other is not None and not (self._is_read and self._is_written):
            other._is_read = True  # nobody would get it
            other._finish()
        self.ended(self, reason)
