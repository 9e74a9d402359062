"""
What a dialogue holds, and what a list on a screen shows of it.

Nothing here changes anything: the rules are in :mod:`p2pchat.session.dialogue`.
"""

from __future__ import annotations

import attrs

from p2pchat.session.approval import Approval
from p2pchat.session.call import Call, Stage
from p2pchat.session.chronicle import Chronicle
from p2pchat.session.conversation import Conversation
from p2pchat.session.held_link import HeldLink
from p2pchat.session.idleness import Idleness
from p2pchat.session.story import Record, Story
from p2pchat.session.surroundings import Surroundings
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.path_hint import PathHint
from p2pchat.wire.documents import Delivered


@attrs.define(eq=False)
class DialogueState:
    """
    The state of everything with one peer.

    :ivar peer_id: the peer's, proved on every document and link.
    :ivar told: the events.
    :ivar approval: of the call or conversation of now.
    :ivar memory: how the peer was reached last.
    """

    peer_id: str
    _name: str
    _around: Surroundings
    approval: Approval = attrs.Factory(Approval)
    memory: PathHint | None = None
    conversation: Conversation = attrs.field(init=False)
    told: Chronicle = attrs.field(init=False)
    _negotiation: Call | None = None
    _held: HeldLink = attrs.Factory(HeldLink)
    _ufrag: str = ""  # of the attempt that the path belongs to
    _rescue_until: float | None = None
    _leaving: float | None = None
    _redials: bool = False  # the person calls again before the goodbye has arrived
    _failing: tuple[float, str, str, str] | None = None  # when to tell which failure
    _failed_links: int = 0  # of this call
    _record: Record = attrs.Factory(Record)
    _idleness: Idleness = attrs.field(init=False)
    _documents: list[Delivered] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        epoch = self._around.random_bytes(16).hex()
        self.conversation = Conversation(self._around.username, epoch)
        self.told = Chronicle(self.peer_id, self._name)
        self._idleness = Idleness(self._around.agent.gathering.keepalive)

    @property
    def name(self) -> str:
        """What the peer calls itself, "" while unknown."""
        return self.told.name

    @property
    def path(self) -> Path | None:
        """The path in use."""
        return self._held.path

    # -- what a list on a screen shows

    @property
    def is_open(self) -> bool:
        """Whether lines go through now, as far as is known."""
        return self.conversation.is_open and self._leaving is None

    @property
    def is_asking(self) -> bool:
        """Whether an offer waits for our person."""
        return self._negotiation is not None and self._negotiation.stage is Stage.ASKING

    @property
    def is_alive(self) -> bool:
        """Whether anything is under way: a call, a link, a rescue, or a goodbye."""
        calling = self._negotiation is not None and not self._negotiation.is_over
        waits = self._rescue_until is not None or self._failing is not None
        return calling or bool(self._held) or waits

    def is_over(self, now: float) -> bool:
        """Tell whether nothing is under way, nor may go on, nor waits to be said."""
        may_return = self.told.is_open or self.approval.holds(now)
        return not (self.is_alive or may_return or self.conversation.undelivered)

    @property
    def stage(self) -> str:
        """One of the words of :class:`p2pchat.peer.settings.ConversationInfo`."""
        if self.is_asking:
            return "offered"
        if self._rescue_until is not None:
            return "reconnecting"
        if self.is_open:
            return "open"
        if self._negotiation is not None and self._negotiation.stage is Stage.RINGING:
            return "ringing"
        return "calling" if self.is_alive else "ended"

    def story(self) -> Story:
        """Return what was tried since the last call, what came of it, and why."""
        agent = self._around.agent
        running = () if self._negotiation is None else self._negotiation.told()
        has_path = self.path is not None and bool(self._held)
        return self._record.tell(running, agent.relays, has_path, agent.relay_only)
