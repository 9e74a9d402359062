"""
Bulk over a stream of a service: Twisted's transport on the link of two whole endpoints.

The sending end is a producer, as a program of Twisted would be that sends a large file.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from benchmarks.bulk import CHUNK, Tally
from benchmarks.bulk_quic import LinkCarrier
from p2pchat.peer.peer_streams import PeerStreams
from p2pchat.session.stages import StreamStirred

SERVICE = "bulk"
_ZEROS = bytes(CHUNK)


class Sink(Protocol):
    """Counts what comes, and says when all is there."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def dataReceived(self, data: bytes) -> None:
        """Count it."""
        if self._tally.add(len(data)) and self.transport is not None:
            self.transport.write(b"x")


@implementer(IPushProducer)
class Source(Protocol):
    """Writes nothing but zeros while there is room."""

    def __init__(self) -> None:
        self.done: Deferred[object] = Deferred()
        self._left = 0
        self._is_paused = False

    def pour(self, size: int) -> Deferred[object]:
        """Write so many bytes."""
        self._left = size
        transport: Any = self.transport  # a consumer, too
        transport.registerProducer(self, True)
        self.resumeProducing()
        return self.done

    def dataReceived(self, data: bytes) -> None:
        """All is there."""
        self.done.callback(data)

    def pauseProducing(self) -> None:
        """There is no room."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """There is room."""
        self._is_paused = False
        while self._left and not self._is_paused:
            chunk = _ZEROS[: self._left]
            self._left -= len(chunk)
            assert self.transport is not None
            self.transport.write(chunk)

    def stopProducing(self) -> None:
        """Nothing more is wanted."""
        self._left = 0


class StreamsCarrier(LinkCarrier):
    """Two endpoints of p2pchat, of which one reaches a service of the other."""

    def __init__(self) -> None:
        super().__init__()
        adapter = self._adapter
        self._source = Source()
        self._streams = PeerStreams(
            *(self.peer_id, adapter.endpoint, adapter.driver, installed_reactor)
        )
        self._streams.accept(lambda _peer_id, _service: self._sink())

    def _sink(self) -> Sink:
        assert self._tally is not None
        return Sink(self._tally)

    def reach(self, where: str) -> Deferred[object]:
        """Call the other endpoint, and open a stream."""
        opened = super().reach(where)
        return opened.addCallback(lambda _: self._streams.open(self._other, SERVICE, self._source))

    def pour(self, size: int) -> Deferred[object]:
        """Send as the stream has room."""
        return self._source.pour(size)

    def _react(self, event: object) -> None:
        if isinstance(event, StreamStirred):
            self._streams.stirred(event.stream)
        else:
            super()._react(event)
