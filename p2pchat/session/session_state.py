"""
State of a session with one peer, and what is shown of it.

Nothing here changes anything: the rules are in :mod:`p2pchat.session.peer_session`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import attrs

from p2pchat import events
from p2pchat.identity.exchange import PeerIds
from p2pchat.identity.keys import peer_id_octets
from p2pchat.session import conversation_events as talk
from p2pchat.session.approval import Approval, By
from p2pchat.session.byte_streams import ByteStreams
from p2pchat.session.call import Call, CallStage
from p2pchat.session.call_events import Agreed
from p2pchat.session.composing import Composing
from p2pchat.session.connection_log import ConnectionLog
from p2pchat.session.connection_report import ConnectionReport
from p2pchat.session.control import Control
from p2pchat.session.line_events import line_event
from p2pchat.session.link import Link
from p2pchat.session.live_link import LiveLink
from p2pchat.session.liveness import IdleTracker
from p2pchat.session.mail import MailedConversation
from p2pchat.session.mailbox_exchange import MailboxExchange
from p2pchat.session.path_loss import PathLoss
from p2pchat.session.registry_exchange import RegistryExchange
from p2pchat.session.stages import (
    CONVERSING,
    SHOWN,
    MailboxLearned,
    RegistriesLearned,
    SessionContext,
    SessionOutcome,
    Stage,
    WordsReady,
)
from p2pchat.session.verification import Verification
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.path_hint import PathHint
from p2pchat.wire.documents import Offer
from p2pchat.wire.messages import Mailbox, Registries


@attrs.define(eq=False)
class SessionState:
    """
    The state of everything with one peer.

    :ivar peer_id: the peer's, proved on every document and link.
    :ivar notify: called when there is something to take.
    :ivar approval: of the call or conversation of now.
    :ivar hint: how the peer was reached last.
    :ivar conversation: what both said.
    :ivar log: what happened.
    :ivar link: what goes over the path.
    :ivar is_quiet: whether the offer that waits made no sound.
    """

    peer_id: str
    _name: str
    _context: SessionContext
    notify: Callable[[], object] = lambda: None
    hint: PathHint | None = None
    approval: Approval = attrs.Factory(Approval)
    is_quiet: bool = False
    stage: Stage = Stage.ENDED
    conversation: MailedConversation = attrs.field(init=False)
    log: ConnectionLog = attrs.field(init=False)
    _call: Call = attrs.field(init=False)
    link: LiveLink = attrs.field(init=False)
    _ufrag: str = ""  # of the attempt that the path belongs to
    _until: float | None = None  # when the patience of WAITING, RESCUING or CLOSING ends
    _loss: PathLoss = attrs.field(init=False)
    _failure: tuple[str, str, str] | None = None  # in WAITING: reason, explanation, summary
    _left_link: str = ""  # name of the one on which our person left last
    _calls_again: bool = False  # in CLOSING: somebody calls before the goodbye has arrived
    _calls_by: By = By.PERSON  # who
    _has_said_all: bool = False  # in CLOSING: DISCONNECT alone is to arrive yet
    _crossing_until: float = 0.0  # an offer of theirs that comes before may have crossed ours
    _failed_links: int = 0  # of this call
    _improve_from: float = 0.0  # when a better path may be looked for again
    _events: deque[SessionOutcome] = attrs.Factory(deque)

    def __attrs_post_init__(self) -> None:
        context = self._context
        other = peer_id_octets(self.peer_id)
        self.conversation = MailedConversation(
            *(context.identity, other, context.random_bytes, context.is_lasting, context.wall_of)
        )
        self.conversation.marks.is_on = lambda: context.privacy.receipts
        self.link = LiveLink(
            Control(
                *(context.username, self.conversation),
                *(self._new_verification(), self._new_mailbox_exchange()),
                *(self._new_registry_exchange(), self._new_composing()),
            ),
            IdleTracker(context.agent.gathering.keepalive),
            ByteStreams(self.peer_id, context.streams, self._wake),
        )
        self.log = ConnectionLog(self.peer_id, self._name, self._events.append)
        self._loss = PathLoss(self.log.path_lost)
        self._call = self._new_call(0, False, None)

    def _new_call(self, attempts: int, patient: bool, hint: PathHint | None) -> Call:
        """Return a call that neither side has begun yet."""
        context = self._context
        return Call(
            context.agent,
            PeerIds(context.identity.peer_id, self.peer_id),
            context.username,
            self.link.open_name,
            attempts,
            patient,
            context.random_bytes,
            self.log.call_began,
            hint,
            self.approval.has_priority,
            context.signaling_rtt,
        )

    def _new_verification(self) -> Verification:
        context = self._context
        return Verification(context.identity.public_key, context.random_bytes, self._compared)

    def _new_composing(self) -> Composing:
        return Composing(lambda: self._context.privacy.typing, self._typing_heard)

    def _typing_heard(self) -> None:
        self._events.append(events.PeerTyping(self.peer_id, self.name))

    def _new_mailbox_exchange(self) -> MailboxExchange | None:
        describe = self._context.mailbox_for
        if describe is None:
            return None
        return MailboxExchange(partial(describe, self.peer_id), self._mailbox_learned)

    def _mailbox_learned(self, mailbox: Mailbox) -> None:
        self._events.append(MailboxLearned(self.peer_id, mailbox))

    def _new_registry_exchange(self) -> RegistryExchange | None:
        describe = self._context.registries_for
        if describe is None:
            return None
        return RegistryExchange(partial(describe, self.peer_id), self._registries_learned)

    def _registries_learned(self, message: Registries) -> None:
        self._events.append(RegistriesLearned(self.peer_id, message.document))

    def _compared(self, digest: bytes) -> None:
        self._events.append(WordsReady(self.peer_id, digest))

    def _tell_of_line(self, event: talk.LineEvent) -> None:
        """Tell what became of a line."""
        self._events.append(line_event(self.peer_id, self.name, event))

    def _new_link(self, agreed: Agreed) -> Link:
        """Return the link that both sides agreed to make."""
        context = self._context
        return Link(
            *(context.identity, self.peer_id, context.certificate),
            *(agreed.secret, agreed.dials, context.random_bytes),
            writes_early=not agreed.dials,  # who called knows whose first flight it has
            key_exchanges=context.key_exchanges,
            trip=agreed.trip,
        )

    def _wake(self) -> None:
        self.notify()  # as it is then

    def _take_username(self, name: str) -> None:
        """Take the name by which the peer calls itself; a change of one in use is told."""
        self.log.take_name(name, self.is_conversing or self.approval.by is not By.NOBODY)

    # -- what is known of it

    @property
    def name(self) -> str:
        """What the peer calls itself, "" while unknown."""
        return self.log.name

    @property
    def path(self) -> Path | None:
        """The path in use."""
        return self.link.path

    @property
    def rtt(self) -> float:
        """The round-trip time in seconds, as the link or else its checks measured it."""
        return self.link.control.rtt or (0.0 if self.path is None else self.path.rtt)

    @property
    def is_open(self) -> bool:
        """Whether lines go through now, as far as is known."""
        return self.link.control.is_open and self.is_conversing

    @property
    def is_offered(self) -> bool:
        """Whether an offer waits for our person."""
        return self.stage is Stage.OFFERED

    @property
    def is_alive(self) -> bool:
        """Whether anything is under way: a call, a link, a rescue, or a goodbye."""
        return self.stage is not Stage.ENDED

    @property
    def is_conversing(self) -> bool:
        """Whether a conversation began, and nobody ended it."""
        return self.stage in CONVERSING

    def is_over(self, now: float) -> bool:
        """Tell whether nothing is under way, nor may go on, nor waits to be said."""
        may_return = self.approval.holds(now)
        talk = self.conversation
        return not (self.is_alive or may_return or talk.undelivered or talk.has_unshown)

    def has_left(self, offer: Offer) -> bool:
        """Tell whether an offer is for the link of a conversation that our person has ended."""
        is_over = self.stage in {Stage.ENDED, Stage.CLOSING} and not self._calls_again
        return is_over and bool(self._left_link) and offer.description.link == self._left_link

    @property
    def shown_stage(self) -> str:
        """One of the words of :class:`p2pchat.peer.settings.ConversationInfo`."""
        if self._call.stage is CallStage.RINGING:
            return "ringing"
        return SHOWN.get(self.stage, "calling")

    def report(self, now: float) -> ConnectionReport:
        """Return what was tried since the last call, what came of it, and why."""
        agent = self._context.agent
        is_lost = self.stage is Stage.RESCUING and self._loss.due is None
        has_path = self.path is not None and bool(self.link) and not is_lost
        reports, relay_only = self._call.reports(), agent.uses_relays_only(self.peer_id)
        return self.log.report(reports, agent.relays, has_path, relay_only, now, is_lost=is_lost)

    def owns(self, ufrag: str) -> bool:
        """Tell whether an attempt is this session's."""
        return bool(ufrag) and ufrag in {self._ufrag, self._call.ufrag}
