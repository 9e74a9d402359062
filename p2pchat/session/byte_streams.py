"""
The bidirectional streams of one link: those on which services are reached.

::

    who opens ─▶ opening {kind: service, of: NAME} ─────── bytes ── FIN ─▶ who offers the service
              ◀─ FIN ── bytes ── answer {} ─┴─ or REFUSED on the control stream, and RESET ─

Owns ids, whose turn it is, what each may carry, and how many there are.  Who opens writes bytes
after the answer; CREDIT counts them alone.  Chat goes first: what is left of the link's room goes
round in PIECEs.

Of ours MAX_OPEN are open at a time, fewer if QUIC's limit says so; MAX_QUEUED more wait for that.
Of theirs MAX_OPEN are open, and MAX_IN_ALL at the node; the next ones are refused, and those whose
opening isn't there, or on which nobody decides, within HALF_OPEN.  An opening costs its sender as
much as a control frame, and REFUSED_WORK times that if it isn't taken.

Refuses more bytes than CREDIT allows, malformed openings and answers.  What the other side still
writes on a stream that is over is dropped; MAX_DROPPED of these are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import attrs

from p2pchat.errors import TooManyStreams
from p2pchat.session.quic import StreamData, StreamEvent, StreamReset
from p2pchat.session.service_stream import LOW, WINDOW, ServiceStream, StreamEnd, StreamState
from p2pchat.session.streams import MAX_WINDOW, PIECE
from p2pchat.traversal.earliest import earliest
from p2pchat.wire.framing import encode_frame
from p2pchat.wire.messages import Credit, Opening, StreamRefusal
from p2pchat.wire.service_names import check_service
from p2pchat.wire.strict_json import loads

KIND = "service"
MAX_OPEN = 64  # streams of each side
MAX_IN_ALL = 1024  # of others, at a node
MAX_QUEUED = 1024  # of ours that have no id yet
MAX_DROPPED = 4096  # each costs a number; QUIC lets 103 be open, and as many after each renewal
HALF_OPEN = 10.0  # seconds
UNANSWERED = 30.0  # seconds for the answer to ours
MAX_GROWTH = 16 * 1024 * 1024  # bytes by which all windows of a link may grow
REFUSED_WORK = 10  # control frames; 200 refusals a second at most

_REFUSALS = {StreamEnd.NOT_GRANTED, StreamEnd.TOO_MANY, StreamEnd.UNKNOWN_KIND}

Write = tuple[int, bytes | memoryview, bool]  # stream, bytes, and whether FIN follows
Spend = Callable[[float, int], None]  # counts work for the other side: now, control frames


class StreamLimits(Protocol):
    """Facts that a link tells of its streams."""

    @property
    def renewals(self) -> int:
        """How often it was renewed."""

    def may_open(self, stream: int) -> bool:
        """Tell whether QUIC lets us open a stream now."""


@attrs.define
class StreamCount:
    """Number of streams that others have open at a node."""

    open: int = 0


@attrs.define(eq=False)
class ByteStreams:
    """
    The machine of these streams, on one link after another.

    :ivar in_all: of all links of the node.
    :ivar notify: called when there is something to take.
    """

    peer_id: str
    in_all: StreamCount
    notify: Callable[[], object] = lambda: None
    _dials: bool = True
    _spend: Spend = lambda _now, _times: None
    _streams: dict[int, ServiceStream] = attrs.Factory(dict)  # by id
    _queued: dict[ServiceStream, None] = attrs.Factory(dict)  # ours that have none
    _half_open: dict[int, float] = attrs.Factory(dict)  # theirs, until when; the first is first
    _unanswered: dict[int, float] = attrs.Factory(dict)  # ours, likewise
    _dropped: dict[int, None] = attrs.Factory(dict)  # the oldest first
    _ready: dict[ServiceStream, None] = attrs.Factory(dict)  # they may write, in this order
    _full: set[ServiceStream] = attrs.Factory(set)  # more than LOW was pending
    _read: dict[ServiceStream, None] = attrs.Factory(dict)  # CREDIT may be due
    _stirred: dict[ServiceStream, None] = attrs.Factory(dict)
    _refusals: list[StreamRefusal] = attrs.Factory(list)
    _stopped: dict[int, None] = attrs.Factory(dict)  # QUIC isn't told yet
    _ended: dict[int, bool] = attrs.Factory(dict)  # likewise; whether both halves are cut off
    _renewals: int = 0  # that what is written knows of
    _renewals_read: int = 0  # that what is read knows of
    _opened: int = 0
    _open_ours: int = 0
    _open_theirs: int = 0
    _growth: int = MAX_GROWTH  # bytes that are left of it
    _now: float = 0.0

    # -- links come and go

    def begin(self, dials: bool, spend: Spend) -> None:
        """Be on a new link; ``dials``: whether this side is QUIC's client."""
        self.lose()
        self._dials, self._spend = dials, spend
        self._opened = self._renewals = self._renewals_read = 0

    def lose(self) -> None:
        """The link is lost, and with it all that is open."""
        for stream in [*self._streams.values(), *self._queued]:
            stream.over(StreamEnd.LOST)
        self._dropped.clear()
        self._refusals.clear()
        self._stopped.clear()
        self._ended.clear()

    def renewed(self) -> None:
        """What comes from now on is on the link renewed."""
        self._renewals_read += 1
        for stream in self._streams.values():
            stream.renewed()

    # -- what our side wants

    def open(self, service: str) -> ServiceStream:
        """
        Ask the other side for a service.

        :raises TooManyStreams: so many wait already.
        """
        if len(self._queued) >= MAX_QUEUED:
            raise TooManyStreams()
        calls = self._changed, self._stir
        stream = ServiceStream(self.peer_id, service, True, *calls, StreamState.ASKING)
        self._queued[stream] = None
        self.notify()
        return stream

    def _changed(self, stream: ServiceStream) -> None:
        """Its user did something, or it is over."""
        number = stream.number
        if stream.state is StreamState.OVER:
            self._queued.pop(stream, None)
            if number is not None and number in self._streams:
                self._forget(number, stream)
            self._stir(stream)
        elif number is not None:
            if stream.state is StreamState.OPEN:
                self._half_open.pop(number, None)
            self._ready[stream] = self._read[stream] = None
            if stream.pending > LOW:
                self._full.add(stream)
            if stream.is_stopped and not stream.has_fin:
                self._stopped[number] = None
            self._end_if_done(stream)
        self.notify()

    def _forget(self, number: int, stream: ServiceStream) -> None:
        """Let one go that is over, and let the other side know where it doesn't."""
        for table in (self._streams, self._half_open, self._unanswered):
            table.pop(number, None)
        for found in (self._ready, self._read):
            found.pop(stream, None)
        self._full.discard(stream)
        self._growth += stream.window.size - WINDOW
        if stream.is_ours:
            self._open_ours -= 1
        else:
            self._open_theirs -= 1
            self.in_all.open -= 1
        if stream.end in _REFUSALS and not stream.is_ours:
            self._refusals.append(StreamRefusal(number, stream.end.value))
            self._spend(self._now, REFUSED_WORK)
        self._ended[number] = stream.end is not StreamEnd.DONE or stream.is_unwanted
        if not stream.has_fin:
            self._dropped[number] = None
        if len(self._dropped) > MAX_DROPPED:
            del self._dropped[next(iter(self._dropped))]

    def _end_if_done(self, stream: ServiceStream) -> None:
        if stream.is_done:
            stream.over(StreamEnd.DONE)

    # -- what comes in

    def receive(self, event: StreamEvent, now: float) -> None:
        """
        Take what happened on a stream.

        :raises RemoteProtocolError: it breaks a rule.
        """
        self._now, number = now, event.stream
        stream = self._streams.get(number)
        if isinstance(event, StreamData):
            if stream is None:
                stream = self._begun(event)
            if stream is not None:
                self._take(stream, event)
        elif stream is None:
            if isinstance(event, StreamReset):
                self._dropped.pop(number, None)
        elif isinstance(event, StreamReset):
            stream.has_fin = True
            # REFUSED says more to who asks; QUIC itself resets what was stopped.
            if stream.state is not StreamState.ASKING and not stream.is_stopped:
                stream.over(StreamEnd.RESET)
            self._end_if_done(stream)
        else:
            stream.unwanted()
            self._stir(stream)
            self._end_if_done(stream)

    def _begun(self, event: StreamData) -> ServiceStream | None:
        """Return the stream that bytes of the other side begin, unless it is over."""
        number, is_ours = event.stream, event.stream & 1 != self._dials
        if number in self._dropped or is_ours:
            if event.end:
                self._dropped.pop(number, None)
            return None
        self._spend(self._now, 1)
        calls = self._changed, self._stir
        stream = ServiceStream(self.peer_id, "", False, *calls, StreamState.ASKED, number)
        stream.asked(self._renewals_read)
        self._streams[number] = stream
        self._half_open[number] = self._now + HALF_OPEN
        self._open_theirs += 1
        self.in_all.open += 1
        return stream

    def _take(self, stream: ServiceStream, event: StreamData) -> None:
        first = stream.receive(event.data, self._renewals_read)
        stream.has_fin = stream.has_fin or event.end
        if first is not None:
            self._take_first(stream, event.stream, first)
        elif event.end and not stream.has_begun:
            stream.over(StreamEnd.RESET)
        if stream.service and stream.state is not StreamState.OVER:
            self._stir(stream)
            self._ready[stream] = None  # it may be known anew
            self._end_if_done(stream)

    def _take_first(self, stream: ServiceStream, number: int, body: bytes) -> None:
        """Take the opening of a stream of theirs, or the answer to ours."""
        if stream.is_ours:
            loads(body)
            if stream.state is StreamState.ASKING:
                stream.state = StreamState.OPEN
            self._unanswered.pop(number, None)
        elif not body:  # it goes on, and is over here
            stream.over(StreamEnd.RESET)
        elif self._open_theirs > MAX_OPEN or self.in_all.open > MAX_IN_ALL:
            stream.over(StreamEnd.TOO_MANY)
        elif (opening := Opening.decode(body)).kind == KIND:
            stream.service = check_service(opening.of)
        else:
            stream.over(StreamEnd.UNKNOWN_KIND)

    def credited(self, credit: Credit) -> None:
        """One of ours may carry more; one that is over doesn't care."""
        if (stream := self._streams.get(credit.stream)) is not None:
            stream.credit = max(stream.credit, credit.offset)
            self._ready[stream] = None

    def refused(self, refusal: StreamRefusal) -> None:
        """One of ours isn't taken."""
        stream = self._streams.get(refusal.stream)
        if stream is not None and stream.is_ours:
            too_many = refusal.reason == StreamEnd.TOO_MANY.value
            stream.over(StreamEnd.TOO_MANY if too_many else StreamEnd.NOT_GRANTED)

    def _stir(self, stream: ServiceStream) -> None:
        if stream.service:
            self._stirred[stream] = None
            self.notify()

    def next_stirred(self) -> ServiceStream | None:
        """Return, and forget, a stream that its user is to look at."""
        if not self._stirred:
            return None
        stream = next(iter(self._stirred))
        del self._stirred[stream]
        return stream

    # -- time

    def handle_timer(self, now: float) -> None:
        """Give up what is half open, or wasn't answered."""
        self._now = now
        for table, end in (
            (self._half_open, StreamEnd.NOT_GRANTED),
            (self._unanswered, StreamEnd.UNANSWERED),
        ):
            while table and now >= next(iter(table.values())):
                self._streams[next(iter(table))].over(end)

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        tables = (self._half_open, self._unanswered)
        return earliest(*(next(iter(table.values()), None) for table in tables))

    # -- what goes out

    def next_messages(self, rtt: float, now: float) -> list[Credit | StreamRefusal]:
        """Return, and forget, what the control stream is to say of these streams."""
        said: list[Credit | StreamRefusal] = [*self._refusals]
        self._refusals.clear()
        for stream in self._read:
            window, number = stream.window, stream.number
            before = window.size
            most = min(MAX_WINDOW, before + self._growth)
            granted = None if stream.has_fin else window.next_credit(most, 0, rtt, now)
            self._growth -= window.size - before
            if granted is not None and number is not None:
                said.append(Credit(number, granted))
        self._read.clear()
        return said

    def next_stopped(self) -> dict[int, None]:
        """Return, and forget, the streams on which the other side is to write no more."""
        stopped, self._stopped = self._stopped, {}
        return stopped

    def next_ended(self) -> dict[int, bool]:
        """Return, and forget, the streams that are over; whether they are to be cut off."""
        ended, self._ended = self._ended, {}
        return ended

    def next_writes(self, room: int, limits: StreamLimits, now: float) -> Iterator[Write]:
        """Yield what goes out next, until so many bytes are used up."""
        if self._renewals != limits.renewals:
            self._renewals = limits.renewals
            self._ready |= dict.fromkeys(self._streams.values())
        if self._queued:
            self._open_queued(limits, now)
        while room > 0 and self._ready:
            stream = next(iter(self._ready))
            del self._ready[stream]
            write = stream.next_write(min(room, PIECE), self._renewals)
            if write is not None and stream.number is not None:
                room -= len(write[0])
                self._ready[stream] = None  # behind the others
                self._wrote(stream)
                yield stream.number, *write

    def _open_queued(self, limits: StreamLimits, now: float) -> None:
        """Give those of ours an id that may be opened now."""
        while self._queued and self._open_ours < MAX_OPEN:
            number = 4 * self._opened + (not self._dials)
            if not limits.may_open(number):
                return
            stream = next(iter(self._queued))
            del self._queued[stream]
            opening = encode_frame(Opening(KIND, stream.service).encode())
            stream.opened(number, opening, self._renewals)
            self._streams[number] = stream
            self._unanswered[number] = now + UNANSWERED
            self._opened += 1
            self._open_ours += 1
            self._ready[stream] = None

    def _wrote(self, stream: ServiceStream) -> None:
        if stream.pending <= LOW and (stream in self._full or not stream.pending):
            self._full.discard(stream)
            self._stir(stream)
        self._end_if_done(stream)
