"""
A conversation: one log an author, receipts, heartbeats.

Owns what makes delivery certain: our lines wait in the log until the other side's RECEIPT, are
sent again on a new link from where its HELLO says, and theirs are shown once, in order.  It
lives as long as the process remembers the peer, over any number of links.

A line of theirs is confirmed when it was read: handed on to somebody who takes it.  Until then it
waits with its reader, who may be slow; so only WINDOW_LINES of ours are under way at a time, and a
peer who sends more than MAX_UNREAD_LINES ahead of our reader has broken off.

Owns the judgement of silence too: a PING, or a line sent after the last PING that was answered,
that stays unanswered longer than SUSPICION makes :class:`Suspected`, at which the owner checks the
path; three heartbeats without an answer make :class:`Silent`.

Whatever the other side sends and doesn't take: what waits to go out is one RECEIPT, one PING,
MAX_PONGS of PONG, and our own lines.

Refuses a message whose number leaves a gap, and anything before HELLO.
"""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat.errors import (
    NotRead,
    RemoteProtocolError,
    TextTooLong,
    TooManyLines,
    UnsupportedVersion,
)
from p2pchat.wire import messages
from p2pchat.wire.messages import MAX_TEXT

SUSPICION = 0.4  # seconds without an answer before the path is checked, and ...
SUSPICION_RTTS = 4  # ... at least that many round-trip times
SUSPICION_BACKOFF = 2.0  # each check of the path waits that many times longer than the last
MAX_SUSPICION = 15.0  # seconds, longest wait between two checks of the path
SILENT_BEATS = 3
MAX_LOG = 10_000  # lines that may wait for delivery
WINDOW_LINES = 256  # of ours under way; at a round trip of 0.2 seconds 1,280 a second
WINDOW_TEXT = 1024 * 1024  # characters of ours under way; one line more may exceed it
MAX_UNREAD_LINES = 1024  # of theirs that wait for our reader; four windows: logs begun anew
MAX_UNREAD_TEXT = 4 * 1024 * 1024  # characters of them; a megabyte to 16, as Python keeps them
MAX_PONGS = 8  # newest PINGs of theirs that will be answered; SILENT_BEATS of them suffice
RTT_WEIGHT = 0.125  # of a new measurement, RFC 6298 section 2


@attrs.frozen
class Opened:
    """The other side said HELLO on a new link."""

    username: str
    is_new: bool  # a log that we didn't know: a first conversation, or the peer was restarted


@attrs.frozen
class Received:
    """A line of theirs."""

    epoch: str
    message: messages.Message


@attrs.frozen
class Delivered:
    """A line of ours arrived."""

    sequence: int
    seconds: float  # since it was said


@attrs.frozen
class Answered:
    """A heartbeat of ours came back."""


@attrs.frozen
class Suspected:
    """Something should have been answered by now."""


@attrs.frozen
class Silent:
    """Three heartbeats went unanswered."""


@attrs.frozen
class Left:
    """The other side said DISCONNECT."""

    reason: str
    detail: str


ConversationEvent = Opened | Received | Delivered | Answered | Suspected | Silent | Left


def fault(error: RemoteProtocolError) -> str:
    """Return the word that DISCONNECT has for a broken rule."""
    if isinstance(error, UnsupportedVersion):
        return "unsupported-version"
    return "not-read" if isinstance(error, NotRead) else "protocol-error"


@attrs.define
class _Line:
    message: messages.Message
    said_at: float
    sent_at: float | None = None  # on the link of now

    @property
    def sequence(self) -> int:
        return self.message.sequence


@attrs.frozen
class _Unread:
    epoch: str
    sequence: int
    size: int  # characters


@attrs.define(eq=False)
class Conversation:
    """
    The machine of both logs with one peer.

    :ivar username: what we call ourselves.
    :ivar epoch: names our log; random, made once for this object.
    :ivar rtt: smoothed round-trip time in seconds, 0 while unknown.
    :ivar is_broken: whether they broke the rules on the link of now.
    :ivar has_left: whether they said DISCONNECT on the link of now.
    :ivar is_leaving: whether we did, or are about to.
    """

    username: str
    epoch: str
    rtt: float = 0.0
    is_open: bool = False
    is_broken: bool = False
    has_left: bool = False
    is_leaving: bool = False
    _log: deque[_Line] = attrs.Factory(deque)  # what waits for a receipt, oldest first
    _unsent: deque[_Line] = attrs.Factory(deque)  # the end of _log that this link hasn't seen
    _lines_under_way: int = 0  # sent on this link and not confirmed
    _text_under_way: int = 0  # characters of them
    _last_sent_at: float = 0.0  # of a line, on this link
    _next: int = 1
    _known_epoch: str = ""
    _received: int = 0
    _read: int = 0  # the last one of _received that somebody took
    _unread: deque[_Unread] = attrs.Factory(deque)
    _unread_text: int = 0
    _receipt_due: bool = False
    _pongs: deque[int] = attrs.Factory(lambda: deque(maxlen=MAX_PONGS))
    _pings: dict[int, float] = attrs.Factory(dict)
    _next_ping: int = 1
    _ping_due: bool = False
    _answered_at: float = 0.0  # when the newest PING that was answered was sent
    _suspect_at: float | None = None
    _suspicion: float = SUSPICION
    _measured_from: float = 0.0  # what was sent before tells nothing of the path
    _was_overdue: bool = False  # the answer that was measured last
    _greeting: messages.Hello | None = None  # goes out first
    _goodbye: messages.Disconnect | None = None  # follows the last line
    _events: deque[ConversationEvent] = attrs.Factory(deque)

    # -- the link comes and goes

    def link_opened(self) -> None:
        """Say HELLO on a new link."""
        self.link_ended()
        oldest = self._oldest
        self._greeting = messages.Hello(
            self.username, self.epoch, oldest, self._known_epoch, self._read
        )

    def link_ended(self) -> None:
        """Forget what was under way; the log stays, and what our reader hasn't taken yet."""
        self.is_open, self.is_broken = False, False
        self.has_left, self.is_leaving = False, False
        self._greeting, self._goodbye = None, None
        self._receipt_due, self._ping_due = False, False
        for waiting in (self._pongs, self._pings, self._unsent):
            waiting.clear()
        for line in self._log:
            line.sent_at = None
        self._lines_under_way, self._text_under_way = 0, 0
        self._suspect_at, self._suspicion = None, SUSPICION

    # -- what the person and the clock say

    def say(self, text: str, wall: float, now: float) -> int:
        """
        Put a line into our log and return its number.

        :param wall: seconds since 1970.
        :raises TextTooLong, TooManyLines: too many lines wait for delivery.
        """
        if len(text) > MAX_TEXT:
            raise TextTooLong(f"a message has at most {MAX_TEXT} characters, not {len(text)}")
        if len(self._log) >= MAX_LOG:
            raise TooManyLines(f"{MAX_LOG} lines wait for delivery already; wait, or /disconnect")
        line = _Line(messages.Message(self._next, text, wall), now)
        self._next += 1
        self._log.append(line)
        if self.is_open:
            self._unsent.append(line)
        return line.sequence

    def beat(self, now: float) -> None:
        """Send a heartbeat; called at a fixed rhythm while the link is open."""
        if not self.is_open:
            return
        if len(self._pings) >= SILENT_BEATS:
            self._pings.clear()
            self._events.append(Silent())
        self._pings[self._next_ping] = now
        self._next_ping += 1
        self._ping_due = True
        self._expect(now)

    def leave(self, reason: str = "left", detail: str = "") -> None:
        """Say DISCONNECT, after all that was said before; no line of theirs is taken any more."""
        self._goodbye, self.is_leaving = messages.Disconnect(reason, detail), True

    def read(self, epoch: str, sequence: int) -> None:
        """Somebody has taken a line of theirs, and so all before it: confirm it."""
        while self._unread and self._unread[0].epoch != epoch:
            self._unread_text -= self._unread.popleft().size  # a log that isn't written any more
        while self._unread and self._unread[0].sequence <= sequence:
            self._unread_text -= self._unread.popleft().size
        if epoch == self._known_epoch and self._read < sequence <= self._received:
            self._read, self._receipt_due = sequence, True

    @property
    def has_unread(self) -> bool:
        """Whether lines of theirs wait for our reader."""
        return bool(self._unread)

    @property
    def undelivered(self) -> int:
        """How many lines of ours aren't confirmed."""
        return len(self._log)

    # -- what the other side says

    def receive_frame(self, body: bytes, now: float) -> None:
        """
        Take one frame.

        :raises RemoteProtocolError: it breaks the rules; the link is to be closed.
        """
        try:
            self._receive(messages.decode(body), now)
        except RemoteProtocolError:
            self.is_broken = True
            raise

    def _receive(self, message: messages.ChatMessage | None, now: float) -> None:
        if isinstance(message, messages.Hello):
            self._hello(message, now)
        elif isinstance(message, messages.Disconnect):
            self.has_left = True
            self._events.append(Left(message.reason, message.detail))
        elif isinstance(message, messages.Proof):
            raise RemoteProtocolError("PROOF comes once, first")
        elif message is not None:
            if not self.is_open:
                raise RemoteProtocolError(f"{message.TYPE} before HELLO")
            self._take(message, now)

    def _take(self, message: messages.ChatMessage, now: float) -> None:
        if isinstance(message, messages.Message):
            if not self.is_leaving:
                self._message(message)
        elif isinstance(message, messages.Receipt):
            self._confirm(message.received, now)
        elif isinstance(message, messages.Ping):
            self._pongs.append(message.number)
        elif isinstance(message, messages.Pong):
            self._pong(message, now)

    def _hello(self, hello: messages.Hello, now: float) -> None:
        if self.is_open:
            raise RemoteProtocolError("HELLO comes once on a link")
        is_new = hello.epoch != self._known_epoch
        if is_new:
            self._known_epoch, self._received = hello.epoch, hello.oldest - 1
            self._read, self._receipt_due = self._received, False
        self.is_open = True
        self._events.append(Opened(hello.username, is_new))
        if hello.known_epoch == self.epoch:
            self._confirm(hello.received, now)
        self._unsent = deque(self._log)

    def _message(self, message: messages.Message) -> None:
        if message.sequence > self._received + 1:
            raise RemoteProtocolError(f"message {message.sequence} after {self._received}")
        if message.sequence <= self._received:
            self._receipt_due = True
            return
        if len(self._unread) >= MAX_UNREAD_LINES or self._unread_text >= MAX_UNREAD_TEXT:
            raise NotRead(f"nobody reads here: {len(self._unread)} lines wait, no more are taken")
        self._received += 1
        self._unread.append(_Unread(self._known_epoch, self._received, len(message.text)))
        self._unread_text += len(message.text)
        self._events.append(Received(self._known_epoch, message))

    @property
    def _oldest(self) -> int:
        """The number of our oldest line that isn't confirmed."""
        return self._log[0].sequence if self._log else self._next

    def _confirm(self, received: int, now: float) -> None:
        if received >= self._next:
            raise RemoteProtocolError(f"receipt for message {received}, which was never written")
        self._notice_pause(now)
        while self._oldest <= received:
            line = self._log.popleft()
            self._events.append(Delivered(line.sequence, now - line.said_at))
            if line.sent_at is not None:
                self._lines_under_way -= 1
                self._text_under_way -= len(line.message.text)
                self._judge(line.sent_at, now)
        self._relax(now)

    def _pong(self, pong: messages.Pong, now: float) -> None:
        self._notice_pause(now)
        sent_at = self._pings.pop(pong.number, None)
        if sent_at is not None:
            self._measure(sent_at, now)
            self._answered_at = max(self._answered_at, sent_at)
            self._events.append(Answered())
            self._pings = {number: at for number, at in self._pings.items() if number > pong.number}
        self._relax(now)

    def _notice_pause(self, now: float) -> None:
        """
        Measure nothing that was under way when an overdue answer comes: one of us slept.

        Only if the next answer is overdue, too, the path has become slower.
        """
        if self._is_overdue(now) and not self._was_overdue:
            self._measured_from, self._was_overdue = now, True

    def _judge(self, sent_at: float, now: float) -> bool:
        """Tell whether an answer measures the path."""
        measures = sent_at >= self._measured_from
        if measures:
            self._was_overdue = self._is_overdue(now)
        return measures

    def _measure(self, sent_at: float, now: float) -> None:
        if self._judge(sent_at, now):
            rtt = now - sent_at
            self.rtt += (rtt - self.rtt) * RTT_WEIGHT if self.rtt else rtt

    def path_changed(self, now: float) -> None:
        """Measure anew: the round-trip time was another path's."""
        self.rtt, self._measured_from = 0.0, now

    # -- silence

    def _expect(self, now: float) -> None:
        """An answer is due from now on."""
        if self._suspect_at is None:
            self._suspect_at = now + max(self._suspicion, SUSPICION_RTTS * self.rtt)

    def _relax(self, now: float) -> None:
        """Something was answered: what is still open gets its full time again."""
        self._suspect_at, self._suspicion = None, SUSPICION
        if self._pings or (self._lines_under_way and self._last_sent_at > self._answered_at):
            self._expect(now)

    def _is_overdue(self, now: float) -> bool:
        """Tell whether what is answered now was waited for too long."""
        late = self._suspect_at is not None and now >= self._suspect_at
        return late or self._suspicion > SUSPICION

    def handle_timer(self, now: float) -> None:
        """Suspect the path when an answer is overdue."""
        if self._suspect_at is not None and now >= self._suspect_at:
            self._suspect_at = None
            self._suspicion = min(self._suspicion * SUSPICION_BACKOFF, MAX_SUSPICION)
            self._expect(now)
            self._events.append(Suspected())

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        return self._suspect_at if self.is_open else None

    # -- what goes out

    def next_message(self, now: float) -> messages.ChatMessage | None:
        """Return, and forget, what goes out next; to be called while the link has room."""
        found: messages.ChatMessage | None = None
        if self._greeting is not None:
            found, self._greeting = self._greeting, None
        elif self._receipt_due and self.is_open:  # their HELLO says whose log it is about
            found, self._receipt_due = messages.Receipt(self._read), False
        elif self._pongs:
            found = messages.Pong(self._pongs.popleft())
        elif self._ping_due:
            found = self._newest_ping(now)
        else:
            found = self._next_line(now)
            if found is None and not self._unsent:
                found, self._goodbye = self._goodbye, None
        return found

    def _newest_ping(self, now: float) -> messages.Ping:
        number, self._ping_due = self._next_ping - 1, False
        self._pings[number] = now
        return messages.Ping(number)

    def _next_line(self, now: float) -> messages.Message | None:
        while self._unsent and self._unsent[0].sequence < self._oldest:
            self._unsent.popleft()  # confirmed since the link began
        is_full = self._lines_under_way >= WINDOW_LINES or self._text_under_way >= WINDOW_TEXT
        if not self._unsent or is_full:
            return None
        line = self._unsent.popleft()
        line.sent_at = self._last_sent_at = now
        self._lines_under_way += 1
        self._text_under_way += len(line.message.text)
        self._expect(now)
        return line.message

    def skip_lines(self) -> None:
        """Let DISCONNECT go out before the lines that still wait."""
        self._unsent.clear()

    def next_event(self) -> ConversationEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None
