"""
Twisted's transport over one stream of a service.

::

    stream is stirred ──▶ look: bytes ─▶ dataReceived, FIN ─▶ readConnectionLost, or the end
                                room ─▶ resumeProducing    OVER ─▶ connectionLost
    write, loseConnection, ... ──▶ verbs of the stream, then ``wake``

As TCP's: ``loseConnection`` writes what was written and reads nothing more; FIN of the other side
ends both halves, unless the protocol is an ``IHalfCloseableProtocol``; ``abortConnection`` ends
both at once.  A protocol that pauses is handed nothing, and holds a window of bytes.  A producer
pauses while more than LOW bytes wait.  What a protocol raises ends its stream, and is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.interfaces.streams import StreamInfo
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.stream_lost import StreamLost
from p2pchat.session.service_stream import LOW, ServiceStream, StreamEnd, StreamState

CHUNK = 64 * 1024  # bytes that a protocol is handed at once, as TCP does
PULLS = 8  # times that a pull producer is asked in a row

_REASONS: dict[StreamEnd | None, type[Exception]] = {
    StreamEnd.DONE: ConnectionDone,
    StreamEnd.ABORTED: ConnectionAborted,
    StreamEnd.LOST: StreamLost,
}

_log = Logger()


@implementer(ITransport, IPushProducer, IConsumer)
@attrs.define(eq=False)
class StreamTransport:
    """
    The transport of one protocol.

    :ivar stream: which is open.
    :ivar opened_at: seconds, by the node's steady clock.
    :ivar number: of the stream among all of the node.
    :ivar wake: lets what was asked of the stream be done.
    :ivar ended: called when the protocol has lost it.
    :ivar connected: whether it isn't lost.
    :ivar disconnecting: whether it is being closed.
    """

    stream: ServiceStream
    protocol: IProtocol
    _host: PeerAddress
    _peer: PeerAddress
    opened_at: float
    number: int
    wake: Callable[[], None]
    ended: Callable[[StreamTransport], None]
    connected: bool = True
    disconnecting: bool = False
    _is_paused: bool = False
    _is_fin_known: bool = False
    _is_end_known: bool = False
    _is_finishing: bool = False
    _producer: Any = None
    _is_pull: bool = False
    _is_waiting: bool = False  # the producer, for room
    _is_looking: bool = False
    _error: Failure | None = None  # of the protocol

    @property
    def info(self) -> StreamInfo:
        """Facts for people."""
        one = self.stream
        return StreamInfo(
            *(one.peer_id, one.service, one.is_ours, self.opened_at),
            *(one.received, one.sent, self.number),
        )

    # -- what its stream does

    def begin(self) -> None:
        """Let the protocol begin, and have what is there."""
        self._call(self.protocol.makeConnection, self)
        self.look()

    def look(self) -> None:
        """Hand on what happened on the stream."""
        if self._is_looking or not self.connected:
            return
        self._is_looking = True
        try:
            self._read()
            self._tell_ends()
            self._ask_producer()
        finally:
            self._is_looking = False
        if self.stream.state is StreamState.OVER:
            self._lose()

    def _read(self) -> None:
        stream = self.stream
        while not self._is_paused and (data := stream.read(CHUNK)):
            self._call(self.protocol.dataReceived, data)
        if stream.has_all and not (self._is_paused or self._is_fin_known):
            self._is_fin_known = True
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self._call(IHalfCloseableProtocol(self.protocol).readConnectionLost)
            else:
                self.loseConnection()

    def _tell_ends(self) -> None:
        """Tell a protocol that cares that nothing can be written any more."""
        stream = self.stream
        if self._is_end_known or not (stream.has_finished or stream.is_unwanted):
            return
        self._is_end_known = True
        is_half = self._is_finishing and not self.disconnecting
        if is_half and IHalfCloseableProtocol.providedBy(self.protocol):
            self._call(IHalfCloseableProtocol(self.protocol).writeConnectionLost)

    def _lose(self) -> None:
        if not self.connected:
            return
        self.connected = False
        if self._producer is not None:
            self._call(self._producer.stopProducing)
            self._producer = None
        error = _REASONS.get(self.stream.end, ConnectionLost)()
        self.ended(self)
        self._call(self.protocol.connectionLost, self._error or Failure(error))

    def _call(self, call: Callable[..., object], *arguments: object) -> None:
        """Call the protocol, whose mistakes are its own."""
        try:
            call(*arguments)
        except Exception:
            self._error = Failure()
            _log.failure("the protocol of {service}", self._error, service=self.stream.service)
            self.abortConnection()

    # -- ITransport

    def write(self, data: bytes) -> None:
        """Write bytes; they wait for the other side's credit, and for their turn."""
        self.stream.write(bytes(data))
        self.wake()
        is_pushed = self._producer is not None and not (self._is_pull or self._is_waiting)
        if is_pushed and self.stream.pending > LOW:
            self._is_waiting = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write several pieces of bytes."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """End our half, after all that was written."""
        self._is_finishing = True
        if self._producer is None:
            self.stream.finish()
            self.wake()

    def loseConnection(self) -> None:
        """End both halves: ours after all that was written."""
        self.disconnecting = True
        self.stream.stop()
        self.loseWriteConnection()

    def abortConnection(self) -> None:
        """End both halves at once."""
        self.disconnecting = True
        self.stream.abort()
        self.wake()

    def getHost(self) -> PeerAddress:
        """Return our end."""
        return self._host

    def getPeer(self) -> PeerAddress:
        """Return the other end, whose id is proved."""
        return self._peer

    # -- IPushProducer, of what is received

    def pauseProducing(self) -> None:
        """Hand nothing on."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Hand on what comes."""
        if self._is_paused:
            self._is_paused = False
            self.stream.stir()
            self.wake()

    def stopProducing(self) -> None:
        """Close it: nothing more is wanted."""
        self.loseConnection()

    # -- IConsumer, of what is written

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer write, while there is room."""
        if self._producer is not None:
            raise RuntimeError(f"{self._producer} is registered, and was not unregistered")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._is_pull, self._is_waiting = producer, not streaming, False
        if self._is_pull:
            self.stream.stir()
            self.wake()

    def unregisterProducer(self) -> None:
        """Be without that producer again."""
        self._producer = None
        if self._is_finishing:
            self.loseWriteConnection()

    def _ask_producer(self) -> None:
        pulls = 0
        while (
            self._producer is not None
            and self.stream.pending <= LOW
            and self.stream.state is StreamState.OPEN
            and (self._is_waiting if not self._is_pull else pulls < PULLS)
        ):
            pulls, before = pulls + 1, self.stream.pending
            self._is_waiting = False
            self._call(self._producer.resumeProducing)
            if self.stream.pending == before:
                return
