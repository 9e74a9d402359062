"""
The chat of a peer who was let in for services alone: our person is asked when it says something.

::

    called for a service, or its grant let it in ─▶ its lines stay on the link, unread
    a line of theirs waits ─▶ OfferReceived ─ our person accepts, calls or writes ─▶ Connected
                                            ├ declines ─▶ nothing more, until the next call
                                            └ it ends ──▶ OfferEnded

Our own lines go out as ever: to say something is to want to talk.
"""

from __future__ import annotations

from enum import Enum

import attrs

from p2pchat import events
from p2pchat.session.approval import By
from p2pchat.session.session_state import SessionState


class Asked(Enum):
    """Question whether to talk with one who was let in for services alone."""

    NOT_YET = "not-yet"
    WAITS = "waits"
    DECLINED = "declined"


@attrs.define(eq=False)
class ChatConsent(SessionState):
    """The state of everything with one peer, and whether it may talk."""

    _asked: Asked = Asked.NOT_YET
    _holds: bool = False  # as the last approval was, though it has ended

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.conversation.held.is_held = self._is_held

    @property
    def is_for_services(self) -> bool:
        """Whether nobody wants to talk: the link is there for services alone."""
        return self.approval.by is By.SERVICE

    def _is_held(self) -> bool:
        if self.approval.by is not By.NOBODY:
            self._holds = self.is_for_services
        return self._holds

    @property
    def is_offered(self) -> bool:
        """Whether an offer waits for our person, or a line of one who is let in for services."""
        return super().is_offered or (self._asked is Asked.WAITS and self.is_for_services)

    @property
    def shown_stage(self) -> str:
        """One of the words of :class:`p2pchat.peer.settings.ConversationInfo`."""
        return "offered" if self.is_offered else super().shown_stage

    def _ask_for_chat(self) -> None:
        """Ask our person, once in a call, where a line of theirs waits; or ask no more."""
        if self._asked is Asked.NOT_YET:
            if self.conversation.held:
                self._asked = Asked.WAITS
                self.log.happened(events.OfferReceived, False, self.is_quiet)
        elif not self.is_for_services:
            if self._asked is Asked.WAITS:
                self.log.offer_ended("cancelled", self.is_quiet)
            self._asked = Asked.NOT_YET

    def _let_talk(self, now: float) -> None:
        """Take it that our person wants to talk with this peer."""
        if self.is_for_services:
            self.approval.give(By.PERSON)
            self._asked = Asked.NOT_YET
            if self.is_open:
                self.log.connected(False, self.link.key_exchange, now)

    def _decline_chat(self) -> None:
        """Ask no more in this call; services go on."""
        if self._asked is Asked.WAITS:
            self._asked = Asked.DECLINED
