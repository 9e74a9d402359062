"""
One stream of a service: bytes both ways between two programs, on the link of two peers.

::

    ours     ASKING ── answered ──▶ OPEN ── both halves ended ──▶ OVER
                └── refused, or unanswered ──▶ OVER  ├── RESET ────▲
    theirs   ASKED ── accept() ──▶ OPEN              └── link lost ┘
                └── refuse(), or nobody decides ──▶ OVER

    reading  came ── read() ──▶ ... ── FIN, and all is read ──▶ ended
               └── stop() ──▶ dropped, ended
    writing  write() ──▶ pending ── credit, and our turn ──▶ QUIC ── finish(): FIN ──▶ ended
               └── the other side stops it: dropped, ended

Its user is told that the stream was *stirred*, and looks at it; a verb that means nothing in a
state does nothing.  Reading lets more come: who doesn't read holds WINDOW bytes at first, and no
more.  How much is pending is for whoever writes to bound, who hears when LOW is left, and nothing.

On a link that was renewed QUIC knows no streams: whoever opened one says so by an empty frame,
before anything else, and the other side writes after that; either says FIN again.

Ids, turns and limits are the matter of :mod:`p2pchat.session.byte_streams`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.receive_window import ReceiveWindow
from p2pchat.session.streams import MAX_OPENING
from p2pchat.wire.framing import LENGTH, FrameReader, encode_frame

LOW = 64 * 1024  # bytes that are pending, below which more is welcome
WINDOW = 256 * 1024  # bytes that a stream may carry before its first CREDIT

EMPTY, ANSWER = encode_frame(b""), encode_frame(b"{}")
NEVER = -1  # no renewal yet


class StreamState(Enum):
    """State of a stream."""

    ASKING = "asking"
    ASKED = "asked"
    OPEN = "open"
    OVER = "over"


class StreamEnd(Enum):
    """End of a stream, and its reason."""

    DONE = "done"  # both halves, in order
    NOT_GRANTED = "not-granted"
    TOO_MANY = "too-many"
    UNKNOWN_KIND = "unknown-kind"
    UNANSWERED = "unanswered"
    RESET = "reset"  # by the other side
    ABORTED = "aborted"  # by us
    LOST = "lost"  # with its link


@attrs.define(eq=False)
class ServiceStream:
    """
    One side of a stream.

    :ivar changed: called when a verb has left something to do.
    :ivar stirs: called when its user is to look at it.
    :ivar number: QUIC's id of it, once it has one.
    :ivar end: how it ended, once it is OVER.
    :ivar received: bytes that were read.
    :ivar sent: bytes that QUIC has taken.
    :ivar pending: bytes that wait for it.
    :ivar is_unwanted: whether the other side takes nothing more of what we write.
    :ivar is_finishing: whether nothing is written any more.
    :ivar is_stopped: whether nothing is read any more.
    :ivar has_fin: whether nothing more comes.
    :ivar credit: bytes that we may write in all.
    :ivar window: of what comes.
    """

    peer_id: str
    service: str
    is_ours: bool
    changed: Callable[[ServiceStream], None]
    stirs: Callable[[ServiceStream], None]
    state: StreamState
    number: int | None = None
    end: StreamEnd | None = None
    received: int = 0
    sent: int = 0
    pending: int = 0
    is_unwanted: bool = False
    is_finishing: bool = False
    is_stopped: bool = False
    has_fin: bool = False
    credit: int = WINDOW
    window: ReceiveWindow = attrs.Factory(lambda: ReceiveWindow(WINDOW))
    _came: bytearray = attrs.Factory(bytearray)
    _chunks: deque[memoryview] = attrs.Factory(deque)
    _start: bytes = b""  # to be written before the bytes
    _head: FrameReader | None = attrs.Factory(FrameReader)  # None once the first frame came
    _known_in: int = NEVER  # the renewal since which QUIC knows it on both sides
    _fin_in: int = NEVER  # the renewal in which we said FIN last
    _skip: int = 0  # bytes of an empty frame that are to come

    # -- verbs of its user

    def accept(self) -> None:
        """Let it be open."""
        if self.state is StreamState.ASKED:
            self.state, self._start = StreamState.OPEN, ANSWER
            self.changed(self)

    def refuse(self) -> None:
        """Don't take it."""
        if self.state is StreamState.ASKED:
            self.over(StreamEnd.NOT_GRANTED)

    def read(self, most: int | None = None) -> bytes:
        """Return, and forget, what has come, at most so many bytes of it."""
        data = bytes(self._came[:most])
        if data:
            del self._came[: len(data)]  # moves nothing: the beginning is moved
            self.received += len(data)
            self.window.taken += len(data)
            self.changed(self)
        return data

    def write(self, data: bytes) -> None:
        """Write, behind what is pending; the bytes aren't copied."""
        if data and not (self.is_finishing or self.is_unwanted or self.state is StreamState.OVER):
            self._chunks.append(memoryview(data))
            self.pending += len(data)
            self.changed(self)

    def finish(self) -> None:
        """Write nothing more."""
        if not self.is_finishing:
            self.is_finishing = True
            self.changed(self)

    def stop(self) -> None:
        """Read nothing more: what comes is dropped."""
        if not self.is_stopped:
            self.is_stopped = True
            self._came.clear()
            self.changed(self)

    def stir(self) -> None:
        """Let its user look at it once more."""
        self.stirs(self)

    def abort(self) -> None:
        """End both halves at once."""
        self.over(StreamEnd.ABORTED)

    # -- what is known of it

    @property
    def waiting(self) -> int:
        """How many bytes wait to be read."""
        return len(self._came)

    @property
    def has_begun(self) -> bool:
        """Whether the other side's first frame is there."""
        return self._head is None

    @property
    def has_all(self) -> bool:
        """Whether all that the other side has written is read."""
        return self.has_fin and not self._came

    @property
    def has_finished(self) -> bool:
        """Whether QUIC has taken all that we write."""
        return self._fin_in != NEVER

    @property
    def is_done(self) -> bool:
        """Whether both halves have ended in order."""
        has_written = self.is_unwanted or self.has_finished
        return self.state is StreamState.OPEN and has_written and (self.is_stopped or self.has_all)

    # -- what comes of its link

    def receive(self, data: bytes, renewals: int) -> bytes | None:
        """
        Take what came next; return the body of the first frame when that is there.

        :param renewals: of the link, before it came.
        :raises RemoteProtocolError: there is more than the window, or the first frame is too long.
        """
        if self._skip:
            data = self._be_known(data, renewals)
        if self._head is None:
            self._take(data)
            return None
        self._head.add(data)
        if (first := self._head.next_frame(MAX_OPENING)) is not None:
            data, self._head = self._head.take_rest(), None
            self._take(data)
        return first

    def _take(self, data: bytes) -> None:
        self.window.receive(len(data))
        if self.is_stopped:
            self.window.taken += len(data)
        else:
            self._came += data

    def _be_known(self, data: bytes, renewals: int) -> bytes:
        """Take the empty frame that a renewed link begins with; return what follows it."""
        frame, rest = data[: self._skip], data[self._skip :]
        if any(frame):
            raise RemoteProtocolError("a stream goes on in the middle of another frame")
        self._skip -= len(frame)
        if not self._skip:
            self._known_in = renewals
        return rest

    def asked(self, renewals: int) -> None:
        """The other side opens it."""
        self._known_in = renewals

    def renewed(self) -> None:
        """The link is renewed: what comes begins anew."""
        if not self.is_ours:
            self._skip = LENGTH

    def opened(self, number: int, opening: bytes, renewals: int) -> None:
        """Ours has an id now; its opening is to be written."""
        self.number, self._start, self._known_in = number, opening, renewals

    def unwanted(self) -> None:
        """The other side takes nothing more of what we write."""
        self.is_unwanted = True
        self._drop_pending()

    def _drop_pending(self) -> None:
        self.pending = 0
        self._chunks.clear()

    def over(self, end: StreamEnd) -> None:
        """Take that it has ended; nothing more is read."""
        if self.state is not StreamState.OVER:
            self.state, self.end = StreamState.OVER, end
            self._drop_pending()
            self._came.clear()
            self.changed(self)

    # -- what goes out

    def next_write(self, most: int, renewals: int) -> tuple[bytes | memoryview, bool] | None:
        """
        Return, and forget, what is written next, and whether FIN follows it.

        :param most: bytes, but for what comes before the first of the user's.
        :param renewals: of the link, now.
        """
        if self._known_in != renewals:
            if not self.is_ours:
                return None
            self._known_in = renewals
            return EMPTY, False
        if self._start:
            start, self._start = self._start, b""
            return start, False
        if self.state is not StreamState.OPEN or self.is_unwanted:
            return None
        piece = self._next_piece(min(most, self.credit - self.sent))
        ends = self.is_finishing and not self.pending and self._fin_in != renewals
        if ends:
            self._fin_in = renewals
        return (piece, ends) if piece or ends else None

    def _next_piece(self, most: int) -> memoryview:
        if most <= 0 or not self._chunks:
            return _NOTHING
        piece = self._chunks.popleft()
        if len(piece) > most:
            self._chunks.appendleft(piece[most:])
            piece = piece[:most]
        self.pending -= len(piece)
        self.sent += len(piece)
        return piece


_NOTHING = memoryview(b"")
