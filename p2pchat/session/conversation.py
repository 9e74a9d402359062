"""
A conversation: one log an author, receipts, heartbeats.

Owns what makes delivery certain: our lines wait in the log until the other side's RECEIPT, are
sent again on a new link from where its HELLO says, and theirs are shown once, in order.  It
lives as long as the process remembers the peer, over any number of links.

Owns the judgement of silence too: a PING or a line that stays unanswered longer than
SUSPICION makes :class:`Suspected`, at which the owner checks the path; three heartbeats without
an answer make :class:`Silent`.

Refuses a message whose number leaves a gap, and anything before HELLO.
"""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat.errors import RemoteProtocolError, TextTooLong, TooManyLines
from p2pchat.wire import messages
from p2pchat.wire.messages import MAX_TEXT

SUSPICION = 0.4  # seconds without an answer before the path is checked, and ...
SUSPICION_RTTS = 4  # ... at least that many round-trip times
SUSPICION_BACKOFF = 2.0  # each check of the path waits that many times longer than the last
MAX_SUSPICION = 15.0  # seconds, longest wait between two checks of the path
SILENT_BEATS = 3
MAX_LOG = 10_000  # lines that may wait for delivery
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


@attrs.define
class _Line:
    message: messages.Message
    said_at: float
    sent_at: float | None = None  # on the link of now


@attrs.define(eq=False)
class Conversation:
    """
    The machine of both logs with one peer.

    :ivar username: what we call ourselves.
    :ivar epoch: names our log; random, made once for this object.
    :ivar rtt: smoothed round-trip time in seconds, 0 while unknown.
    """

    username: str
    epoch: str
    rtt: float = 0.0
    is_open: bool = False
    _log: deque[_Line] = attrs.Factory(deque)  # what waits for a receipt, oldest first
    _unsent: deque[_Line] = attrs.Factory(deque)  # the end of _log that this link hasn't seen
    _next: int = 1
    _known_epoch: str = ""
    _received: int = 0
    _receipt_due: bool = False
    _pings: dict[int, float] = attrs.Factory(dict)
    _next_ping: int = 1
    _suspect_at: float | None = None
    _suspicion: float = SUSPICION
    _measured_from: float = 0.0  # what was sent before tells nothing of the path
    _was_overdue: bool = False  # the answer that was measured last
    _outgoing: list[messages.ChatMessage] = attrs.Factory(list)
    _goodbye: messages.Disconnect | None = None  # follows the last line
    _events: deque[ConversationEvent] = attrs.Factory(deque)

    # -- the link comes and goes

    def link_opened(self) -> None:
        """Say HELLO on a new link."""
        self.link_ended()
        oldest = self._log[0].message.sequence if self._log else self._next
        hello = messages.Hello(self.username, self.epoch, oldest, self._known_epoch, self._received)
        self._outgoing = [hello]

    def link_ended(self) -> None:
        """Forget what was under way; the log stays."""
        self.is_open = False
        self._outgoing, self._receipt_due, self._goodbye = [], False, None
        self._unsent.clear()
        self._pings.clear()
        for line in self._log:
            line.sent_at = None
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
        return line.message.sequence

    def beat(self, now: float) -> None:
        """Send a heartbeat; called at a fixed rhythm while the link is open."""
        if not self.is_open:
            return
        if len(self._pings) >= SILENT_BEATS:
            self._pings.clear()
            self._events.append(Silent())
        self._pings[self._next_ping] = now
        self._outgoing.append(messages.Ping(self._next_ping))
        self._next_ping += 1
        self._expect(now)

    def leave(self, reason: str = "left", detail: str = "") -> None:
        """Say DISCONNECT, after everything that was said before."""
        self._goodbye = messages.Disconnect(reason, detail)

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
        message = messages.decode(body)
        if isinstance(message, messages.Hello):
            self._hello(message, now)
        elif isinstance(message, messages.Disconnect):
            self._events.append(Left(message.reason, message.detail))
        elif isinstance(message, messages.Proof):
            raise RemoteProtocolError("PROOF comes once, first")
        elif message is not None:
            if not self.is_open:
                raise RemoteProtocolError(f"{message.TYPE} before HELLO")
            self._take(message, now)

    def _take(self, message: messages.ChatMessage, now: float) -> None:
        if isinstance(message, messages.Message):
            self._message(message)
        elif isinstance(message, messages.Receipt):
            self._confirm(message.received, now)
        elif isinstance(message, messages.Ping):
            self._outgoing.append(messages.Pong(message.number))
        elif isinstance(message, messages.Pong):
            self._pong(message, now)

    def _hello(self, hello: messages.Hello, now: float) -> None:
        if self.is_open:
            raise RemoteProtocolError("HELLO comes once on a link")
        is_new = hello.epoch != self._known_epoch
        if is_new:
            self._known_epoch, self._received = hello.epoch, hello.oldest - 1
        self.is_open = True
        self._events.append(Opened(hello.username, is_new))
        if hello.known_epoch == self.epoch:
            self._confirm(hello.received, now)
        self._unsent = deque(self._log)

    def _message(self, message: messages.Message) -> None:
        if message.sequence > self._received + 1:
            raise RemoteProtocolError(f"message {message.sequence} after {self._received}")
        self._receipt_due = True
        if message.sequence == self._received + 1:
            self._received += 1
            self._events.append(Received(self._known_epoch, message))

    def _confirm(self, received: int, now: float) -> None:
        if received >= self._next:
            raise RemoteProtocolError(f"receipt for message {received}, which was never written")
        self._notice_pause(now)
        while self._log and self._log[0].message.sequence <= received:
            line = self._log.popleft()
            self._events.append(Delivered(line.message.sequence, now - line.said_at))
            if line.sent_at is not None:
                self._measure(line.sent_at, now)
        self._relax(now)

    def _pong(self, pong: messages.Pong, now: float) -> None:
        self._notice_pause(now)
        sent_at = self._pings.pop(pong.number, None)
        if sent_at is not None:
            self._measure(sent_at, now)
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

    def _measure(self, sent_at: float, now: float) -> None:
        if sent_at >= self._measured_from:
            rtt = now - sent_at
            self.rtt += (rtt - self.rtt) * RTT_WEIGHT if self.rtt else rtt
            self._was_overdue = self._is_overdue(now)

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
        if self._pings or any(line.sent_at is not None for line in self._log):
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

    def messages_to_send(self, now: float, room: int) -> list[messages.ChatMessage]:
        """
        Return, and forget, what goes out on the link.

        :param room: how many lines of the log the link can take now.
        """
        outgoing, self._outgoing = self._outgoing, []
        if self._receipt_due:
            self._receipt_due = False
            outgoing.append(messages.Receipt(self._received))
        for _ in range(min(room, len(self._unsent))):
            line = self._unsent.popleft()
            line.sent_at = now
            outgoing.append(line.message)
            self._expect(now)
        if self._goodbye is not None and not self._unsent:
            outgoing.append(self._goodbye)
            self._goodbye = None
        return outgoing

    def next_event(self) -> ConversationEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None
