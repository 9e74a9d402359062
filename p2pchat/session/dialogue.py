"""
Everything with one peer: calls in both directions, the link, the conversation, and its rescue.

::

    Call ──path──▶ Link ──proved──▶ Conversation open
     ▲                                    │
     └── path lost: fresh offers, the ────┘
         same link if both still hold it

Owns the rules by which these machines meet:

* The offering side dials the link.  If two offers cross, the one of the lower peer id counts.
* An offer is accepted without asking while the call or conversation that was approved goes on, and
  for a while after it was lost, not ended (:mod:`p2pchat.session.approval`).
* Whether this side ended something is what this side knows: no word of the other says it.
* Silence makes a check of the path; a path that fails its check, three silent heartbeats, or a
  link that ends makes a new negotiation, repeated for RESCUE_PATIENCE.
* What is said meanwhile waits in the conversation's log, across links and calls.

Documents come in verified and go out as bodies; datagrams are QUIC only, STUN is the agent's.
"""

from __future__ import annotations

import attrs

from p2pchat import events
from p2pchat.errors import P2PChatError, ProofFailed, RemoteProtocolError
from p2pchat.session import call as calls
from p2pchat.session import conversation as talk
from p2pchat.session.approval import RETRY_PATIENCE, By
from p2pchat.session.call import Call, CallEvent, Stage, Undelivered
from p2pchat.session.chronicle import line_of
from p2pchat.session.dialogue_state import DialogueState
from p2pchat.session.link import FrameReceived, Link, LinkEnded, LinkEvent, LinkOpened
from p2pchat.session.telling import causes as tell_causes
from p2pchat.session.telling import checks as tell_checks
from p2pchat.traversal.datagrams import Datagram, Route
from p2pchat.traversal.pairs import Path
from p2pchat.wire import messages
from p2pchat.wire.documents import Delivered, Offer, Refusal

RESCUE_PATIENCE = 300.0  # seconds for which a lost path is looked for
RESCUE_ATTEMPTS = 10_000  # offers; the patience ends first
LINGERING = 2.0  # seconds for DISCONNECT to arrive, and what was said before it


@attrs.define(eq=False)
class Dialogue(DialogueState):
    """The machine of everything with one peer; its members are those of its state."""

    # -- what the person wants

    def call(self, now: float) -> None:
        """Offer to talk, or accept the offer that waits."""
        negotiation = self._negotiation
        if negotiation is not None and negotiation.stage is Stage.ASKING:
            self.accept(now)
        elif self._leaving is not None:
            self._redials = True
        elif not self.is_open and (negotiation is None or negotiation.is_over):
            self.told.began, self._failing, self._failed_links = now, None, 0
            self.approval.give(By.PERSON)
            self._begin_record(now)
            self._negotiate(self._around.attempts, False, now).call(now)
        self._drain(now)

    def accept(self, now: float) -> None:
        """Accept the offer that waits."""
        if self._negotiation is not None and self._negotiation.stage is Stage.ASKING:
            self.approval.give(By.PERSON)
            self.told.offered(True)
            self._answer(self._negotiation, now)
        self._drain(now)

    def reject(self, now: float) -> None:
        """Decline the offer that waits."""
        if self._negotiation is not None and self._negotiation.stage is Stage.ASKING:
            self._negotiation.cancel("declined")
        self._drain(now)

    def say(self, text: str, wall: float, now: float) -> str:
        """
        Put a line into the log and return its id.

        :raises LocalProtocolError: it is too long, or too many wait.
        """
        sequence = self.conversation.say(text, wall, now)
        name = self.told.sent(self.conversation.epoch, sequence, text)
        self._drain(now)
        return name

    def read(self, message_id: str, now: float) -> None:
        """Somebody has taken the line of theirs that a MessageReceived told: confirm it."""
        self.conversation.read(*line_of(message_id))
        self._drain(now)

    def disconnect(self, now: float) -> None:
        """End the conversation or the call; the other side is told."""
        self._redials, is_calling = False, self._failing is not None
        if self._negotiation is not None and not self._negotiation.is_over:
            self._negotiation.cancel("declined" if self.is_asking else "cancelled")
            is_calling = True
        if is_calling and not self.told.is_open:
            self._fail("cancelled", "you ended the call", ours=True)
        self._end_conversation("closed", ours=True)
        if self.conversation.is_open and self._leaving is None:
            self._leaving = now + LINGERING
            self.conversation.leave()
        elif self._leaving is None:
            self._drop("closed", now)
        self._drain(now)

    # -- what the other side wants

    def receive_document(self, body: Delivered, auto_accept: bool, now: float) -> None:
        """
        Take a verified document of the peer.

        :param auto_accept: whether offers of this peer need no approval.
        :raises RemoteProtocolError: it can't be used.
        """
        if isinstance(body, Offer):
            self._offered(body, auto_accept or self.approval.holds(now), now)
        elif self._negotiation is not None:
            self._negotiation.receive(body, now)
        self._drain(now)

    def _offered(self, offer: Offer, accept: bool, now: float) -> None:
        running, waited = self._negotiation, False
        if running is not None and running.session == offer.session:
            return  # delivered twice
        if running is not None and not running.is_over:
            if self._ours_counts(running):
                running.repeat()
                return
            accept = accept or running.is_calling
            waited = running.stage is Stage.ASKING
        knows = self.approval.is_known or self.told.is_open  # whoever is talked to finds room
        if accept and not self._around.agent.has_room(knows, now):
            if running is not None and not (running.is_over or running.is_calling):
                running.withdraw()
                self.approval.end()
            self._documents.append(Refusal(offer.session, "busy"))
            return
        accept = self._let_go_of_the_last(accept, now)
        is_retry, self._failing = self._failing is not None, None
        if running is not None and not running.is_over:
            running.withdraw()
        elif not (self.told.is_open or is_retry):
            self._begin_record(now)
        if not (self.told.is_open or waited):
            self._call_themselves(offer.description.username)
        negotiation = self._negotiate(self._around.attempts, False, now)
        negotiation.offered(offer, now)
        if self._rescue_until is None:
            self.told.began = now
        if not (self.told.is_open or waited or is_retry):
            self.told.offered(accept)
        if accept:
            self.approval.give(By.POLICY)
            self._answer(negotiation, now)
        else:
            negotiation.ask(now)

    def _let_go_of_the_last(self, accept: bool, now: float) -> bool:
        """A new call doesn't go on with a link that was left; tells whether it has a yes."""
        if self._leaving is None:
            return accept
        redials, self._redials = self._redials, False
        self._drop("closed", now)
        if redials:
            self.approval.give(By.PERSON)
        return accept or redials

    def _call_themselves(self, name: str) -> None:
        """Take the name by which the peer calls itself; a change of one in use is told."""
        is_used = self.told.is_open or self.approval.by is not By.NOBODY
        if name and self.name and name != self.name and is_used:
            self.told.renamed(name)
        elif name:
            self.told.name = name

    def _ours_counts(self, running: Call) -> bool:
        """Tell whether our own offer goes on although theirs has crossed it."""
        if running.stage in {Stage.PAUSING, Stage.ASKING} or not running.dials:
            return False
        return self._around.identity.peer_id < self.peer_id

    def _answer(self, negotiation: Call, now: float) -> None:
        negotiation.known = self.approval.is_known
        try:
            negotiation.accept(now)
        except RemoteProtocolError as error:
            negotiation.cancel("declined")
            self._fail("not-proved", str(error))
            return
        if not negotiation.continues:
            self._new_link(negotiation.session, False, now)

    def undeliverable(self, document: Undelivered, now: float) -> None:
        """The registry didn't deliver a document of ours."""
        if self._negotiation is not None:
            self._negotiation.undeliverable(document, now)
        self._drain(now)

    def network_returned(self, now: float) -> None:
        """The network is back after it was away: don't wait for a pause to end."""
        if self._negotiation is not None:
            self._negotiation.hurry(now)
        self._drain(now)

    def network_changed(self, now: float) -> None:
        """This machine has other addresses now: look for a path before silence tells."""
        self._check_path(now)
        self._improve(now)
        self._drain(now)

    def _improve(self, now: float) -> None:
        """Negotiate another path for the link that is open; nothing is told to be lost."""
        negotiation = self._negotiation
        if self.is_open and negotiation is not None and negotiation.is_over:
            self._negotiate(1, True, now).call(now)

    def candidates_changed(self, now: float) -> None:
        """Gathering learned something new; it may help away from a relay."""
        if self._negotiation is not None:
            self._negotiation.candidates_changed()
            relayed = self.path is not None and self.path.is_relayed
            if relayed and not self._negotiation.attempt.is_checking:
                self._improve(now)
        self._drain(now)

    # -- what the network says

    def owns(self, ufrag: str) -> bool:
        """Tell whether an attempt is this dialogue's."""
        running = "" if self._negotiation is None else self._negotiation.ufrag
        return bool(ufrag) and ufrag in {self._ufrag, running}

    def path_moved(self, ufrag: str, path: Path, now: float) -> None:
        """An attempt chose a path."""
        if self._negotiation is not None and ufrag == self._negotiation.ufrag:
            self._negotiation.path_found(path)
        if ufrag == self._ufrag:
            self._idleness.moved(self.path, path, now)
            self._use(path, now)
        self._drain(now)

    def round_ended(self, ufrag: str, confirmed: bool, now: float) -> None:
        """An attempt stopped checking."""
        if not confirmed and self._negotiation is not None and ufrag == self._negotiation.ufrag:
            self._negotiation.round_failed(now)
        if ufrag == self._ufrag:
            if confirmed:
                self._held.verified(now)
                self._memorize(now)
            else:
                self._rescue("checks on the path get no answer", now)
        self._drain(now)

    def receive_link_datagram(self, data: bytes, route: Route, now: float) -> None:
        """Take a QUIC datagram from a route that an authentic check came over."""
        if self._held:
            self._idleness.heard(now)
        self._held.receive_datagram(data, route, now)
        self._drain(now)

    def beat(self, now: float) -> None:
        """Send a heartbeat; called at the heartbeat's rhythm."""
        self.conversation.beat(now)
        if self.path is not None and self.path.is_relayed:
            self._check_path(now)  # a direct path may be possible by now
        self._drain(now)

    # -- time

    def handle_timer(self, now: float) -> None:
        """Let every machine do what is due."""
        if self._negotiation is not None:
            self._negotiation.handle_timer(now)
        self._held.handle_timer(now)
        self.conversation.handle_timer(now)
        if self._leaving is not None and now >= self._leaving:
            self.conversation.skip_lines()
            self._fill_link(now)
            self._left(now)
        if self._failing is not None and now >= self._failing[0]:
            _, reason, explanation, summary = self._failing
            self._fail(reason, explanation, summary=summary)
        if self._held.is_silent(now):
            self._lose_link("the link stayed silent on its new path", now)
        if self._rescue_until is not None and now >= self._rescue_until:
            self._give_up(now)
        self._drain(now)

    def get_timer(self) -> float | None:
        """Return the earliest wish."""
        failing = None if self._failing is None else self._failing[0]
        times = [self._leaving, self._rescue_until, failing]
        times += [self.conversation.get_timer(), self._held.get_timer()]
        if self._negotiation is not None:
            times.append(self._negotiation.get_timer())
        return min((time for time in times if time is not None), default=None)

    # -- what goes out

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what goes over the path."""
        self._drain(now)
        return self._held.datagrams_to_send(now)

    def take_documents(self) -> list[Delivered]:
        """Return, and forget, the bodies that are to be signed and delivered."""
        documents, self._documents = self._documents, []
        return documents

    def next_event(self) -> events.DialogueEvent | None:
        """Return, and forget, the oldest event."""
        return self.told.next_event()

    # -- the machines meet

    def _negotiate(self, attempts: int, patient: bool, now: float) -> Call:
        if self._negotiation is not None:
            self._record.keep(self._negotiation.told())
        held = self._held.name if self._held and self.conversation.is_open else ""
        began, memory, known = self._record.began, self.memory, self.approval.is_known
        self._negotiation = self._around.negotiation(
            held, attempts, patient, now, began=began, memory=memory, known=known
        )
        return self._negotiation

    def _drain(self, now: float) -> None:
        """Let each machine's events act on the others until all is quiet."""
        while True:
            while (event := self._next_inner_event()) is not None:
                self._react(event, now)
            if not self._fill_link(now):
                break
        if self.conversation.has_left and not self.conversation.has_unread:
            self._drop("left", now)

    def _next_inner_event(self) -> CallEvent | LinkEvent | talk.ConversationEvent | None:
        found: CallEvent | LinkEvent | talk.ConversationEvent | None = None
        if self._negotiation is not None:
            found = self._negotiation.next_event()
        if found is None:
            found = self._held.next_event()
        return self.conversation.next_event() if found is None else found

    def _react(self, event: CallEvent | LinkEvent | talk.ConversationEvent, now: float) -> None:
        match event:
            case calls.SendDocument(document):
                self._documents.append(document)
            case calls.AttemptBegan(attempt):
                shown = 0 if self.told.is_open else self._around.attempts
                self.told.calling(attempt, shown)
            case calls.PeerRings():
                self.told.rings()
            case calls.ChecksBegan(addresses):
                self.told.checking(addresses)
            case calls.PathReady():
                self._path_ready(event, now)
            case calls.CallEnded(reason, explanation):
                self._negotiation_failed(reason, explanation, now)
            case LinkOpened():
                self.conversation.link_opened()
            case FrameReceived(body):
                self._frame(body, now)
            case LinkEnded(error):
                self._link_ended(error, now)
            case _:
                self._react_to_talk(event, now)

    def _react_to_talk(self, event: object, now: float) -> None:
        match event:
            case talk.Opened(username, is_new):
                self._opened(username, is_new, now)
            case talk.Received(epoch, message):
                self.told.received(epoch, message)
            case talk.Delivered(sequence, seconds):
                self.told.delivered(self.conversation.epoch, sequence, seconds)
            case talk.Answered():
                self._answered(now)
            case talk.Suspected():
                self._idleness.suspected(now)
                self._check_path(now)
            case talk.Silent():
                self._rescue("three heartbeats went unanswered", now)
            case talk.Left(reason, detail):
                self._record.note(f"they ended it: {reason} {detail}".rstrip(), now)
                word = reason if reason in messages.REASONS else "left"
                self._end_conversation(word)
                if self._leaving is None:
                    self._leaving = now + LINGERING  # to confirm what is being read

    # -- what is kept for the next call

    def _begin_record(self, now: float) -> None:
        self._negotiation = None
        self._record.begin(now)

    def _memorize(self, now: float) -> None:
        """The checks have settled: remember what made the path."""
        negotiation = self._negotiation
        if negotiation is not None and negotiation.ufrag == self._ufrag:
            learned = negotiation.attempt.hint(self._around.wall_of(now))
            if learned is not None and not learned.repeats(self.memory):
                self.memory = learned

    # -- path and link

    def _check_path(self, now: float) -> None:
        punching = self._around.agent.attempt(self._ufrag)
        if punching is not None:
            punching.check_again(now)

    def _path_ready(self, ready: calls.PathReady, now: float) -> None:
        assert self._negotiation is not None
        if self._ufrag != self._negotiation.ufrag:
            self._around.agent.forget(self._ufrag)
        self._ufrag = self._negotiation.ufrag
        self._held.path = None
        if ready.continues and self._held:
            self._held.probe(now)
        elif ready.dials:
            self._new_link(ready.session, True, now, ready.path.rtt)
        self._use(ready.path, now)

    def _new_link(self, name: str, dials: bool, now: float, rtt: float = 0.0) -> None:
        self.conversation.link_ended()
        around = self._around
        link = Link(around.identity, self.peer_id, around.certificate, dials, rtt)
        self._held.begin(link, name, now)

    def _use(self, path: Path, now: float) -> None:
        """Send over this path from now on, and say so."""
        self._held.use(path, now)
        self.told.path_found(path, now)
        self._record.path_found(path, now)
        self.conversation.path_changed(now)
        self.conversation.beat(now)  # wakes a link that has been sending into the void

    def _fill_link(self, now: float) -> bool:
        """Hand on what goes out, as the link has room; tell whether there was any."""
        any_went = False
        while self._held.has_room and (message := self.conversation.next_message(now)) is not None:
            self._held.send_frame(messages.encode(message, self._around.wall_of(now)), now)
            any_went = True
        return any_went

    def _frame(self, body: bytes, now: float) -> None:
        if self.conversation.is_broken:
            return  # nothing that comes after a fault costs or means anything
        try:
            self.conversation.receive_frame(body, now)
        except RemoteProtocolError as error:
            word = talk.fault(error)
            if self._leaving is None:
                self._record.note(str(error), now)
                self.conversation.leave(word, str(error)[:500])
                self._end_conversation(word)
                self._leaving = now + LINGERING

    def _opened(self, username: str, is_new: bool, now: float) -> None:
        self._call_themselves(username)
        self.approval.give(self.approval.by)  # who was lost is back
        self._rescue_until = None
        self._idleness.found(now)
        self.told.connected(self.told.is_open and not is_new, now)

    def _answered(self, now: float) -> None:
        """A heartbeat came back: the link works over the path of now."""
        self._held.heard()
        if self._rescue_until is not None:
            self._rescue_until = None
            self._idleness.found(now)
            if self._negotiation is not None:
                self._negotiation.cancel("cancelled")
            self.told.connected(True, now)

    def _link_ended(self, error: P2PChatError, now: float) -> None:
        self._record.note(str(error), now)
        if isinstance(error, ProofFailed):
            self._end_conversation("not-proved")
            self._drop(str(error), now)
            self._fail("not-proved", str(error))
        elif self._leaving is not None:
            self._left(now)
        else:
            self._lose_link(f"the link ended: {error}", now)

    def _left(self, now: float) -> None:
        """The goodbye has arrived, or had its time."""
        redials, self._redials = self._redials, False
        self._drop("closed", now)
        if redials:
            self.call(now)

    def _lose_link(self, reason: str, now: float) -> None:
        """Go on without the link: the next path makes a new one."""
        self._close_link(reason, now)
        calls_left = self._around.attempts - self._failed_links
        if self.told.is_open:
            self._rescue(reason, now)
        elif self._negotiation is not None and self._negotiation.dials and calls_left > 1:
            self._failed_links += 1
            self._negotiate(calls_left - 1, False, now).call(now)
        else:
            self._fail_unless_retried("no-path", reason, reason, now)
            self._drop(reason, now)

    def _drop(self, reason: str, now: float) -> None:
        """Let link, path and rescue go."""
        self._close_link(reason, now)
        self._leaving, self._rescue_until, self._held.path = None, None, None
        self._around.agent.forget(self._ufrag)

    def _close_link(self, reason: str, now: float) -> None:
        self._held.close(reason, now)
        self.conversation.link_ended()

    # -- ends and rescues

    def _rescue(self, reason: str, now: float) -> None:
        """Look for a new path, keeping the link if the other side does."""
        busy = self._negotiation is not None and not self._negotiation.is_over
        if busy or self._leaving is not None or not self.told.is_open:
            return
        if self._rescue_until is None:
            self._rescue_until = now + RESCUE_PATIENCE
            self.told.path_lost(reason, now)
            self._idleness.lost(now)
        self._record.note(reason, now)
        self._negotiate(RESCUE_ATTEMPTS, True, now).call(now)

    def _give_up(self, now: float) -> None:
        if self._negotiation is not None:
            self._negotiation.cancel("cancelled")
        self.approval.lose(now)
        self.told.disconnected("lost", self.conversation.undelivered, False)
        self._drop("lost", now)

    def _negotiation_failed(self, reason: str, explanation: str, now: float) -> None:
        assert self._negotiation is not None
        if self._rescue_until is not None:
            self._rescue_failed(self._negotiation.dials, reason, now)
            return
        if self.told.is_open:
            self._check_path(now)  # an offer more or less ends nothing, unless the path is dead
            return
        story = self.story()
        summary = "; ".join(filter(None, [explanation, *tell_causes(story)]))
        told = "; ".join(filter(None, [summary, *tell_checks(story)]))
        if not self._negotiation.dials and reason in {"cancelled", "no-answer"}:
            self.told.offer_ended(reason)
            self.approval.end()
        elif reason == "no-path":
            self._fail_unless_retried(reason, told, summary, now)
        else:
            self._fail(reason, told, summary=summary)
        self._drop(reason, now)

    def _rescue_failed(self, dialed: bool, reason: str, now: float) -> None:
        """Their offer came to nothing: make ours.  Ours was refused: that is the end."""
        if dialed:
            self._end_conversation(reason)
            self._drop(reason, now)
        else:
            self._rescue(reason, now)

    def _end_conversation(self, reason: str, ours: bool = False) -> None:
        self.told.disconnected(reason, self.conversation.undelivered, ours)
        self.approval.end()

    def _fail(self, reason: str, explanation: str, ours: bool = False, summary: str = "") -> None:
        """Tell that no conversation came of a call; the next one needs a yes of its own."""
        self.approval.end()
        self._failing = None
        undelivered = self.conversation.undelivered
        self.told.failed(reason, explanation, undelivered, ours, summary or explanation)

    def _fail_unless_retried(self, reason: str, explanation: str, summary: str, now: float) -> None:
        """Tell of a failed attempt when the call is over: the side that calls may try again."""
        negotiation = self._negotiation
        if negotiation is None or negotiation.dials or not self.approval.holds(now):
            self._fail(reason, explanation, summary=summary)
        else:
            self.approval.await_retry(now)
            self._failing = (now + RETRY_PATIENCE, reason, explanation, summary)
