"""
Control of a link by both sides: HELLO, PING, PONG, DISCONNECT.

::

    link_began ──▶ HELLO goes out ──▶ their HELLO ──▶ open ──▶ their DISCONNECT, or link_ended

Owns the order of what is said on a link: HELLO first, DISCONNECT last.  Our lines follow our HELLO
at once; theirs are taken after their HELLO.  Refuses anything but DISCONNECT before that.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.composing import Composing
from p2pchat.session.conversation import Conversation
from p2pchat.session.liveness import Liveness
from p2pchat.session.mailbox_exchange import MailboxExchange
from p2pchat.session.registry_exchange import RegistryExchange
from p2pchat.session.verification import Verification
from p2pchat.wire import messages


@attrs.frozen
class Opened:
    """The other side said HELLO on a new link."""

    username: str


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
    """The other side said DISCONNECT, and all is here that it said before."""

    reason: str
    detail: str


ControlEvent = Opened | Answered | AnswerOverdue | PeerSilent | RemoteDisconnected


@attrs.define(eq=False)
class Control:
    """
    The machine of the control frames of one link after another.

    :ivar username: what we call ourselves.
    :ivar conversation: takes what isn't about the link.
    :ivar verification: of the link of now, for whoever has a person.
    :ivar mailbox: what both say of their mailboxes, for whoever has one.
    :ivar registries: where both say that they are found, for whoever is at a registry.
    :ivar composing: of both persons, for whoever has one.
    :ivar is_open: whether the other side said HELLO on the link of now.
    :ivar features: what it said there that it can do.
    :ivar is_leaving: whether we said DISCONNECT, or are about to.
    :ivar remote_goodbye: their DISCONNECT, before all is here that they said.
    :ivar remote_left: whether all is.
    """

    username: str
    conversation: Conversation
    verification: Verification | None = None
    mailbox: MailboxExchange | None = None
    registries: RegistryExchange | None = None
    composing: Composing | None = None
    is_open: bool = False
    features: tuple[str, ...] = ()
    is_leaving: bool = False
    remote_goodbye: messages.Disconnect | None = None
    remote_left: bool = False
    _greeting: messages.Hello | None = None
    _goodbye: messages.Disconnect | None = None

    @property
    def _liveness(self) -> Liveness:
        return self.conversation.liveness

    @property
    def events(self) -> deque[Any]:
        """What happened, on the link and in the conversation."""
        return self.conversation.events

    @property
    def rtt(self) -> float:
        """Smoothed round-trip time of the path of now in seconds, 0 while unknown."""
        return self._liveness.rtt

    def _announcements(self) -> list[MailboxExchange | RegistryExchange]:
        return [one for one in (self.mailbox, self.registries) if one is not None]

    def link_began(self) -> None:
        """Say HELLO on a new link, and then what there is to say."""
        self.link_ended()
        can: tuple[str, ...] = (messages.RENEWS, messages.SERVES)
        can += (messages.VERIFIES,) * (self.verification is not None)
        can += tuple(one.feature for one in self._announcements())
        self._greeting = messages.Hello(self.username, can)
        self.conversation.link_began()

    def link_ended(self) -> None:
        """Forget what was under way."""
        self.is_open, self.is_leaving, self.remote_left = False, False, False
        self._greeting, self._goodbye, self.remote_goodbye = None, None, None
        self.conversation.link_ended()
        self._liveness.link_ended()
        if self.composing is not None:
            self.composing.link_ended()

    def path_changed(self, now: float, rtt: float = 0.0) -> None:
        """Measure anew, from what its checks measured: the round-trip time was another path's."""
        self._liveness.path_changed(now, rtt)

    def beat(self, now: float) -> None:
        """Send a heartbeat; called at a fixed rhythm while the link is open."""
        if self.is_open and self._liveness.beat(now):
            self.events.append(PeerSilent())
        if self.is_open and self.verification is not None:
            self.verification.beat(now)

    def leave(self, reason: str = "left", detail: str = "") -> None:
        """Say DISCONNECT, after all that was said before; no line of theirs is taken any more."""
        self._goodbye, self.is_leaving = messages.Disconnect(reason, detail), True
        self.conversation.leave()

    # -- what the other side says

    def receive(self, message: messages.ControlMessage | None, now: float) -> None:
        """
        Take one control frame; ``None`` is a newer program's.

        :raises RemoteProtocolError: it breaks a rule; the link is to be closed.
        """
        match message:
            case None:
                pass
            case messages.Hello():
                self._hello(message, now)
            case messages.Disconnect():
                self.remote_goodbye = message
            case messages.Proof():
                raise RemoteProtocolError("PROOF comes once, first")
            case _ if not self.is_open:
                raise RemoteProtocolError(f"{message.TYPE} before HELLO")
            case messages.Ping():
                self._liveness.receive_ping(message)
            case messages.Pong():
                if self._liveness.receive_pong(message, now):
                    self.events.append(Answered())
            case _:
                self._receive_extra(message, now)

    def _receive_extra(self, message: messages.ControlMessage, now: float) -> None:
        """Take a frame that only a program of a feature of ours sends."""
        match message:
            case messages.Commitment() | messages.Reveal():
                if self.verification is not None:
                    self.verification.receive(message, now)
            case messages.Typing():
                if self.composing is not None:
                    self.composing.receive(now)
            case messages.Mailbox():
                if self.mailbox is not None:
                    self.mailbox.receive(message)
            case messages.Registries():
                if self.registries is not None:
                    self.registries.receive(message)

    def _hello(self, hello: messages.Hello, now: float) -> None:
        if self.is_open:
            raise RemoteProtocolError("HELLO comes once on a link")
        self.is_open, self.features = True, hello.features
        for one in self._announcements():
            one.link_opened()
        self._liveness.relax(now)  # what we said before it has its full time from now on
        self.events.append(Opened(hello.username))
        self.conversation.greeted()

    def take_goodbye(self) -> None:
        """All is here that they said before their DISCONNECT, or nothing more will come."""
        goodbye, self.remote_goodbye = self.remote_goodbye, None
        if goodbye is not None:
            self.remote_left = True
            self.events.append(RemoteDisconnected(goodbye.reason, goodbye.detail))

    # -- what goes out, and time

    def next_messages(self, now: float) -> list[messages.ControlMessage]:
        """Return, and forget, what goes out next, but DISCONNECT."""
        found: list[messages.ControlMessage] = []
        if self._greeting is not None:
            found.append(self._greeting)
            self._greeting = None
        if self.is_open:
            while (message := self._liveness.next_message(now)) is not None:
                found.append(message)
            words = self.verification
            while words is not None and (said := words.next_message()) is not None:
                found.append(said)
            for one in self._announcements():
                if (ours := one.next_message(self.features)) is not None:
                    found.append(ours)
            if self.composing is not None and (typing := self.composing.next_message()):
                found.append(typing)
        return found

    def next_goodbye(self, written: tuple[messages.Written, ...]) -> messages.Disconnect | None:
        """Return, once, DISCONNECT, when no line waits any more."""
        if self._goodbye is None or self.conversation.has_unsent:
            return None
        goodbye, self._goodbye = self._goodbye, None
        return attrs.evolve(goodbye, streams=written)

    def handle_timer(self, now: float) -> None:
        """Notice that an answer is overdue."""
        if self.is_open and self._liveness.handle_timer(now):
            self.events.append(AnswerOverdue())

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        return self._liveness.get_timer() if self.is_open else None
