"""
A session with one peer: calls both ways, the link that comes of them, and its rescue.

The stages, and what each does with what happens, are in :mod:`p2pchat.session.stages`.

Rules that its table doesn't show:

* If two offers cross, the one of the lower peer id counts.
* The answering side dials the link: its first flight stands in the answer.  The calling side sends
  its own with the first checks, and after it what it has to say.
* An offer needs no approval while the call or conversation that was approved goes on, and for a
  while after it was lost, not ended (:mod:`p2pchat.session.approval`).
* Only this side knows whether it ended something: no word of the other side is believed in that.
* A :class:`~p2pchat.session.call.Call` is what it takes to find a path: the person's call, and any
  search for another path while the session is open.  The link goes on if both sides still hold it.
* What is said meanwhile waits in the conversation's log, across links and calls.

Documents come in verified and go out as events; datagrams are QUIC only, STUN is the agent's.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from p2pchat import events
from p2pchat.errors import HandshakeRefused, P2PChatError, ProofFailed, RemoteProtocolError
from p2pchat.session import call_events as calls
from p2pchat.session import control
from p2pchat.session import conversation_events as talk
from p2pchat.session.approval import RETRY_PATIENCE, RETRY_TRIPS, By, stronger
from p2pchat.session.call import Call, CallStage
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.session.link import LinkEnded, LinkStalled
from p2pchat.session.live_link import ProbeWanted, RuleBroken, StreamRefused
from p2pchat.session.path_loss import BUSY
from p2pchat.session.session_path import SessionPath
from p2pchat.session.stages import (
    GOODBYE,
    RENEWED,
    TRANSITIONS,
    DocumentReady,
    PathFailed,
    SessionOutcome,
    SignalingDoubted,
    Stage,
    StoreRequest,
    StreamStirred,
    lingering,
)
from p2pchat.session.stored import About
from p2pchat.traversal.attempt_events import RoundEnded
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.link_proof import Fitness
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.round_trips import LONGEST, bounded
from p2pchat.traversal.routes import Datagram, Route
from p2pchat.wire import messages
from p2pchat.wire.documents import CandidateType, Offer, PeerDocument, Refusal

RESCUE_PATIENCE = 300.0  # seconds for which a lost path is looked for
RESCUE_ATTEMPTS = 10_000  # offers; the patience ends first
CROSSING = 3.0  # seconds after our path in which an offer comes that has crossed ours, ...
CROSSING_TRIPS = 2  # ... or so many trips of an offer and its answer
IMPROVE_INTERVAL = 10.0  # seconds from one search for a way off the relay to the next


@attrs.define(eq=False)
class PeerSession(SessionPath):
    """The machine of everything with one peer; its members are those of its state."""

    # -- what the person wants

    def call(self, now: float, by: By = By.PERSON) -> None:
        """Offer to talk, or accept the offer that waits; for services alone, if a service wants."""
        if self.stage is Stage.OFFERED:
            self._accept(now, by)
        elif self.stage is Stage.CLOSING:
            self._calls_again, self._calls_by = True, by
            if self._has_said_all:
                self._left(now)
        elif self.stage in {Stage.ENDED, Stage.AWAITING_RETRY}:
            self._failed_links = 0
            self.log.began = now
            self.approval.give(by)
            self._begin_report(now)
            self._enter(Stage.CALLING)
            self._begin_call(self._context.attempts, False, now).call(now)
        elif by is By.PERSON:
            self._let_talk(now)
        self.settle(now)

    def accept(self, now: float) -> None:
        """Accept the offer that waits."""
        if self.stage is Stage.OFFERED:
            self._accept(now, By.PERSON)
        else:
            self._let_talk(now)
        self.settle(now)

    def _accept(self, now: float, by: By) -> None:
        self.approval.give(by)
        self.log.happened(events.OfferReceived, True)
        self._enter(Stage.ANSWERING)
        self._answer(self._call, now)

    def reject(self, now: float) -> None:
        """Decline the offer that waits."""
        if self.stage is Stage.OFFERED:
            self._call.cancel("declined")
            self.log.ended("declined")
            self._enter(Stage.ENDED)
        self._decline_chat()
        self.settle(now)

    def say(self, text: str, wall: float, now: float, about: About | None = None) -> str:
        """
        Put a line into the log and return its id.

        :param about: what it answers or changes.
        :raises LocalProtocolError: it is too long, or too many wait.
        """
        name = self.conversation.say(text, wall, now, about)
        self._let_talk(now)
        self.notify()
        return name

    def read(self, message_id: str, now: float) -> None:
        """Somebody has taken the line of theirs that a MessageReceived told; "" for none."""
        self.conversation.read(message_id)
        self.settle(now)

    def disconnect(self, now: float, why: str = "") -> None:
        """End the conversation or the call, for a reason that only our person is told."""
        self._calls_again = False
        self._call.cancel("declined" if self.is_offered else "cancelled")
        if self.is_conversing:
            self._tell_end("closed", why, ours=True)
            self._left_link = self.link.name
            if self.link.control.is_open:
                self._close("left", "", now)
            else:
                self._end("closed", now)
        elif self.stage not in {Stage.ENDED, Stage.CLOSING}:
            self._tell_end("cancelled", why or "you ended the call", ours=True)
            self._end("closed", now)
        self.settle(now)

    # -- what the other side wants

    def receive_document(self, body: PeerDocument, welcome: By, now: float) -> None:
        """
        Take a verified document of the peer.

        :param welcome: who approves of offers of this peer without being asked.
        :raises RemoteProtocolError: it can't be used.
        """
        if isinstance(body, Offer):
            own = self.approval.by if self.approval.holds(now) else By.NOBODY
            self._offered(body, stronger(own, welcome), now)
        else:
            self._call.receive(body, now)
        self.settle(now)

    def _offered(self, offer: Offer, by: By, now: float) -> None:
        running = self._call
        if running.session == offer.session and not running.lacked_path:
            running.offered_again(offer, now)
            return
        if self._ours_counts(running, offer, now):
            running.repeat(now)
            return
        if not running.is_over and running.is_calling:
            by = stronger(by, self.approval.by)
        # Whoever is talked to finds room.
        has_priority = self.approval.has_priority or self.is_conversing
        if by is not By.NOBODY and not self._context.agent.has_room(has_priority, now):
            self._refuse_for_want_of_room(offer, now)
            return
        if self.stage is Stage.CLOSING:  # a new call doesn't go on with a link that was left
            calls_again = self._calls_again
            self._end("closed", now)
            if calls_again:
                by = self._calls_by
        self._take_offer(offer, by, now)

    def _ours_counts(self, running: Call, offer: Offer, now: float) -> bool:
        """Tell whether our own offer goes on, or has led to a path, and theirs has crossed it."""
        if not running.is_outgoing or self._context.identity.peer_id > self.peer_id:
            return False
        if running.is_over:  # who has taken ours since would name its link
            is_under_way = self.stage in {Stage.CALLING, Stage.OPEN}
            return is_under_way and now < self._crossing_until and not offer.description.link
        return running.stage is not CallStage.PAUSING

    def _refuse_for_want_of_room(self, offer: Offer, now: float) -> None:
        """Say busy; of an offer before it, which this one replaces, nothing is left."""
        if self.stage in {Stage.OFFERED, Stage.ANSWERING} and not self._call.is_over:
            self._call.withdraw()
            self.approval.end()
            self.log.ended("busy")
            self._end("busy", now)
        self._send_document(Refusal(offer.session, "busy"))

    def _take_offer(self, offer: Offer, by: By, now: float) -> None:
        """Let an offer take the place of what was before it; NOBODY: our person is asked."""
        accept = by is not By.NOBODY
        if self.stage is Stage.AWAITING_RETRY and not accept:  # the yes was taken back meanwhile
            self._time_is_up(now)
        before = self.stage
        goes_on = self.is_conversing or before is Stage.AWAITING_RETRY
        if not self._call.is_over:
            self._call.withdraw()
        elif not goes_on:
            self._begin_report(now)
        if not (self.is_conversing or before is Stage.OFFERED):
            self._take_username(offer.description.username)
        call = self._begin_call(self._context.attempts, False, now)
        call.offered(offer, now)
        if before is not Stage.RESCUING:
            self.log.began = now
        if not (goes_on or before is Stage.OFFERED):
            self.log.happened(events.OfferReceived, accept, self.is_quiet)
        if not self.is_conversing:
            self._enter(Stage.ANSWERING if accept else Stage.OFFERED)
        if accept:
            self.approval.give(by)
            self._answer(call, now)
        else:
            call.ask(now)

    def _answer(self, call: Call, now: float) -> None:
        call.has_priority = self.approval.has_priority
        try:
            call.accept(now)
        except RemoteProtocolError as error:
            call.cancel("declined")
            if self.is_conversing:
                self._call_failed("not-proved", str(error), now)
            else:
                self._tell_end("not-proved", str(error))
                self._end(str(error), now)

    def delivered(self, session: str, now: float) -> None:
        """The registry took an offer of ours."""
        self._call.delivered(session, now)
        self.settle(now)

    def undeliverable(self, document: DeliveryFailure, now: float) -> None:
        """The registry didn't deliver a document of ours."""
        self._call.undeliverable(document, now)
        self.settle(now)

    # -- what the network says

    def network_returned(self, now: float) -> None:
        """The network is back after it was away: don't wait for a pause to end."""
        self._call.hurry(now)
        self.settle(now)

    def network_changed(self, now: float) -> None:
        """This machine has other addresses now: look for a path before silence tells."""
        self._check_path(now)
        self._improve(now)
        self.settle(now)

    def candidates_changed(self, now: float) -> None:
        """Gathering learned something new; it may help away from a relay."""
        self._call.candidates_changed()
        relayed = self.path is not None and self.path.is_relayed
        if relayed and not self._call.attempt.is_checking and now >= self._improve_from:
            self._improve(now)
        self.settle(now)

    def improve(self, now: float) -> bool:
        """Look for a better path, if the other side lacks candidates of ours; tells whether."""
        path, lacking = self.path, self._call.untold
        if path is None or not path.may_be_nearer:
            return False
        if not path.is_relayed:
            lacking &= {CandidateType.HOST}
        if lacking:
            self._improve(now)
        self.settle(now)
        return bool(lacking)

    def _improve(self, now: float) -> None:
        """Look for another path for the link that is open; nothing is told to be lost."""
        if self.is_open and self._call.is_over:
            self.log.began, self._improve_from = now, now + IMPROVE_INTERVAL
            self._begin_call(1, True, now).call(now)

    def path_moved(self, ufrag: str, path: Path, now: float) -> None:
        """An attempt chose a path."""
        if ufrag == self._call.ufrag:
            self._call.path_found(path)
        if ufrag == self._ufrag:
            self.link.idle.moved(self.path, path, now)
            self._use(path, now)
        self.settle(now)

    def round_ended(self, ended: RoundEnded, now: float) -> None:
        """A round of checks of an attempt ended."""
        ufrag, succeeded = ended.ufrag, ended.succeeded
        if not succeeded and ufrag == self._call.ufrag:
            if self.path is None:  # its link never had one, and has no say in the next attempt
                self.link.close("no check got through", now)
            self._call.round_failed(now)
        if ufrag == self._ufrag:
            is_fit = self.is_conversing or self._context.agent.is_fit(ended.ufrag)
            if succeeded and not is_fit:
                self._link_lost("the path carries checks and not the link", now)
            elif succeeded:
                self._verified(ended.rtt, now)
            elif self._loss.spares(self.link.idle.has_heard(ended.began), now):
                self._check_path(now)
            else:
                self._rescue("checks on the path get no answer", now, is_certain=False)
        self.settle(now)

    def pair_unfit(self, route: Route, fitness: Fitness, now: float) -> None:
        """A pair of an attempt was found not to carry the link."""
        self.log.pair_unfit(route, fitness, now)
        self.settle(now)

    def receive_link_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Take QUIC datagrams that came over a route of its attempt."""
        self.link.receive_datagrams(datagrams, now)
        self._heard()
        self.settle(now)

    def beat(self, now: float) -> None:
        """Send a heartbeat; called at the heartbeat's rhythm."""
        self.link.control.beat(now)
        if self.path is not None and self.path.is_relayed:
            self._check_path(now)  # a direct path may be possible by now
        self.settle(now)

    # -- time, and what goes out

    def handle_timer(self, now: float) -> None:
        """Let every child do what is due."""
        self._call.handle_timer(now)
        self.link.handle_timer(now)
        if self._until is not None and now >= self._until:
            self._time_is_up(now)
        self._loss.handle_timer(now)
        self._note_silence(now)
        if self.link.is_silent(now):
            self._link_lost("the link stayed silent on its new path", now)
        self.settle(now)

    def _time_is_up(self, now: float) -> None:
        """The patience of a stage has ended."""
        if self.stage is Stage.CLOSING:
            self.conversation.skip_lines()  # DISCONNECT goes out as the link is closed
            if self._has_said_all or self._calls_again or not self.link.control.is_leaving:
                self._left(now)
            else:
                self._has_said_all, self._until = True, now + GOODBYE
        elif self.stage is Stage.AWAITING_RETRY and self._failure is not None:
            self._tell_end(*self._failure)
            self._enter(Stage.ENDED)
        elif self.stage is Stage.RESCUING:
            self.log.disconnected("lost", self.conversation.undelivered, ours=False)
            self.approval.lose(now)
            self._end("lost", now)

    def get_timer(self) -> float | None:
        """Return the earliest deadline."""
        return earliest(self._until, self._loss.due, self.link.get_timer(), self._call.get_timer())

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what goes over the path."""
        if self.conversation.events:
            self.settle(now)
        outgoing = self.link.datagrams_to_send(now)
        self.settle(now)  # QUIC may have ended
        return outgoing

    def next_event(self) -> SessionOutcome | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    # -- the children's events

    def settle(self, now: float) -> None:
        """Let each child's events act on the others until all is quiet."""
        while (event := self._call.next_event() or self.link.next_event(now)) is not None:
            self._react(event, now)
        remote_left = self.stage is Stage.CLOSING and self.link.control.remote_left
        if remote_left and not self.conversation.has_unread:
            self._left(now)
        self._ask_for_chat()
        self.notify()

    def _send_document(self, body: PeerDocument) -> None:
        self._events.append(DocumentReady(self.peer_id, body))

    def _react(self, event: object, now: float) -> None:
        match event:
            case _ if isinstance(event, talk.LineEvent):
                self._tell_of_line(event)
            case talk.EntriesWaiting(are_ours) if not self._context.is_lasting:
                self.conversation.stored(self.conversation.next_unstored(are_ours))
            case _ if isinstance(event, talk.StoreEvent):
                self._events.append(StoreRequest(self.peer_id, event))
            case LinkEnded(error):
                self._link_ended(error, now)
            case control.Opened(username) if self.stage is not Stage.CLOSING:
                self._take_username(username)
            case talk.Introduced(is_new):
                self._opened(is_new, now)
            case control.Answered():
                self._heartbeat_answered(now)
            case control.AnswerOverdue() | LinkStalled():
                self._doubt_path(isinstance(event, LinkStalled), now)
            case control.PeerSilent():
                self._rescue("three heartbeats went unanswered", now)
            case control.RemoteDisconnected(reason, detail):
                self._remote_disconnected(reason, detail, now)
            case RuleBroken(explanation):
                self._rule_broken(explanation, now)
            case _:
                self._react_to_call(event, now)

    def _react_to_call(self, event: object, now: float) -> None:
        match event:
            case StreamStirred():
                self._events.append(event)
            case StreamRefused(kind, reason, detail):
                self.log.note(f"they take no {kind}: {reason} {detail}".rstrip(), now)
            case ProbeWanted(size):
                self._context.agent.probe_size(self._ufrag, size, now)
            case calls.SendDocument(body):
                self._send_document(body)
            case calls.AttemptBegan(attempt):
                attempts = 0 if self.is_conversing else self._context.attempts
                self.log.happened(events.Calling, attempt, attempts)
            case calls.PeerRings():
                self.log.happened(events.Rings)
            case calls.ChecksBegan(addresses):
                self.log.happened(events.Checking, addresses)
            case calls.Agreed():
                self._agreed(event, now)
            case calls.StreamDoubted():
                self.log.note(RENEWED, now)
                self._events.append(SignalingDoubted(self.peer_id))
            case calls.PathReady():
                self._path_ready(event, now)
            case calls.CallEnded(reason, explanation):
                self._call_failed(reason, explanation, now)

    # -- stages

    def _enter(self, stage: Stage, until: float | None = None) -> None:
        """Begin a stage; what the one before waited for is over."""
        assert stage is self.stage or stage in TRANSITIONS[self.stage], (self.stage, stage)
        if self.stage is Stage.OFFERED and stage is not Stage.OFFERED:
            self.is_quiet = False
        self.stage, self._until, self._failure = stage, until, None
        self._has_said_all = False
        if stage in {Stage.ENDED, Stage.CLOSING}:  # a call that went on could open a link here
            self._calls_again = False
            self._call.cancel("cancelled")

    def _opened(self, is_new: bool, now: float) -> None:
        if self.stage is Stage.CLOSING:
            return
        self._loss.confirm()
        self.approval.returned()
        self._carries()
        self.link.idle.found(now)
        resumed = self.is_conversing and not is_new
        self._enter(Stage.OPEN)
        self.log.connected(resumed, self.link.key_exchange, now)

    def _heartbeat_answered(self, now: float) -> None:
        """The link works over the path of now."""
        self._carries()
        if self.stage is Stage.RESCUING:
            self._enter(Stage.OPEN)
            if self._call.is_outgoing:  # theirs goes on: its refusal would end the conversation
                self._call.cancel("cancelled")
            if self._loss.end(now):
                self.link.idle.revived()
                self.log.note("the path was only slow", now)
            else:
                self.link.idle.found(now)
                self.log.connected(True, self.link.key_exchange, now)

    def _remote_disconnected(self, reason: str, detail: str, now: float) -> None:
        self.log.note(f"they ended it: {reason} {detail}".rstrip(), now)
        self._tell_end(reason if reason in messages.REASONS else "left", detail)
        if self.stage is not Stage.CLOSING:
            self._enter(Stage.CLOSING, now + lingering(self.rtt))  # to confirm what is being read

    def _rule_broken(self, explanation: str, now: float) -> None:
        if self.stage is not Stage.CLOSING:
            self.log.note(explanation, now)
            self._tell_end("protocol-error", explanation)
            self._close("protocol-error", explanation[:500], now)

    def _close(self, reason: str, detail: str, now: float) -> None:
        """Say DISCONNECT, and give it time to arrive."""
        self.link.control.leave(reason, detail)
        self._enter(Stage.CLOSING, now + lingering(self.rtt))

    def _left(self, now: float) -> None:
        """The goodbye has arrived, or had its time."""
        calls_again = self._calls_again
        self._end("left" if self.link.control.remote_left else "closed", now)
        if calls_again:
            self.call(now, self._calls_by)

    # -- path and link

    def _path_ready(self, ready: calls.PathReady, now: float) -> None:
        if self._ufrag != self._call.ufrag:
            self._context.agent.forget(self._ufrag)
        self._ufrag = self._call.ufrag
        crossing = bounded(CROSSING, CROSSING_TRIPS * self._call.trip, LONGEST)
        self._crossing_until = now + crossing if self._call.is_outgoing else now
        self.link.idle.found(now)
        if ready.continues and self.path is not None and self.path.route == ready.path.route:
            self._loss.found_anew()
        else:
            self._loss.confirm()
        self.link.path = None
        if not self.link:  # an attempt makes one
            self._link_lost("the link ended before there was a path", now)
            return
        if ready.continues:
            self.link.probe(now, self.stage is Stage.RESCUING, ready.path.rtt)
        self._use(ready.path, now)

    def _agreed(self, agreed: calls.Agreed, now: float) -> None:
        """Make the link, unless ours goes on, and let its flight go where it may."""
        flight: tuple[bytes, ...] = ()
        if not agreed.continues:
            self.link.begin(self._new_link(agreed), agreed.session, now)
            flight = self.link.first_flight(agreed.flight, now)
        self._call.check(flight, now)

    def _link_ended(self, error: P2PChatError, now: float) -> None:
        self.log.note(str(error), now)
        if isinstance(error, ProofFailed):
            self._tell_end("not-proved", str(error))
            self._end(str(error), now)
        elif isinstance(error, HandshakeRefused):
            self._call.cancel("no-handshake", error.reason[:500])
            self._tell_end("no-handshake", str(error))
            self._end(str(error), now)
        else:
            self._link_lost(f"the link ended: {error}", now)

    # -- rescues and ends

    def _link_lost(self, explanation: str, now: float) -> None:
        """Go on without the link: the next path makes a new one."""
        self.link.close(explanation, now)
        attempts_left = self._context.attempts - self._failed_links
        if self.stage is Stage.CLOSING:
            self._left(now)
        elif self.is_conversing:
            self._rescue(explanation, now)
        elif self.stage is Stage.CALLING and attempts_left > 1:
            self._failed_links += 1
            self._call.give_up(explanation)
            self._begin_call(attempts_left - 1, False, now).call(now)
        else:
            self._call.give_up(explanation)
            self._attempt_failed("no-path", *self.log.explain(explanation, self.report(now)), now)

    def _rescue(self, explanation: str, now: float, is_certain: bool = True) -> None:
        """Look for a new path, keeping the link if the other side does."""
        if not (self._call.is_over and self.is_conversing):
            return
        if self.stage is Stage.OPEN:
            self._enter(Stage.RESCUING, now + RESCUE_PATIENCE)
            was_busy = self.link.idle.has_heard(now - BUSY)
            self._loss.begin(explanation, self.rtt, was_busy, now)
            if is_certain:
                self._loss.confirm()
            self._events.append(PathFailed(self.peer_id))
            self.link.idle.lost(now)
        self.log.note(explanation, now)
        self._begin_call(RESCUE_ATTEMPTS, True, now).call(now)

    def _call_failed(self, reason: str, explanation: str, now: float) -> None:
        """A call has come to nothing; what that means is the stage's matter."""
        if self.stage in {Stage.ENDED, Stage.AWAITING_RETRY, Stage.CLOSING}:
            return  # it ended in the same moment as what it was for
        if self.stage is Stage.OPEN:
            if self.link and self.path is not None:
                self._check_path(now)  # an offer more or less ends nothing, unless the path is dead
            else:
                self._rescue(explanation, now)
        elif self.stage is Stage.RESCUING:
            # Our search for another path was refused; for a better one before, that was no word.
            if self._call.is_outgoing and self._call.attempts > 1:
                self._tell_end(reason, explanation)
                self._end(reason, now)
            else:
                self._rescue(explanation, now)
        elif reason in {"cancelled", "no-answer"} and not self._call.is_outgoing:
            self.log.offer_ended(reason, self.is_quiet)
            self.approval.end()
            self._end(reason, now)
        else:
            self._attempt_failed(reason, *self.log.explain(explanation, self.report(now)), now)

    def _attempt_failed(self, reason: str, explanation: str, summary: str, now: float) -> None:
        """Tell that no conversation came of it, at once unless the caller may try again."""
        if reason == "no-path" and self.stage is Stage.ANSWERING and self.approval.holds(now):
            if not self._call.is_over:
                self._call.withdraw()
            self._release(reason, now)
            patience = RETRY_PATIENCE + RETRY_TRIPS * self._call.trip
            self.approval.await_retry(now, patience)
            self._enter(Stage.AWAITING_RETRY, now + patience)
            self._failure = (reason, explanation, summary)
        else:
            self._tell_end(reason, explanation, summary)
            self._end(reason, now)

    def _tell_end(
        self, reason: str, explanation: str = "", summary: str = "", *, ours: bool = False
    ) -> None:
        """Tell the end of a conversation, or of a call; the next one needs a yes of its own."""
        undelivered = self.conversation.undelivered
        if self.is_conversing:
            self.log.disconnected(reason, undelivered, ours, explanation)
        elif self.stage is not Stage.CLOSING:
            self.log.failed(reason, explanation, summary or explanation, undelivered, ours)
        self.approval.end()

    def _end(self, phrase: str, now: float) -> None:
        """Let everything go."""
        self._release(phrase, now)
        self._loss.end(now)
        self._enter(Stage.ENDED)
