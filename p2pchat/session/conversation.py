"""
A conversation: one log an author, and receipts.

Owns what makes delivery certain: our lines wait in the log until the other side's RECEIPT, are
sent again on a new link from where its HELLO says, and theirs are shown once, in order.  It
lives as long as the process remembers the peer, over any number of links.

A line of theirs is confirmed when it was read: handed on to somebody who takes it.  Until then it
waits with its reader, who may be slow; so only WINDOW_LINES of ours are under way at a time, and a
peer who sends more than MAX_UNREAD_LINES ahead of our reader has broken a rule.

Refuses a message whose number leaves a gap.  Knows nothing of links but when one begins and ends:
those are :mod:`p2pchat.session.control`'s.
"""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat.errors import NotRead, RemoteProtocolError, TextTooLong, TooManyLines
from p2pchat.wire.messages import MAX_TEXT, Hello, Receipt, TextMessage

MAX_LOG = 10_000  # lines that may wait for delivery
WINDOW_LINES = 256  # of ours under way; at a round trip of 0.2 seconds 1,280 a second
WINDOW_TEXT = 1024 * 1024  # characters of ours under way; one line more may exceed it
MAX_UNREAD_LINES = 1024  # of theirs that wait for our reader; four windows: logs begun anew
MAX_UNREAD_TEXT = 4 * 1024 * 1024  # characters of them; a megabyte to 16, as Python keeps them


def message_id(epoch: str, sequence: int) -> str:
    """Return the id of a message, the same on both sides: its author's log and its number."""
    return f"{epoch}-{sequence}"


@attrs.frozen
class Received:
    """A line of theirs."""

    epoch: str
    message: TextMessage


@attrs.frozen
class Delivered:
    """A line of ours arrived."""

    sequence: int
    seconds: float  # since it was said


ConversationEvent = Received | Delivered


@attrs.define
class _Line:
    message: TextMessage
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

    :ivar epoch: names our log; random, made once for this object.
    """

    epoch: str
    _log: deque[_Line] = attrs.Factory(deque)  # what waits for a receipt, oldest first
    _unsent: deque[_Line] = attrs.Factory(deque)  # the end of _log that this link hasn't seen
    _is_linked: bool = False
    _lines_under_way: int = 0  # sent on this link and not confirmed
    _text_under_way: int = 0  # characters of them
    _next: int = 1
    _known_epoch: str = ""
    _received: int = 0
    _read: int = 0  # the last one of _received that somebody took
    _unread: deque[_Unread] = attrs.Factory(deque)
    _unread_text: int = 0
    _receipt_due: bool = False
    _events: deque[ConversationEvent] = attrs.Factory(deque)

    # -- the link comes and goes

    def hello(self, username: str) -> Hello:
        """Return what we have of both logs, for a new link."""
        return Hello(username, self.epoch, self._oldest, self._known_epoch, self._read)

    def greeted(self, hello: Hello) -> bool:
        """Take what they have; tells whether we didn't know their log."""
        is_new = hello.epoch != self._known_epoch
        if is_new:
            self._known_epoch, self._received = hello.epoch, hello.oldest - 1
            self._read, self._receipt_due = self._received, False
        return is_new

    def link_opened(self) -> None:
        """Send again, on a new link, what isn't confirmed."""
        self._is_linked, self._unsent = True, deque(self._log)

    def link_ended(self) -> None:
        """Forget what was under way; the log stays, and what our reader hasn't taken yet."""
        self._is_linked, self._receipt_due = False, False
        self._unsent.clear()
        for line in self._log:
            line.sent_at = None
        self._lines_under_way, self._text_under_way = 0, 0

    # -- what the person says and reads

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
        line = _Line(TextMessage(self._next, text, wall), now)
        self._next += 1
        self._log.append(line)
        if self._is_linked:
            self._unsent.append(line)
        return line.sequence

    def read(self, message_id: str) -> None:
        """Somebody has taken a line of theirs, and so all before it: confirm it."""
        epoch, _, number = message_id.rpartition("-")
        sequence = int(number)
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

    def receive(self, message: TextMessage) -> None:
        """
        Take a line.

        :raises RemoteProtocolError: it leaves a gap, or nobody reads here.
        """
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

    def confirm(self, received: int, now: float) -> list[float]:
        """
        Take a receipt; returns when each confirmed line went out on this link.

        :raises RemoteProtocolError: it is for a line that was never written.
        """
        if received >= self._next:
            raise RemoteProtocolError(f"receipt for message {received}, which was never written")
        sent_at = []
        while self._oldest <= received:
            line = self._log.popleft()
            self._events.append(Delivered(line.sequence, now - line.said_at))
            if line.sent_at is not None:
                self._lines_under_way -= 1
                self._text_under_way -= len(line.message.text)
                sent_at.append(line.sent_at)
        return sent_at

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of ours is under way."""
        return not self._lines_under_way

    # -- what goes out

    def next_receipt(self) -> Receipt | None:
        """Return, once, the receipt that is due."""
        due, self._receipt_due = self._receipt_due, False
        return Receipt(self._read) if due else None

    def next_line(self, now: float) -> TextMessage | None:
        """Return the line that goes out next, if one may."""
        while self._unsent and self._unsent[0].sequence < self._oldest:
            self._unsent.popleft()  # confirmed since the link began
        is_full = self._lines_under_way >= WINDOW_LINES or self._text_under_way >= WINDOW_TEXT
        if not self._unsent or is_full:
            return None
        line = self._unsent.popleft()
        line.sent_at = now
        self._lines_under_way += 1
        self._text_under_way += len(line.message.text)
        return line.message

    @property
    def has_unsent(self) -> bool:
        """Whether lines wait to go out on this link."""
        return bool(self._unsent)

    def skip_lines(self) -> None:
        """Let DISCONNECT go out before the lines that still wait."""
        self._unsent.clear()

    def next_event(self) -> ConversationEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None
