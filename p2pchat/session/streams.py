"""
Streams of one link: the frames on them, which are taken, how much each carries, and whose turn is.

::

    control stream   PROOF, which is the link's ─ HELLO ─ PING, PONG, CREDIT, REFUSED, DISCONNECT
    any other        opening {kind, of} ─ frames of that kind

    of the other side:  arrives ──opening──▶ taken ──end, reset──▶ over
                           └──unknown kind, unknown, duplicate, too many──▶ refused: dropped
    ours:               open ──▶ written, as credit and the link allow ──REFUSED, stopped──▶ over

Each stream but the control streams has a window of its own, of WINDOW bytes at first
(:mod:`p2pchat.session.receive_window`).

What goes out has turns: control frames, then conversations, then a PIECE of each other stream, so
long as fewer than BACKLOG bytes wait in QUIC unsent.

Frames of the control stream, and openings, cost the sender little and the reader some work: it does
CONTROL_BURST of them at once and then one every CONTROL_INTERVAL.  Control frames wait for that;
:meth:`Streams.is_full` says when so much waits, or so many streams were opened, that no datagram is
to be taken.

Refuses what breaks the rules: more than credit allows, a frame that is too long, a malformed
opening, a control stream that ends.  Knows nothing of what frames mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.quic import StreamData, StreamEvent, StreamStopped, first_stream
from p2pchat.session.receive_window import ReceiveWindow
from p2pchat.wire.framing import LENGTH, FrameReader, encode_frame
from p2pchat.wire.messages import MAX_STREAMS, Credit, Opening, StreamRefusal, Written
from p2pchat.wire.strict_json import MAX_INTEGER

WINDOW = 512 * 1024  # bytes that a stream may carry before its first CREDIT
MAX_WINDOW = 4 * 1024 * 1024  # bytes; carries three quarters of 100 Mbit/s at 0.1 seconds
BACKLOG = 128 * 1024  # bytes handed to QUIC ahead of the network; one frame may exceed it
PIECE = 16 * 1024  # bytes of one stream before it is another's turn
MAX_OPENING = 1024  # bytes; ours has 60
MAX_REFUSALS = 64  # that wait to go out; older ones are forgotten
MAX_OVER = 2 * MAX_STREAMS  # streams that were here and are over, of which DISCONNECT may speak
CONTROL_BURST = 400  # control frames and openings at once, and ...
CONTROL_INTERVAL = 0.0005  # ... seconds to the next one: some percent of a processor
CONTROL_DEBT = 0.02  # seconds; openings are looked at ahead of that, so many as it has intervals
READ_AHEAD = 1024 * 1024  # bytes of the control stream that wait; CREDIT doesn't bound it


class Reader(Protocol):
    """Something that takes the frames of a stream of the other side."""

    @property
    def most(self) -> int:
        """Bytes of its greatest window."""

    @property
    def may_receive(self) -> bool:
        """Whether frames may be handed on now."""

    def receive(self, body: bytes, now: float) -> None:
        """Take a frame; raises RemoteProtocolError."""

    def next_taken(self) -> int:
        """Return, and forget, how many bytes of frames were taken, their lengths included."""


class Writer(Protocol):
    """Something that writes a stream of ours."""

    def next_bytes(self, most: int, enough: int, now: float) -> bytes:
        """Return, and forget, what goes out next: at most so much, and no more than is enough."""


Accept = Callable[[Opening], Reader | str]  # who reads a stream, or the word that refuses it


@attrs.define(eq=False)
class Incoming:
    """
    The receiving part of a stream of the other side.

    :ivar opening: ``None`` before it is there; then there is a reader.
    """

    stream: int
    opening: Opening | None = None
    reader: Reader | None = None
    frames: FrameReader = attrs.Factory(FrameReader)
    window: ReceiveWindow = attrs.Factory(lambda: ReceiveWindow(WINDOW))
    is_over: bool = False
    is_waiting: bool = False  # among those that have frames

    def receive(self, data: bytes) -> None:
        """Take bytes; raises RemoteProtocolError where there are more than granted."""
        self.window.receive(len(data))
        self.frames.add(data)

    @property
    def handed_on(self) -> int:
        """How many bytes went on to the reader."""
        return self.window.received - len(self.frames)

    def next_credit(self, rtt: float, now: float) -> Credit | None:
        """Return what the stream may carry, if enough was taken since it was told last."""
        if self.reader is None:
            return None
        self.window.taken += self.reader.next_taken()
        if self.is_over:
            return None
        # The longest frame fits the other half, so that who sends whole frames isn't stuck.
        granted = self.window.next_credit(self.reader.most, LENGTH, rtt, now)
        return None if granted is None else Credit(self.stream, granted)


@attrs.define(eq=False)
class Outgoing:
    """The sending part of a stream of ours."""

    stream: int
    opening: Opening
    writer: Writer
    credit: int = WINDOW
    written: int = 0

    def next_bytes(self, enough: int, now: float) -> bytes:
        """Return what goes out next, after the opening."""
        start = b"" if self.written else encode_frame(self.opening.encode())
        most = self.credit - self.written - len(start)
        data = start + self.writer.next_bytes(most, enough, now)
        self.written += len(data)
        return data


@attrs.define(eq=False)
class Streams:
    """
    The machine of the streams of one link.

    :ivar dials: whether this side is QUIC's client.
    :ivar accept: decides on a stream that opens.
    :ivar receive_control: takes a frame of the control stream; raises RemoteProtocolError.
    """

    dials: bool
    accept: Accept
    receive_control: Callable[[bytes, float], None]
    _control: FrameReader = attrs.Factory(FrameReader)
    _control_due: float = 0.0  # when the next of its frames may be looked at
    _is_late: bool = False  # one waits for that
    _incoming: dict[int, Incoming] = attrs.Factory(dict)
    _waiting: deque[Incoming] = attrs.Factory(deque)  # those that may have frames, by turns
    _dropped: set[int] = attrs.Factory(set)  # refused and not over; QUIC bounds their number
    _over: dict[int, int] = attrs.Factory(dict)  # with the bytes that went on
    _refusals: deque[StreamRefusal] = attrs.Factory(lambda: deque(maxlen=MAX_REFUSALS))
    _unwanted: list[int] = attrs.Factory(list)  # refused, of which QUIC isn't told yet
    _first: list[Outgoing] = attrs.Factory(list)  # conversations
    _others: deque[Outgoing] = attrs.Factory(deque)
    _opened: int = 0

    # -- what comes in

    def receive(self, event: StreamEvent, now: float) -> None:
        """
        Take what happened on a stream.

        :raises RemoteProtocolError: it breaks a rule.
        """
        stream = event.stream
        if isinstance(event, StreamStopped):
            if stream == first_stream(self.dials):
                raise RemoteProtocolError("the control stream isn't read")
            self._forget(stream)
            return
        data, ends = (event.data, event.end) if isinstance(event, StreamData) else (b"", True)
        if stream == first_stream(not self.dials):
            if ends:
                raise RemoteProtocolError("the control stream has ended")
            self._control.add(data)
        elif stream not in self._dropped:
            self._receive_on(stream, data, ends, now)
        elif ends:
            self._dropped.discard(stream)

    def _receive_on(self, stream: int, data: bytes, ends: bool, now: float) -> None:
        incoming = self._incoming.get(stream)
        if incoming is None:
            if stream & 1 == first_stream(self.dials) & 1:
                raise RemoteProtocolError("an answer on a stream that asks for none")
            incoming = self._incoming[stream] = Incoming(stream)
            self.spend(now)
        incoming.receive(data)
        incoming.is_over = ends
        if incoming.opening is None:
            self._open(incoming)
        if incoming.reader is None:
            if ends and stream in self._incoming:
                self._end(incoming)
        elif not incoming.is_waiting:
            incoming.is_waiting = True
            self._waiting.append(incoming)

    def _open(self, incoming: Incoming) -> None:
        """Take the opening of a stream, if all of it is there, and decide on it."""
        if len(self._incoming) > MAX_STREAMS:
            self._refuse(incoming, "too-many")
        elif (first := incoming.frames.next_frame(MAX_OPENING)) is not None:
            incoming.opening = Opening.decode(first)
            incoming.window.taken = incoming.handed_on
            others = (one.opening for one in self._incoming.values() if one is not incoming)
            found = "duplicate" if incoming.opening in others else self.accept(incoming.opening)
            if isinstance(found, str):
                self._refuse(incoming, found)
            else:
                incoming.reader = found

    def _refuse(self, incoming: Incoming, reason: str) -> None:
        stream = incoming.stream
        self._refusals.append(StreamRefusal(stream, reason))
        self._unwanted.append(stream)
        if not incoming.is_over:
            self._dropped.add(stream)
        self._end(incoming)
        self._over[stream] = MAX_INTEGER

    def _end(self, incoming: Incoming) -> None:
        """Keep of a stream that is over how much of it there was."""
        del self._incoming[incoming.stream]
        self._over[incoming.stream] = incoming.handed_on
        if len(self._over) > MAX_OVER:
            del self._over[next(iter(self._over))]

    def spend(self, now: float, times: int = 1) -> None:
        """Count work that costs the other side less than us: control frames, or openings."""
        earliest = now - CONTROL_BURST * CONTROL_INTERVAL
        self._control_due = max(self._control_due, earliest) + times * CONTROL_INTERVAL

    def is_full(self, now: float) -> bool:
        """Tell whether no datagram is to be taken now."""
        return len(self._control) > READ_AHEAD or self._control_due > now + CONTROL_DEBT

    @property
    def has_frames(self) -> bool:
        """Whether there may be frames to hand on, now or later."""
        return bool(self._waiting) or len(self._control) > 0

    def take(self, now: float) -> int:
        """
        Hand the next frame on, one of the control stream first; returns its bytes, or 0.

        :raises RemoteProtocolError: it breaks a rule.
        """
        self._is_late = False
        if len(self._control):
            self._is_late = self._control_due > now
            if not self._is_late and (body := self._control.next_frame()) is not None:
                self.spend(now)
                self.receive_control(body, now)
                return LENGTH + len(body)
        for _ in range(len(self._waiting)):
            incoming = self._waiting[0]
            reader = incoming.reader
            assert reader is not None
            if reader.may_receive:
                if (body := incoming.frames.next_frame()) is not None:
                    self._waiting.rotate(-1)
                    reader.receive(body, now)
                    return LENGTH + len(body)
                self._waiting.popleft()
                incoming.is_waiting = False
                if incoming.is_over:
                    self._end(incoming)
            else:
                self._waiting.rotate(-1)
        return 0

    def get_timer(self) -> float | None:
        """Return when a control frame that waits may be looked at."""
        return self._control_due if self._is_late else None

    def has_all(self, written: Iterable[Written]) -> bool:
        """Tell whether so much of these streams went on, or isn't wanted."""
        return all(self._handed_on(one.stream) >= one.offset for one in written)

    def _handed_on(self, stream: int) -> int:
        incoming = self._incoming.get(stream)
        return self._over.get(stream, 0) if incoming is None else incoming.handed_on

    # -- what goes out

    def open(self, kind: str, of: str, writer: Writer, *, is_first: bool = False) -> None:
        """
        Open a unidirectional stream of ours.

        :param is_first: whether it goes before others, as a conversation does.
        """
        self._opened += 1
        outgoing = Outgoing(first_stream(self.dials) + 4 * self._opened, Opening(kind, of), writer)
        (self._first if is_first else self._others).append(outgoing)

    def _ours(self) -> Iterator[Outgoing]:
        yield from self._first
        yield from self._others

    def _find(self, stream: int) -> Outgoing | None:
        return next((one for one in self._ours() if one.stream == stream), None)

    def credited(self, credit: Credit) -> None:
        """One of ours may carry more; one that is over doesn't care."""
        found = self._find(credit.stream)
        if found is not None:
            found.credit = max(found.credit, credit.offset)

    def refused(self, refused: StreamRefusal) -> Opening | None:
        """One of ours isn't taken; returns which, the first time."""
        return self._forget(refused.stream)

    def _forget(self, stream: int) -> Opening | None:
        found = self._find(stream)
        if found is None:
            return None
        (self._first if found in self._first else self._others).remove(found)
        return found.opening

    def next_messages(self, rtt: float, now: float) -> list[Credit | StreamRefusal]:
        """Return, and forget, what the control stream is to say of the other side's streams."""
        said: list[Credit | StreamRefusal] = [*self._refusals]
        self._refusals.clear()
        for one in self._incoming.values():
            if (credit := one.next_credit(rtt, now)) is not None:
                said.append(credit)
        return said

    def next_unwanted(self) -> list[int]:
        """Return, and forget, the streams on which the other side needn't go on."""
        unwanted, self._unwanted = self._unwanted, []
        return unwanted

    def next_writes(self, room: int, now: float) -> Iterator[tuple[int, bytes]]:
        """Yield what goes out next, until so many bytes are used up: stream and bytes."""
        for one in self._first:
            if room > 0 and (data := one.next_bytes(room, now)):
                room -= len(data)
                yield one.stream, data
        idle = 0
        while room > 0 and idle < len(self._others):
            one = self._others[0]
            self._others.rotate(-1)
            data = one.next_bytes(min(room, PIECE), now)
            room -= len(data)
            idle = 0 if data else idle + 1
            if data:
                yield one.stream, data

    def written(self) -> tuple[Written, ...]:
        """Return how much was written on each stream of ours."""
        return tuple(Written(one.stream, one.written) for one in self._ours())
