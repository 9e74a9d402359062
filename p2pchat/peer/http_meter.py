"""
Bounds of what is read of an HTTP connection: the head of an answer, and bytes a second.

Stands between a connection and HTTP.  A head of more than MAX_HEAD bytes ends the connection.  One
that has used up its bytes isn't read until there are some again: the rest waits in the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from p2pchat.errors import RegistryError
from p2pchat.runtime import cancel

MAX_HEAD = 16 * 1024  # bytes from a request to the end of the answer's head; ours has 300
INTERIM = 4096  # bytes that a head of status 1xx counts as, so that few come before the answer
READ_RATE = 128 * 1024  # bytes a second; 40 offers a second are less
READ_BURST = 512 * 1024  # bytes at once: an answer, and the documents that waited for a stream
READ_COST = 64  # bytes that each read costs beside its own, for single bytes cost as much
CLOSE_TIMEOUT = 2.0  # seconds for the other side to let a connection of ours go

_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"[^ ]* 1")
_TLS_ALERT = b"\x15\x03"  # how a TLS server answers what isn't TLS (RFC 8446 section 5.1)


class HttpMeter(ProtocolWrapper):
    """
    The meter of one connection.

    :ivar host: the address of the other end, or "" before :meth:`admit`.
    :ivar plain_host: what that stands for behind a NAT64; set by whoever is told of it.
    :ivar local: our own address.
    :ivar has_answered: whether an answer, of whomever, began.
    :param opened: told of the connection before anything is sent; returns why it may not be used.
    :param closed: called once when it is gone, if it was opened.
    """

    def __init__(
        self,
        clock: IReactorTime,
        opened: Callable[[HttpMeter], str],
        closed: Callable[[HttpMeter], object],
        factory: Any,
        wrapped: Any,
    ) -> None:
        super().__init__(factory, wrapped)
        self.host = self.local = self.plain_host = ""
        self.has_answered = False
        self._opened = opened
        self._closed: Callable[[HttpMeter], object] | None = closed
        self._clock = clock
        self._bytes = float(READ_BURST)  # that may be read at once
        self._counted_at = clock.seconds()
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
        self.host = str(getattr(self.getPeer(), "host", ""))
        self.local = str(getattr(self.getHost(), "host", ""))
        trouble = self._opened(self)
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
            self._refuse(f"the head of its answer has more than {MAX_HEAD} bytes")
            return
        if not self.has_answered and data.startswith(_TLS_ALERT):
            self._refuse("it speaks TLS there: its address begins with https://")
            return
        self.has_answered = True
        self._spend(len(data) + READ_COST)
        super().dataReceived(data)

    def _refuse(self, why: str) -> None:
        self.connectionLost(Failure(RegistryError(why)))
        self.abortConnection()

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
        closed, self._closed = self._closed, None
        if closed is not None and self.host:
            closed(self)
        if self.wrappedProtocol is not None:
            super().connectionLost(reason)
