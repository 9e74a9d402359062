"""
Control of a link by both sides: HELLO, PING, PONG, DISCONNECT.

::

    link_opened ──▶ HELLO goes out ──▶ their HELLO ──▶ open ──▶ their DISCONNECT, or link_ended

Owns the order of the frames on a link: HELLO first, DISCONNECT last, and heartbeats before lines.
What isn't its own it hands to the conversation.  Refuses anything before HELLO but DISCONNECT.
"""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.conversation import Conversation
from p2pchat.session.liveness import Liveness
from p2pchat.wire import messages


@attrs.frozen
class Opened:
    """The other side said HELLO on a new link."""

    username: str
    is_new: bool  # a log that we didn't know: a first conversation, or the peer was restarted


@attrs.frozen
class Answered:
    """A heartbeat of ours came back."""


@attrs.frozen
class AnswerOverdue:
    """Something should have been answered by now."""


@attrs.frozen
class PeerSilent:
    """Three heartbeats went unanswered."""


@attrs.frozen
class RemoteDisconnected:
    """The other side said DISCONNECT."""

    reason: str
    detail: str


ControlEvent = Opened | Answered | AnswerOverdue | PeerSilent | RemoteDisconnected


@attrs.define(eq=False)
class Control:
    """
    The machine of the frames of one link after another.

    :ivar username: what we call ourselves.
    :ivar conversation: takes the frames that aren't about the link.
    :ivar is_open: whether both sides said HELLO on the link of now.
    :ivar is_leaving: whether we said DISCONNECT, or are about to.
    :ivar remote_left: whether the other side did.
    """

    username: str
    conversation: Conversation
    is_open: bool = False
    is_leaving: bool = False
    remote_left: bool = False
    _liveness: Liveness = attrs.Factory(Liveness)
    _greeting: messages.Hello | None = None
    _goodbye: messages.Disconnect | None = None
    _events: deque[ControlEvent] = attrs.Factory(deque)

    @property
    def rtt(self) -> float:
        """Smoothed round-trip time of the path of now in seconds, 0 while unknown."""
        return self._liveness.rtt

    def link_opened(self) -> None:
        """Say HELLO on a new link."""
        self.link_ended()
        self._greeting = self.conversation.hello(self.username)

    def link_ended(self) -> None:
        """Forget what was under way."""
        self.is_open, self.is_leaving, self.remote_left = False, False, False
        self._greeting, self._goodbye = None, None
        self.conversation.link_ended()
        self._liveness.link_ended()

    def path_changed(self, now: float) -> None:
        """Measure anew: the round-trip time was another path's."""
        self._liveness.path_changed(now)

    def beat(self, now: float) -> None:
        """Send a heartbeat; called at a fixed rhythm while the link is open."""
        if self.is_open and self._liveness.beat(now):
            self._events.append(PeerSilent())

    def leave(self, reason: str = "left", detail: str = "") -> None:
        """Say DISCONNECT, after all that was said before; no line of theirs is taken any more."""
        self._goodbye, self.is_leaving = messages.Disconnect(reason, detail), True

    # -- what the other side says

    def receive_frame(self, body: bytes, now: float) -> None:
        """
        Take one frame.

        :raises RemoteProtocolError: it breaks a rule; the link is to be closed.
        """
        message = messages.decode(body)
        match message:
            case None:
                pass  # a newer program's
            case messages.Hello():
                self._hello(message, now)
            case messages.Disconnect(reason, detail):
                self.remote_left = True
                self._events.append(RemoteDisconnected(reason, detail))
            case messages.Proof():
                raise RemoteProtocolError("PROOF comes once, first")
            case _ if not self.is_open:
                raise RemoteProtocolError(f"{message.TYPE} before HELLO")
            case messages.Ping():
                self._liveness.receive_ping(message)
            case messages.Pong():
                if self._liveness.receive_pong(message, now):
                    self._events.append(Answered())
            case messages.Receipt(received):
                self._confirm(received, now)
            case messages.TextMessage():
                if not self.is_leaving:
                    self.conversation.receive(message)

    def _hello(self, hello: messages.Hello, now: float) -> None:
        if self.is_open:
            raise RemoteProtocolError("HELLO comes once on a link")
        if hello.known_epoch == self.conversation.epoch:
            self._confirm(hello.received, now)
        self.is_open = True
        self._events.append(Opened(hello.username, self.conversation.greeted(hello)))
        self.conversation.link_opened()

    def _confirm(self, received: int, now: float) -> None:
        sent_at = self.conversation.confirm(received, now)
        self._liveness.lines_confirmed(sent_at, self.conversation.is_quiet, now)

    # -- what goes out, and time

    def next_message(self, now: float) -> messages.ChatMessage | None:
        """Return, and forget, what goes out next; to be called while the link has room."""
        if self._greeting is not None:
            greeting, self._greeting = self._greeting, None
            return greeting
        found: messages.ChatMessage | None = None
        if self.is_open:  # their HELLO says whose log a receipt is about
            found = self.conversation.next_receipt() or self._liveness.next_message(now)
        if found is None:
            found = self.conversation.next_line(now)
            if found is not None:
                self._liveness.line_sent(now)
        if found is None and not self.conversation.has_unsent:
            found, self._goodbye = self._goodbye, None
        return found

    def next_frame(self, wall: float, now: float) -> bytes | None:
        """
        Return what goes out next as a frame.

        :param wall: seconds since 1970.
        """
        message = self.next_message(now)
        return None if message is None else messages.encode(message, wall)

    def handle_timer(self, now: float) -> None:
        """Notice that an answer is overdue."""
        if self.is_open and self._liveness.handle_timer(now):
            self._events.append(AnswerOverdue())

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        return self._liveness.get_timer() if self.is_open else None

    def next_event(self) -> ControlEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None
