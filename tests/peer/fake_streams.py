"""Streams between nodes of one test, in memory: no link, no credit, everything arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import LinkLost, NotGranted
from p2pchat.interfaces.streams import IPeerStreams, StreamInfo
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.stream_lost import StreamLost

LATER = 0.0  # seconds until what one end writes is at the other
HIGH = 65_536  # bytes that wait for the other end: a push producer is paused


@implementer(ITransport, IPushProducer, IConsumer)
@attrs.define(eq=False)
class FakeTransport:
    """One end of a stream."""

    clock: IReactorTime
    protocol: IProtocol
    host: PeerAddress
    peer: PeerAddress
    streams: FakeStreams
    info: StreamInfo
    other: FakeTransport = attrs.field(init=False)
    disconnecting: bool = False
    is_lost: bool = False
    received: int = 0
    sent: int = 0
    _waiting: list[bytes | None] = attrs.Factory(list)  # for our protocol; None: that is all
    _is_paused: bool = False
    _has_finished: bool = False  # we
    _has_all: bool = False  # of theirs
    _producer: Any = None
    _is_streaming: bool = False

    def write(self, data: bytes) -> None:
        if self.is_lost or self._has_finished:
            return
        self.sent += len(data)
        self.other.take(data)
        if self._is_streaming and self.other.held >= HIGH:
            self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    @property
    def held(self) -> int:
        """How many bytes wait for our protocol."""
        return sum(len(one) for one in self._waiting if one is not None)

    def take(self, data: bytes | None) -> None:
        """Take what the other end wrote, or that it ended."""
        self._waiting.append(data)
        self.clock.callLater(LATER, self._hand_on)

    def _hand_on(self) -> None:
        while self._waiting and not self._is_paused and not self.is_lost:
            data = self._waiting.pop(0)
            if data is None:
                self._ended()
            else:
                self.received += len(data)
                self.protocol.dataReceived(data)
        self.other.drained()

    def drained(self) -> None:
        """The other end has taken what we wrote."""
        if self._producer is not None and self.other.held < HIGH:
            self.clock.callLater(LATER, self._resume)

    def _resume(self) -> None:
        if self._producer is not None and not self.is_lost:
            self._producer.resumeProducing()

    def _ended(self) -> None:
        self._has_all = True
        if IHalfCloseableProtocol.providedBy(self.protocol) and not self._has_finished:
            IHalfCloseableProtocol(self.protocol).readConnectionLost()
        elif not self._has_finished:
            self._finish()
        self._end_if_done()

    def _finish(self) -> None:
        if not self._has_finished:
            self._has_finished = True
            self.other.take(None)

    def _end_if_done(self) -> None:
        if self._has_finished and (self._has_all or self.disconnecting):
            self.lose(ConnectionDone())

    def loseWriteConnection(self) -> None:
        self._finish()
        self._end_if_done()

    def loseConnection(self) -> None:
        self.disconnecting = True
        if self._producer is None:
            self._finish()
            self.clock.callLater(LATER, self._end_if_done)

    def abortConnection(self) -> None:
        self.lose(ConnectionAborted())
        self.other.lose(ConnectionLost())

    def lose(self, error: Exception) -> None:
        """Tell the protocol that it has ended."""
        if not self.is_lost:
            self.is_lost = True
            self.streams.ended(self)
            self.protocol.connectionLost(Failure(error))

    def getHost(self) -> IAddress:
        return self.host

    def getPeer(self) -> IAddress:
        return self.peer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("there is a producer")
        self._producer, self._is_streaming = producer, streaming
        if not streaming:
            self._resume()

    def unregisterProducer(self) -> None:
        self._producer, self._is_streaming = None, False
        if self.disconnecting:
            self.loseConnection()

    def pauseProducing(self) -> None:
        self._is_paused = True

    def resumeProducing(self) -> None:
        self._is_paused = False
        self.clock.callLater(LATER, self._hand_on)

    def stopProducing(self) -> None:
        self.loseConnection()


@implementer(IPeerStreams)
@attrs.define(eq=False)
class FakeStreams:
    """
    The streams of one node.

    :ivar linked: those of nodes to which a link is open, by peer id; see :func:`link`.
    :ivar asked: whoever opened something here: peer id, service, and whether it was let in.
    """

    peer_id: str
    clock: IReactorTime
    linked: dict[str, FakeStreams] = attrs.Factory(dict)
    asked: list[tuple[str, str, bool]] = attrs.Factory(list)
    _decide: Callable[[str, str], IProtocol | None] = lambda _peer_id, _service: None
    _changed: list[Callable[[StreamInfo, bool], None]] = attrs.Factory(list)
    _ends: list[FakeTransport] = attrs.Factory(list)
    _count: int = 0

    def open(self, peer_id: str, service: str, protocol: IProtocol) -> Deferred[None]:
        theirs = self.linked.get(peer_id)
        if theirs is None:
            return fail(LinkLost())
        accepted = theirs.asked_by(self.peer_id, service)
        if accepted is None:
            return fail(NotGranted())
        ours = self._end(protocol, PeerAddress(self.peer_id, ""), peer_id, service, True)
        other = theirs._end(accepted, PeerAddress(peer_id, service), self.peer_id, service, False)
        ours.other, other.other = other, ours
        for end in (ours, other):
            end.streams.began(end)
        return succeed(None)

    def asked_by(self, peer_id: str, service: str) -> IProtocol | None:
        """Decide on a stream of theirs."""
        found = self._decide(peer_id, service)
        self.asked.append((peer_id, service, found is not None))
        return found

    def _end(
        self, protocol: IProtocol, host: PeerAddress, peer_id: str, service: str, is_ours: bool
    ) -> FakeTransport:
        self._count += 1
        info = StreamInfo(peer_id, service, is_ours, self.clock.seconds(), number=self._count)
        peer = PeerAddress(peer_id, service if is_ours else "")
        return FakeTransport(self.clock, protocol, host, peer, self, info)

    def began(self, end: FakeTransport) -> None:
        """Let a stream begin."""
        self._ends.append(end)
        self._tell(end, True)
        end.protocol.makeConnection(end)

    def ended(self, end: FakeTransport) -> None:
        """Take that one has ended."""
        if end in self._ends:
            self._ends.remove(end)
            self._tell(end, False)

    def _tell(self, end: FakeTransport, is_open: bool) -> None:
        for one in self._changed:
            one(self._info(end), is_open)

    def _info(self, end: FakeTransport) -> StreamInfo:
        return attrs.evolve(end.info, received=end.received, sent=end.sent)

    def accept(self, decide: Callable[[str, str], IProtocol | None]) -> None:
        self._decide = decide

    def watch(self, changed: Callable[[StreamInfo, bool], None]) -> None:
        self._changed.append(changed)

    def close(self, peer_id: str, service: str = "") -> None:
        for end in list(self._ends):
            if end.info.peer_id == peer_id and service in {"", end.info.service}:
                end.abortConnection()

    def open_streams(self) -> list[StreamInfo]:
        return [self._info(end) for end in self._ends]

    def lose_link(self, peer_id: str) -> None:
        """Let the link to a peer be lost."""
        for end in list(self._ends):
            if end.info.peer_id == peer_id:
                end.other.lose(StreamLost())
                end.lose(StreamLost())
        theirs = self.linked.pop(peer_id, None)
        if theirs is not None:
            theirs.linked.pop(self.peer_id, None)


def link(one: FakeStreams, other: FakeStreams) -> None:
    """Open a link between two nodes."""
    one.linked[other.peer_id], other.linked[one.peer_id] = other, one
