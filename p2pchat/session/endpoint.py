"""
The endpoint of a peer: its traversal, its sessions, and every decision between them.

::

    datagrams ──▶ Agent ── LinkDatagrams, PathMoved, RoundEnded ──▶ the session of the attempt
    documents, verified ─────────────────────────────────────────▶ the session of their author
    sessions ──▶ events for user interfaces, documents to send, datagrams

Owns where datagrams and documents belong, and what is kept of sessions that are over.  Who may
call, and who rings, is decided in :mod:`p2pchat.session.callers`.  Its owner calls sessions
directly; whatever they have to say comes out here.  Only a child that was touched is looked at
again, so a datagram costs the same however many sessions there are.

Refuses everything of peers who are blocked.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol, get_args

import attrs

from p2pchat.errors import LinkLost
from p2pchat.session.approval import AcceptPolicy, By
from p2pchat.session.callers import Callers, Ring
from p2pchat.session.conversation_events import Batch
from p2pchat.session.peer_session import PeerSession
from p2pchat.session.receipts import Receipts
from p2pchat.session.service_stream import ServiceStream
from p2pchat.session.stages import DocumentReady, SessionContext, SessionOutcome
from p2pchat.session.stored import ConversationState, EntryRange, StoredEntry
from p2pchat.traversal.agent import Agent, AgentEvent, LinkDatagrams, OfAttempt
from p2pchat.traversal.attempt_events import PairUnfit, PathMoved, RoundEnded, SizeProbed
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.gathering import CandidatesChanged, NetworkReturned
from p2pchat.traversal.own_addresses import Rerouting
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.routes import CHAT_SOCKET, PORTION, RELAYS, Datagram
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Offer, PeerDocument, Refusal, Ringing
from p2pchat.wire.messages import SERVES, VERIFIES

STALE_TIMERS = 64  # entries of the heap that are out of date, beside as many as are valid, at most
AWAITED = 600.0  # seconds for which the call of one who was let in needs no yes
SETTLING = 5.0  # seconds that new addresses stay before those we talk with are told
IMPROVE_INTERVAL = 60.0  # seconds between two such offers
MAX_OVER = 64  # sessions that are over, and of which the person may ask why
MAX_OTHERS_OVER = 16  # of those in which there was a conversation that nobody had to accept

_UNASKED = frozenset({"busy", "left", "no-answer"})  # refusals that no person decided
_CHAT_SOCKET = frozenset({CHAT_SOCKET})
_OF_ATTEMPTS = get_args(OfAttempt)  # faster than the union


class Standing(Protocol):
    """Standing of a peer with our person."""

    @property
    def is_contact(self) -> bool:
        """Whether the person knows the peer."""

    @property
    def is_muted(self) -> bool:
        """Whether calls of the peer make no sound."""

    @property
    def is_blocked(self) -> bool:
        """Whether nothing of the peer is taken."""

    @property
    def reached(self) -> PathHint | None:
        """How the peer was reached last."""


@attrs.frozen
class HeartbeatChanged:
    """Heartbeats are to go out at this interval, in seconds, from now on."""

    interval: float


EndpointEvent = SessionOutcome | AgentEvent | HeartbeatChanged


@attrs.define(eq=False)
class Endpoint:
    """
    The machine of one peer.

    :ivar context: what the sessions share, the agent among it.
    :ivar policy: whose calls need no yes.
    :ivar heartbeat: seconds between heartbeats, where no NAT wants them sooner.
    :ivar standing: of a peer, by its id.
    :ivar serves: whether a peer may open a service of ours, and so bring up a link.
    :ivar kept: what conversations go on from, by the ids of peers without a session.
    :ivar sessions: by peer id.
    :ivar agent: the traversal of our socket.
    """

    context: SessionContext
    policy: AcceptPolicy
    heartbeat: float
    standing: Callable[[str], Standing]
    serves: Callable[[str], bool] = lambda _peer_id: False
    kept: dict[str, ConversationState] = attrs.Factory(dict)
    sessions: dict[str, PeerSession] = attrs.Factory(dict)
    _callers: Callers = attrs.Factory(Callers)
    _woken: dict[str, PeerSession] = attrs.Factory(dict)  # they have something to give
    _receipts: Receipts = attrs.Factory(Receipts)
    _touched: dict[str, PeerSession] = attrs.Factory(dict)  # they may have another deadline now
    _deadlines: dict[str, float] = attrs.Factory(dict)  # by peer id
    _timers: list[tuple[float, str]] = attrs.Factory(list)  # a heap
    _known_candidates: object = ()
    _improve_at: float | None = None  # when new candidates are told that nobody waits for
    _improve_from: float = 0.0  # the earliest time for that
    _interval: float = attrs.field(init=False)
    _events: deque[EndpointEvent] = attrs.Factory(deque)
    agent: Agent = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.agent, self._interval = self.context.agent, self.heartbeat
        self._known_candidates = self.agent.candidates()

    # -- sessions

    def live_session(self, peer_id: str) -> PeerSession | None:
        """Return a session in which something is under way."""
        found = self.sessions.get(peer_id)
        return found if found is not None and found.is_alive else None

    def alive(self) -> list[PeerSession]:
        """Return the sessions in which something is under way."""
        return [one for one in self.sessions.values() if one.is_alive]

    def call(self, peer_id: str, name: str, now: float, by: By = By.PERSON) -> None:
        """Call a peer, or accept its call that waits; for services alone, if a service wants."""
        session = self.ensure_session(peer_id, name)
        self._callers.accepted(peer_id)
        session.call(now, by)

    def accept(self, session: PeerSession, now: float) -> None:
        """Accept the offer that waits; this peer's next call rings again."""
        self._callers.accepted(session.peer_id)
        session.accept(now)

    def await_call(self, peer_id: str, name: str, now: float) -> None:
        """Take the next call of a peer without a question: our person let it in a moment ago."""
        session = self.ensure_session(peer_id, name)
        if session.is_offered:
            session.accept(now)
        elif not session.is_alive:
            session.approval.give(By.PERSON)
            session.approval.await_retry(now, AWAITED)

    def verify(self, session: PeerSession, now: float) -> bool:
        """Let both persons see words to compare; tell whether the other program can."""
        control = session.link.control
        can = control.verification is not None and VERIFIES in control.features
        if can and control.verification is not None:
            control.verification.start(now)
            session.notify()
        return can

    def mailbox_changed(self) -> None:
        """Say on every link what its peer is to know of our mailbox now."""
        for session in self.alive():
            if (exchange := session.link.control.mailbox) is not None:
                exchange.changed()
                session.notify()

    def registries_changed(self, peer_id: str = "") -> None:
        """Say on every link, or to one peer, where we are found now."""
        for session in self.alive():
            exchange = session.link.control.registries
            if exchange is not None and peer_id in {"", session.peer_id}:
                exchange.changed()
                session.notify()

    def ensure_session(self, peer_id: str, name: str = "") -> PeerSession:
        """Return the session with a peer, a new one if there was none."""
        session = self.sessions.get(peer_id)
        if session is None:
            session = PeerSession(peer_id, name, self.context)
            if (state := self.kept.pop(peer_id, None)) is not None:
                session.conversation.restore(state)
            session.notify = partial(self._woken.setdefault, peer_id, session)
            session.hint = self.standing(peer_id).reached
            self.sessions[peer_id] = session
        elif name and not session.name:
            session.log.name = name
        return session

    def said(self, session: PeerSession, now: float) -> None:
        """Let what our person said be stored."""
        session.settle(now)
        self._take_events(session, now)

    def stored(
        self, peer_id: str, batch: Batch, now: float, repeated: Collection[StoredEntry] = ()
    ) -> None:
        """A batch is stored, and all before it; ``repeated`` of it was said before."""
        if (session := self.sessions.get(peer_id)) is not None:
            session.conversation.stored(batch, repeated)
            session.settle(now)
            self._take_events(session, now)  # a reply goes out with the acknowledgment
            self._receipts.read(peer_id, "", now)

    def pause(self, peer_id: str, until: float, now: float) -> None:
        """Tell a peer that nothing more of theirs is stored before a time, since 1970."""
        if (session := self.sessions.get(peer_id)) is not None:
            session.conversation.pause.begin(until)
            session.settle(now)

    def found(
        self, peer_id: str, wanted: EntryRange, raws: Sequence[bytes] | None, now: float
    ) -> None:
        """Take what the store has of the entries that a conversation wanted."""
        if (session := self.sessions.get(peer_id)) is not None:
            session.conversation.found(wanted, raws, now)
            session.settle(now)

    def read(self, peer_id: str, message_id: str, now: float) -> None:
        """Somebody has taken a line of a peer, and so all before it: confirm them, soon."""
        self._receipts.read(peer_id, message_id, now)

    def seen(self, peer_id: str, message_id: str, now: float) -> None:
        """Our person has seen a line of a peer, and so all before it."""
        if peer_id in self.sessions or peer_id in self.kept:
            session = self.ensure_session(peer_id)
            session.conversation.marks.seen(message_id)
            session.settle(now)

    def typing(self, peer_id: str, now: float) -> None:
        """Our person types a line for a peer; told where a link is open."""
        session = self.sessions.get(peer_id)
        if session is not None and session.is_open and session.link.control.composing is not None:
            session.link.control.composing.type(now)
            session.notify()

    def open_stream(self, peer_id: str, service: str) -> ServiceStream:
        """
        Ask a peer for a service of its.

        :raises LinkLost: no link is open that carries one.
        :raises TooManyStreams: so many wait already.
        """
        session = self.sessions.get(peer_id)
        if session is None or not session.is_open:
            raise LinkLost("no link to them is open")
        if SERVES not in session.link.control.features:
            raise LinkLost("their program is too old to offer services")
        return session.link.services.open(service)

    def _confirm(self, now: float) -> None:
        """Let conversations send the receipts that are due."""
        for peer_id, message_id in self._receipts.take(now).items():
            if (session := self.sessions.get(peer_id)) is not None:
                session.read(message_id, now)

    def tidy(self, now: float) -> None:
        """Drop sessions that are over; the last conversations and calls stay a while for /why."""
        over = [session for session in self.sessions.values() if session.is_over(now)]
        wanted = [session for session in over if session.approval.was_wanted]
        talked = [one for one in over if one.log.ending is not None and one.log.ending.conversation]
        for session in set(over) - {*wanted[-MAX_OVER:], *talked[-MAX_OTHERS_OVER:]}:
            del self.sessions[session.peer_id]
            if self.context.is_lasting:
                self.kept[session.peer_id] = session.conversation.state()
            self._deadlines.pop(session.peer_id, None)

    # -- documents

    def receive_document(self, peer_id: str, body: PeerDocument, now: float) -> None:
        """Take a verified document of a peer; one that isn't wanted changes nothing."""
        known = self.standing(peer_id)
        if known.is_blocked:
            return
        session = self.sessions.get(peer_id)
        if isinstance(body, Offer):
            if not self._may_call(peer_id, session, body, now):
                return
            session = self.ensure_session(peer_id)
        if session is not None:
            session.approval.is_contact = known.is_contact
            session.receive_document(body, self._welcome(peer_id), now)

    def expects(self, peer_id: str) -> bool:
        """Tell whether documents of a peer come before those of strangers."""
        session = self.live_session(peer_id)
        is_wanted = session is not None and not session.is_offered
        return is_wanted or self.standing(peer_id).is_contact

    def _may_call(
        self, peer_id: str, session: PeerSession | None, offer: Offer, now: float
    ) -> bool:
        """Tell whether an offer is taken; one that isn't is refused, or passed over in silence."""
        known = self.standing(peer_id)
        if session is not None and session.has_left(offer):  # our goodbye was lost
            self._send(DocumentReady(peer_id, Refusal(offer.session, "left")), now)
            return False
        is_known = session is not None and session.approval.holds(now)
        if is_known or self._welcome(peer_id) is not By.NOBODY:
            has_room = session is not None or self.agent.has_room(known.is_contact, now)
            ring = Ring.NONE if has_room else Ring.BUSY
        elif session is not None and session.is_offered:
            ring = self._callers.repeated(peer_id, now)
        else:
            ring = self._callers.called(peer_id, known.is_contact, now)
            if ring in {Ring.LOUD, Ring.QUIET}:
                session = self.ensure_session(peer_id)
                session.is_quiet = ring is Ring.QUIET or known.is_muted
                if not known.is_contact:
                    self._callers.waits(peer_id, partial(self._is_waiting_stranger, session))
        if ring is Ring.BUSY:
            self._send(DocumentReady(peer_id, Refusal(offer.session, "busy")), now)
        return ring not in {Ring.BUSY, Ring.IGNORED}

    def _is_waiting_stranger(self, session: PeerSession) -> bool:
        return session.is_offered and not self.standing(session.peer_id).is_contact

    def _welcome(self, peer_id: str) -> By:
        """Return who approves of calls of a peer without being asked; NOBODY: our person is."""
        is_contact = self.standing(peer_id).is_contact
        if self.policy is AcceptPolicy.ALL or (self.policy is AcceptPolicy.CONTACTS and is_contact):
            return By.POLICY
        return By.SERVICE if self.serves(peer_id) else By.NOBODY

    def _send(self, document: DocumentReady, now: float) -> None:
        """Let a document out, unless a stranger isn't worth the registry's time for it."""
        body, known = document.body, self.standing(document.peer_id)
        is_refusal = isinstance(body, Refusal) and body.reason in _UNASKED
        is_unasked = isinstance(body, Ringing) or is_refusal
        if known.is_contact or not is_unasked or self._callers.may_reply(now):
            self._events.append(document)

    # -- the network

    def receive_batch(self, base: str, datagrams: list[bytes], addr: Address, now: float) -> None:
        """
        Take datagrams of one source, and let what they bring about become events.

        :param base: what they came in on (:mod:`p2pchat.traversal.routes`).
        """
        self.agent.receive_batch(base, datagrams, addr, now)
        self._take_agent_events(now)
        for session in list(self._woken.values()):
            self._take_events(session, now)

    def beat(self, now: float) -> None:
        """Send heartbeats; called at the interval of the last :class:`HeartbeatChanged`."""
        for session in self.alive():
            session.beat(now)

    @property
    def hosts_in_use(self) -> list[str]:
        """The IP addresses that direct paths lead to."""
        paths = [one.path for one in self.alive()]
        return [one.address[0] for one in paths if one is not None and one.base == CHAT_SOCKET]

    def network_changed(self, rerouting: Rerouting, now: float) -> None:
        """What goes to some hosts leaves this machine from another address now."""
        self.agent.network_changed()
        if rerouting.is_move:
            self.agent.gathering.network_changed(now)
        else:
            self.refresh(now)
        for session in self.alive():
            path = session.path
            if path is None or path.is_relayed or path.address[0] in rerouting.hosts:
                session.network_changed(now)

    def refresh(self, now: float) -> None:
        """The network may have changed: ask STUN service and relays how they see us."""
        self.agent.gathering.refresh(now)
        self.agent.relays.refresh(now)

    def signaling_returned(self, now: float) -> None:
        """Offers arrive again: whoever looks for a path needn't wait."""
        for session in self.alive():
            session.network_returned(now)

    def handle_timer(self, now: float) -> None:
        """Let every child do what is due."""
        self._note_deadlines()
        self.agent.handle_timer(now)
        if self._improve_at is not None and self._improve_at <= now:
            self._improve_at = None
            improved = [session for session in self.alive() if session.improve(now)]
            if improved:
                self._improve_from = now + IMPROVE_INTERVAL
        while self._timers and self._timers[0][0] <= now:
            when, peer_id = heapq.heappop(self._timers)
            if self._deadlines.get(peer_id) == when:
                del self._deadlines[peer_id]
                self.sessions[peer_id].handle_timer(now)

    def get_timer(self) -> float | None:
        """Return the earliest deadline of a child."""
        self._note_deadlines()
        while self._timers and self._deadlines.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        sessions = self._timers[0][0] if self._timers else None
        return earliest(self.agent.get_timer(), sessions, self._receipts.due, self._improve_at)

    def _note_deadlines(self) -> None:
        """Ask those sessions that were touched; their datagrams have gone out meanwhile."""
        while self._touched:
            peer_id, session = self._touched.popitem()
            deadline = session.get_timer() if self.sessions.get(peer_id) is session else None
            if deadline is None:
                self._deadlines.pop(peer_id, None)
            elif deadline != self._deadlines.get(peer_id):
                self._deadlines[peer_id] = deadline
                heapq.heappush(self._timers, (deadline, peer_id))
        if len(self._timers) > 2 * len(self._deadlines) + STALE_TIMERS:
            self._timers = [(when, peer_id) for peer_id, when in self._deadlines.items()]
            heapq.heapify(self._timers)

    # -- what comes out

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what the children want to send."""
        outgoing: list[Datagram] = []
        if self._receipts.due is not None and self._receipts.due <= now:
            self._confirm(now)
        any_came = True
        while any_came and len(outgoing) < PORTION:  # what one child says may wake another
            while self._woken and len(outgoing) < PORTION:
                peer_id = next(iter(self._woken))
                self._take_from(self._woken.pop(peer_id), outgoing, now)
            checks = self.agent.datagrams_to_send(now)
            outgoing += checks
            any_came = self._take_agent_events(now) or bool(checks or self._woken)
        self._adapt_heartbeat()
        return outgoing

    def _take_from(self, session: PeerSession, outgoing: list[Datagram], now: float) -> None:
        """Take what a session has to give."""
        if self._receipts.owes(session.peer_id) and not session.is_open:
            self._confirm(now)  # a goodbye is the last that is said
        datagrams = session.datagrams_to_send(now)
        if {one.base for one in datagrams} <= _CHAT_SOCKET:
            outgoing += datagrams
        else:
            for datagram in datagrams:
                if datagram.base.startswith(RELAYS):
                    self.agent.send_relayed(datagram, now)
                else:
                    outgoing.append(datagram)
        if len(datagrams) < PORTION:
            self._woken.pop(session.peer_id, None)
        self._take_events(session, now)
        self._touched[session.peer_id] = session

    def _take_events(self, session: PeerSession, now: float) -> None:
        while (event := session.next_event()) is not None:
            if isinstance(event, DocumentReady):
                self._send(event, now)
            else:
                self._events.append(event)

    def _take_agent_events(self, now: float) -> bool:
        """Hand on what the agent says; tells whether it said anything."""
        any_came = False
        while (event := self.agent.next_event()) is not None:
            any_came = True
            if isinstance(event, _OF_ATTEMPTS):
                self._hand_to_owner(event, now)
            else:
                self._react(event, now)
        return any_came

    def _hand_to_owner(self, event: OfAttempt, now: float) -> None:
        """Hand what concerns an attempt to its session; nobody's is dropped."""
        session = self.sessions.get(self.agent.peer_of(event.ufrag))
        if session is None or not session.owns(event.ufrag):
            return
        match event:
            case LinkDatagrams(_, datagrams):
                session.receive_link_datagrams(datagrams, now)
            case PathMoved(ufrag, path, _):
                session.path_moved(ufrag, path, now)
            case RoundEnded():
                session.round_ended(event, now)
            case PairUnfit(_, route, fitness):
                session.pair_unfit(route, fitness, now)
            case SizeProbed(_, route, size, is_carried):
                session.link.size_probed(route, size, is_carried)
                session.notify()

    def _react(self, event: AgentEvent, now: float) -> None:
        match event:
            case NetworkReturned():
                self.agent.relays.refresh(now)
                self.signaling_returned(now)
            case CandidatesChanged():
                self._tell_candidates(now)
        self._events.append(event)

    def _tell_candidates(self, now: float) -> None:
        candidates = self.agent.candidates()
        if candidates != self._known_candidates:
            self._known_candidates = candidates
            for session in self.alive():
                session.candidates_changed(now)
            if self._improve_at is None:
                self._improve_at = max(now + SETTLING, self._improve_from)

    def _adapt_heartbeat(self) -> None:
        """Beat as often as our NAT needs it to keep the path's mapping."""
        interval = self.agent.gathering.keepalive.within(self.heartbeat)
        if interval != self._interval:
            self._interval = interval
            self._events.append(HeartbeatChanged(interval))

    def next_event(self) -> EndpointEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None
