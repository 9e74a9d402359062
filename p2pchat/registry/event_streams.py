"""
Event streams: how documents reach a peer that can't be dialed (server-sent events, WHATWG HTML
section 9.2).

::

    event: ready         the stream is live; what is delivered from now on comes here
    event: document      data is a signed document, compact JWS; id counts them
    event: nameplate     data is the name of a nameplate of the peer's, at which a joiner left a try
    event: mail          something came to the peer's mailbox: data is its state, an object
    event: superseded    the peer opened a newer stream; this one ends
    event: removed       the record was removed; the stream ends
    event: expired       the lease ran out; the stream ends
    event: bye           the registry stops; the stream ends
    : keepalive 15.0     a comment, every 15 seconds, or sooner if asked: seconds since ready

Whoever is behind a proxy that passes nothing on until there is enough of it asks for padding: each
event and comment is then followed by a comment of so many bytes, and none comes sooner than usual.

By its number a peer sees whether something on the way holds back what is sent.  Every event but
``document``, ``nameplate`` and ``mail`` has ``{}`` for its data, since an event without data is no
event.

A peer has one live stream.  Documents are counted from 1 on, and a stream that replaces another of
the same run of a program goes on with the numbers: it begins with those documents that the peer
hasn't had yet, as far as they are kept (:mod:`p2pchat.registry.kept_documents`).  A stream whose
connection takes no more bytes queues a bounded number of documents; what comes then is dropped, and
its author learns that.  A stream that took nothing for MAX_STALLED is cut off.  A cut or closed
stream makes its peer undeliverable at once, though its lease runs on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.web.server import Request
from zope.interface import implementer

from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.kept_documents import KeptDocument, KeptDocuments
from p2pchat.registry.refusals import refused
from p2pchat.registry.store.directory import Delivery

STREAMS = Limits(15_000, 256)
KEEPALIVE = 15.0  # seconds; well below the minute after which proxies give up
#: Seconds that are granted to peers behind a proxy that gives up sooner; the last one, with a sweep
#: of a second, keeps within a limit of 3.
KEEPALIVES = (KEEPALIVE, 5.0, 1.5)
MAX_QUEUED = 256  # documents, beside what the transport buffers (64 KiB)
MAX_QUEUED_BYTES = 256 * 1024  # twice what strangers may send at once
RETRY_AFTER = 10  # seconds, for a peer for whose stream there is no room
MAX_STALLED = 30.0  # seconds for which keepalives couldn't be written

NAMEPLATE, MAIL = "nameplate", "mail"
EVENTS = ("ready", "document", NAMEPLATE, MAIL, "superseded", "removed", "expired", "bye")
_FINAL = {"removed", "expired"}  # after which no stream replaces the one that ended


def _event(name: str, data: str = "{}", number: int | None = None) -> bytes:
    named = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{named}data: {data}\n\n".encode()


@implementer(IPushProducer)
@attrs.define(eq=False)
class EventStreamResponse:
    """
    One response that goes on.

    :ivar ended: fires with None when nothing more is to be written; the caller then finishes
        the request.  Cancel it when the connection is lost.
    :ivar began_at: when it began.
    :ivar interval: seconds between comments.
    :ivar padding: bytes of a comment behind each event and comment.
    :ivar next_keepalive: when the next comment is due.
    :ivar number: of the last document.
    """

    _request: Request
    began_at: float
    interval: float = KEEPALIVE
    padding: int = 0
    number: int = 0
    next_keepalive: float = attrs.field(init=False)
    ended: Deferred[None] = attrs.field(init=False, factory=Deferred)
    _open: bool = attrs.field(init=False, default=True)
    _paused: bool = attrs.field(init=False, default=False)
    _queued: deque[bytes] = attrs.field(init=False, factory=deque)
    _queued_bytes: int = attrs.field(init=False, default=0)
    _missed: dict[str, str] = attrs.field(init=False, factory=dict)  # by the events' names
    _stalled: float = attrs.field(init=False, default=0.0)  # seconds

    def __attrs_post_init__(self) -> None:
        self.next_keepalive = self.began_at + self.interval

    def begin(self) -> None:
        """Write the head of the response and say that the stream is live."""
        self._request.setHeader(b"content-type", b"text/event-stream")
        self._request.setHeader(b"cache-control", b"no-store")
        self._request.setHeader(b"x-accel-buffering", b"no")  # nginx would hold events back
        self._request.registerProducer(self, True)
        self._write(_event("ready"))

    def _write(self, data: bytes) -> None:
        self._request.write(data + self._padding())

    def _padding(self) -> bytes:
        return b":%b\n\n" % (b" " * (self.padding - 3)) if self.padding else b""

    def deliver(self, token: str) -> Delivery:
        """Write or queue a document, if there is room for it."""
        if not self._open:
            return Delivery.OFFLINE
        data = _event("document", token, self.number + 1)
        if not self._paused:
            self._write(data)
        elif not self._queue(data):
            return Delivery.FULL
        self.number += 1
        return Delivery.TAKEN

    def announce(self, name: str, data: str) -> None:
        """Write an event, or the last one of its name when the connection takes bytes again."""
        if self._open and not self._paused:
            self._write(_event(name, data))
        elif self._open:
            self._missed[name] = data

    def _queue(self, data: bytes) -> bool:
        if len(self._queued) >= MAX_QUEUED or self._queued_bytes + len(data) > MAX_QUEUED_BYTES:
            return False
        self._queued.append(data)
        self._queued_bytes += len(data)
        return True

    def keep_alive(self, now: float) -> None:
        """Write a comment, or cut a connection off that takes nothing for too long."""
        self.next_keepalive = now + self.interval
        if not self._paused:
            self._write(f": keepalive {now - self.began_at:.1f}\n\n".encode())
            return
        self._stalled += self.interval
        if self._stalled >= MAX_STALLED:
            self.cut()

    def end(self, name: str) -> None:
        """Say why, and end the stream."""
        if self._open:
            self._write(_event(name))
            self._close()
            self.ended.callback(None)

    def cut(self) -> None:
        """Drop the connection with all that waits on it."""
        if self._open:
            self._close()
            cast(ITCPTransport, self._request.transport).abortConnection()
            if not self.ended.called:  # unless losing the connection has cancelled it
                self.ended.callback(None)

    def lost(self) -> None:
        """Note that the connection is gone, and its producer with it."""
        self._open = False
        self._queued.clear()

    def _close(self) -> None:
        self.lost()
        self._request.unregisterProducer()

    def pauseProducing(self) -> None:
        """Queue from now on: the connection takes no more bytes."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Write what waited."""
        self._paused = False
        self._stalled = 0.0
        while self._queued and not self._paused:  # writing may pause us again
            data = self._queued.popleft()
            self._queued_bytes -= len(data)
            self._write(data)
        while self._missed and not self._paused:
            self._write(_event(*self._missed.popitem()))

    def stopProducing(self) -> None:
        """Nothing to do: the end of the request is what counts."""


@attrs.define(eq=False)
class EventStreams:
    """
    The live streams of this process, one a peer.

    :ivar gone: called with the id of a peer that has no stream here any more.
    :ivar kept: what was written lately.
    """

    gone: Callable[[str], object] = lambda _peer_id: None
    kept: KeptDocuments = attrs.field(init=False, factory=KeptDocuments)
    _live: dict[str, EventStreamResponse] = attrs.field(init=False, factory=dict)
    _now: float = attrs.field(init=False, default=0.0)  # at the last stream or look at all
    _sources: Counter[str] = attrs.field(init=False, factory=Counter)
    # Whose comments are due next, in their order, by the interval.
    _due: dict[float, dict[str, EventStreamResponse]] = attrs.field(
        init=False, factory=lambda: {interval: {} for interval in KEEPALIVES}
    )

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._live))

    def __contains__(self, peer_id: str) -> bool:
        return peer_id in self._live

    def refuse_growth(self, peer_id: str, source: str, limits: Limits) -> None:
        """
        Check that there is room for a peer's stream; one that it has already makes room.

        :raises Refused: there is none.
        """
        if peer_id in self._live:
            return
        if self._sources[source] >= limits.per_source:
            detail = "too many event streams from your address"
            raise refused(429, "too-many-streams", detail, RETRY_AFTER)
        if len(self._live) >= limits.total:
            detail = "this registry has no room for another event stream: try again soon"
            raise refused(503, "too-many-streams", detail, RETRY_AFTER)

    def open(
        self,
        peer_id: str,
        request: Request,
        source: str,
        now: float,
        *,
        keepalive: float = KEEPALIVE,
        padding: int = 0,
        after: int | None = None,
    ) -> Deferred[None]:
        """
        Begin a peer's stream, ending its former one.

        :param source: where it goes, to count what goes there.
        :param keepalive: seconds after which it wants a comment; it gets the nearest of KEEPALIVES
            that is no longer, or the shortest.
        :param padding: bytes that it wants behind whatever is written.
        :param after: the number of the last document that it had on its last stream; None: this is
            the first stream of its program.

        The result fires when the request is to be finished; it must be cancelled when the
        connection is lost.
        """
        self._now = now
        former = self._live.pop(peer_id, None)
        # Long comments come rarely: they would cost hundreds of times as much.
        granted = next((one for one in KEEPALIVES if one <= keepalive), KEEPALIVES[-1])
        interval = KEEPALIVE if padding else granted
        stream = EventStreamResponse(request, now, interval, padding, after or 0)
        self._sources[source] += 1
        self._live[peer_id] = stream  # so that the former one's end isn't the peer's
        if former is not None:
            del self._due[former.interval][peer_id]
        self._due[interval][peer_id] = stream
        if former is not None:
            former.end("superseded")
        stream.ended.addBoth(self._forget, peer_id, stream, source)
        stream.begin()
        for document in self.unheard(peer_id, after):
            self.deliver(peer_id, document.token, document.written_at)
        return stream.ended

    def unheard(self, peer_id: str, after: int | None) -> list[KeptDocument]:
        """Return, and forget, the documents that a peer hasn't had; see :meth:`open`."""
        kept = self.kept.take(peer_id, after or 0, self._now)
        return [] if after is None else kept

    def _forget(self, _result: Any, peer_id: str, stream: EventStreamResponse, source: str) -> None:
        stream.lost()
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        if self._live.get(peer_id) is stream:
            del self._live[peer_id], self._due[stream.interval][peer_id]
            self.gone(peer_id)

    def take_over(self, document: KeptDocument) -> None:
        """Write what another process's stream lost; where there is none yet, keep it for that."""
        if document.peer_id in self:
            self.deliver(document.peer_id, document.token, document.written_at)
        else:
            self.kept.keep(document, self._now)

    def deliver(self, peer_id: str, token: str, written_at: float | None = None) -> Delivery:
        """
        Write a document to a peer's stream, if there is one that takes it.

        :param written_at: when it was written to a stream of the peer first, if not now.
        """
        stream = self._live.get(peer_id)
        if stream is None:
            return Delivery.OFFLINE
        delivery = stream.deliver(token)
        if delivery is Delivery.TAKEN:
            since = self._now if written_at is None else written_at
            self.kept.keep(KeptDocument(peer_id, stream.number, token, since), self._now)
        return delivery

    def announce(self, peer_id: str, name: str, data: str) -> None:
        """Say something to a peer, if it has a stream here: NAMEPLATE or MAIL."""
        stream = self._live.get(peer_id)
        if stream is not None:
            stream.announce(name, data)

    def end(self, peer_id: str, name: str) -> None:
        """End a peer's stream, if there is one, with this event."""
        if name in _FINAL:
            self.kept.forget(peer_id)
        stream = self._live.get(peer_id)
        if stream is not None:
            stream.end(name)

    def end_all(self, name: str) -> None:
        """End every stream with this event."""
        for stream in list(self._live.values()):
            stream.end(name)

    def keep_alive(self, now: float) -> None:
        """Write the comments that are due, and forget what was kept for long."""
        self._now = now
        self.kept.expire(now)
        for waiting in self._due.values():
            due = takewhile(lambda one: one[1].next_keepalive <= now, waiting.items())
            for peer_id, stream in list(due):
                waiting[peer_id] = waiting.pop(peer_id)
                stream.keep_alive(now)
