"""
A call: offers and answers, ringing, refusals and retries, until there is a path.

::

    outgoing    idle ─call─▶ offering ─answer─▶ checking ─path─▶ settled
                              ▲   │  └ringing─▶ ringing ─answer─▶ (checking)
                              │   ▼ no answer, no path
                            pausing ── attempts used up, refused, unknown peer ──▶ ended

    incoming    idle ─offer─▶ offered ─accept─▶ checking ─path─▶ settled
                                 │                └─no path─▶ ended: the caller offers afresh
                                 └─ declined, cancelled, expired ─▶ ended

``_ACTIONS``, at the end of this file, is the table of what each stage does with each document and
each method.  What a stage has no entry for is ignored: a document that comes late or twice, a
person who accepts what was taken back meanwhile, an answer to an offer of theirs.

A call owns one :class:`p2pchat.traversal.attempt.Attempt` at a time; documents of another one are
ignored.  An offer that gets no answer in time is repeated, and its attempt goes on: an answer that
comes late is as good, and who has answered already answers again.  An attempt that found no path is
followed by a new one.

Documents come in verified.  They leave as :class:`SendDocument`, in order with all other events;
signing and delivery are for whoever takes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum

import attrs

from p2pchat.errors import HandshakeRefused
from p2pchat.identity.exchange import PeerIds
from p2pchat.session.call_events import (
    Agreed,
    AttemptBegan,
    CallEnded,
    CallEvent,
    ChecksBegan,
    DeliveryFailure,
    PathReady,
    PeerRings,
    SendDocument,
    StreamDoubted,
)
from p2pchat.session.qh3_connection import DATAGRAM_SIZE
from p2pchat.session.retry_after import RetryAfter
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.attempt import MAX_REPEATS, Attempt, extended
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.report import AttemptReport
from p2pchat.traversal.round_trips import REGISTERING, TRIPS, bounded
from p2pchat.wire.addresses import format_address
from p2pchat.wire.documents import (
    Answer,
    Candidates,
    CandidateType,
    Description,
    Offer,
    PeerDocument,
    Refusal,
    Ringing,
)

ANSWER_TIMEOUT = 3.0  # seconds for an answer or RINGING; both need one trip over the registry, ...
ANSWER_TRIPS, LONGEST_ANSWER = 4, 30.0  # ... or so many of our round trips to it; seconds at most
STREAM_RENEWAL = (
    10.0  # seconds in which a peer finds and renews a dead event stream, and some trips
)
RING_TIMEOUT = 90.0  # seconds for a person to decide
PAUSES = (0.3, 1.0, 2.0, 4.0, 8.0)  # seconds between attempts; the last repeats
ANSWER_PAUSE = 1.0  # seconds before an answer is sent again whose reader wasn't there, at least
MAX_ANSWERS = 2  # times that it is sent again: an event stream is renewed within that
MAX_REPORTS = 10  # attempts that are reported; the oldest go


# Reasons that a refusal of the other side may give.  Any other one is read as "declined": a peer
# must not be able to claim what only we know ("cancelled") or the registry ("peer-offline").
_REFUSALS = {
    "declined": "they declined",
    "no-answer": "nobody answered",
    "busy": "they are busy",
    "left": "they have left",
    "unsupported-version": "their program speaks another version",  # a newer one may say so
    "clock": "the clocks of the two programs differ",
    "no-handshake": HandshakeRefused.sentence(),
}
_OTHER_REFUSAL = "declined"
# Reasons of the registry that say that nobody is there.
_ABSENT = {
    "unknown-peer": "they aren't online: their program doesn't run, or uses another registry",
    "peer-offline": "they aren't online: the registry has lost sight of their program",
}

_FINAL = {"unknown-peer", "no-sealing-key"}  # that another try soon changes nothing of

_OUR_REFUSALS = {
    "declined": "we declined",
    "cancelled": "we took the offer back",
    "no-handshake": HandshakeRefused.sentence(),
}
_NO_PATH = ("no-path", "no check got through")
_NO_ANSWER = (
    "no answer came to an offer that the registry took: their program hangs, or their connection "
    "to the registry is dead, which it finds out by itself within seconds: call again"
)
_NOT_TAKEN = "the registry hasn't taken the offer in time"


class Direction(Enum):
    """Direction of a call: we make the offers, or the peer does."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class CallStage(Enum):
    """Stage of a call; the module docstring has the picture."""

    IDLE = "idle"  # neither called nor offered yet
    OFFERING = "offering"  # our offer is out
    RINGING = "ringing"  # their person is being asked
    PAUSING = "pausing"  # an attempt failed; the next offer is to follow
    OFFERED = "offered"  # their offer waits for our person, or for its policy
    CHECKING = "checking"  # both descriptions are known, and there is no path yet
    SETTLED = "settled"  # there is a path; checks may go on, for a better one
    ENDED = "ended"


@attrs.define(eq=False)
class Call:
    """
    The machine of one call.

    :ivar agent: the traversal of our socket.
    :ivar peer_ids: ours and the peer's.
    :ivar username: what we call ourselves.
    :ivar held_link: name of the link that a new path is wanted for, or "".
    :ivar attempts: the number of offers that may be made.
    :ivar patient: whether to try again where a person who waits would rather be told: a peer whom
        the registry doesn't know, a registry that asks for a long wait.
    :ivar began: the time that the milliseconds of reports count from.
    :ivar hint: how this peer was reached last.
    :ivar has_priority: whether the peer is a contact, or our person called or accepted it.
    :ivar rtt: returns the seconds of a round trip to the registry, 0 while unknown.
    :ivar direction: ``None`` while it is idle.
    :ivar continues: whether both sides still hold the link.
    """

    agent: Agent
    peer_ids: PeerIds
    username: str
    held_link: str
    attempts: int
    patient: bool
    _random_bytes: Callable[[int], bytes]
    began: float = 0.0
    hint: PathHint | None = None
    has_priority: bool = False
    rtt: Callable[[], float] = lambda: 0.0
    direction: Direction | None = None
    stage: CallStage = CallStage.IDLE
    continues: bool = False
    _attempt: Attempt | None = None
    _number: int = 0  # of attempts so far
    _offered: Description | None = None  # theirs
    _flight: bytes = b""  # of our answer
    _answers: int = 0  # times that our answer was sent
    _sent_at: float = 0.0  # our offer, or our answer
    _is_delivered: bool = False  # our offer
    _has_doubted: bool = False  # the event stream
    _refusal: Refusal | None = None  # of their offer
    _ended_for: str = ""
    _deadline: float | None = None
    _retry_after: RetryAfter = attrs.Factory(  # with the registry
        lambda self: RetryAfter(self._random_bytes), takes_self=True
    )
    _past: deque[AttemptReport] = attrs.Factory(lambda: deque(maxlen=MAX_REPORTS))
    _events: deque[CallEvent] = attrs.Factory(deque)

    # -- state

    @property
    def attempt(self) -> Attempt:
        """The current attempt; an idle call has none."""
        assert self._attempt is not None
        return self._attempt

    @property
    def session(self) -> str:
        """The name of the current attempt, "" while idle."""
        return "" if self._attempt is None else self._attempt.session

    @property
    def trip(self) -> float:
        """Seconds that a document and its answer take over the registry, 0 while unknown."""
        return 0.0 if self._attempt is None else self._attempt.trip

    @property
    def ufrag(self) -> str:
        """Our username fragment in the current attempt, "" while idle."""
        return "" if self._attempt is None else self._attempt.ufrag

    @property
    def is_outgoing(self) -> bool:
        """Whether the offer is ours."""
        return self.direction is Direction.OUTGOING

    @property
    def untold(self) -> frozenset[CandidateType]:
        """The types of those candidates of ours that the other side hasn't been told of."""
        return frozenset() if self._attempt is None else self._attempt.untold

    @property
    def is_calling(self) -> bool:
        """Whether our own offer is out, or about to go out."""
        return self.stage in {CallStage.OFFERING, CallStage.RINGING, CallStage.PAUSING}

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.stage in {CallStage.IDLE, CallStage.SETTLED, CallStage.ENDED}

    def reports(self) -> tuple[AttemptReport, ...]:
        """Return a report of each attempt, the current one last."""
        running = self._attempt is not None and not self._attempt.is_over
        return (*self._past, *([self.attempt.report(self.began)] if running else []))

    # -- inputs

    def call(self, now: float) -> None:
        """Make an offer, the first or the next, or repeat the one that waits for its answer."""
        if self._attempt is None or self._attempt.is_over:
            self._begin(Direction.OUTGOING, self._random_bytes(16).hex(), now)
        else:
            self._number += 1
        self.stage, self._deadline = CallStage.OFFERING, now + self._answer_time(0.0)
        self._sent_at, self._is_delivered = now, False
        self.agent.prepare(now, self.peer_ids.remote)
        self._send_offer(now)
        self._events.append(AttemptBegan(self._number))

    def offered(self, offer: Offer, now: float) -> None:
        """Take an offer; :meth:`ask` or :meth:`accept` is to follow."""
        self._begin(Direction.INCOMING, offer.session, now)
        self.stage, self._offered = CallStage.OFFERED, offer.description

    def offered_again(self, offer: Offer, now: float) -> None:
        """Take the same offer once more: what answered it may be lost."""
        if self.stage is CallStage.ENDED and self._refusal is not None:
            self._send(self._refusal)
        else:
            self._take(Call.offered_again, offer, now)

    def ask(self, now: float) -> None:
        """Send RINGING and wait for :meth:`accept` or :meth:`cancel`."""
        self._take(Call.ask, now)

    def accept(self, now: float) -> None:
        """
        Take the offer; the answer goes out with :meth:`check`.

        :raises RemoteProtocolError: the offer's key is unfit.
        """
        self._take(Call.accept, now)

    def cancel(self, reason: str, detail: str = "") -> None:
        """Decline their offer, or take ours back; no event follows but the refusal."""
        self._take(Call.cancel, reason, detail)

    def withdraw(self) -> None:
        """Drop the offer silently: another one of the peer's takes its place."""
        self.give_up("another offer took its place")

    def give_up(self, failure: str) -> None:
        """Drop the attempt silently, and the path that it may have found; reports say why."""
        self._abandon(failure, CallStage.ENDED)

    def repeat(self, now: float) -> None:
        """
        Send the same offer again, because an offer of theirs has just crossed it.

        That shows that they are there now.  If their network has changed, the first copy may have
        gone down an event stream that was dead already.
        """
        self._take(Call.repeat, now)

    def receive(self, body: PeerDocument, now: float) -> None:
        """
        Take a document of the peer.

        :raises RemoteProtocolError: the answer's key is unfit.
        """
        if body.session == self.session:
            self._take(type(body), body, now)

    def delivered(self, session: str, now: float) -> None:
        """Take word that the registry took our offer."""
        if session == self.session:
            self._take(Call.delivered, now)

    def undeliverable(self, document: DeliveryFailure, now: float) -> None:
        """Take word that the registry didn't deliver a document of ours."""
        # How long the registry wants to be left alone doesn't depend on which attempt it was.
        self._retry_after.refused(document.retry_after, now)
        if document.body.session == self.session:
            self._take(Call.undeliverable, document, now)

    def candidates_changed(self) -> None:
        """Tell the other side, if it has an offer or answer of ours: our candidates changed."""
        self._take(Call.candidates_changed)

    def check(self, flight: tuple[bytes, ...], now: float) -> None:
        """
        Begin to check, as :class:`Agreed` asks.

        :param flight: our first datagrams of the new link; none where the old one goes on.
        """
        self._take(Call.check, flight, now)

    def path_found(self, path: Path) -> None:
        """Settle on the path that the checks found."""
        self._take(Call.path_found, path)

    def round_failed(self, now: float) -> None:
        """Take word that the checks ended without a path."""
        self._take(Call.round_failed, now)

    def hurry(self, now: float) -> None:
        """End a pause early, as soon as the registry allows: the network is back."""
        self._take(Call.hurry, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due at the deadline of the stage."""
        if self._deadline is not None and now >= self._deadline:
            self._take(Call.handle_timer, now)

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        return self._deadline

    def next_event(self) -> CallEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    def _take(self, what: object, *arguments: object) -> None:
        """Do what the table has for this stage."""
        action = _ACTIONS.get((self.direction, self.stage), {}).get(what)
        if action is not None:
            action(self, *arguments)

    # -- steps of both directions

    def _begin(self, direction: Direction, session: str, now: float) -> None:
        offers = direction is Direction.OUTGOING
        self._attempt = Attempt(
            *(self.agent, self.peer_ids, session, offers, now, self.hint, self._random_bytes),
            self.rtt(),
        )
        self.direction, self._number = direction, self._number + 1

    def _send(self, body: PeerDocument) -> None:
        self._events.append(SendDocument(body))

    def _agree(self, theirs: Description, flight: bytes = b"") -> None:
        self.attempt.agree(theirs)
        # Each side names the link that it still holds; only if both name the same it goes on.
        self.continues = bool(theirs.link) and theirs.link == self.held_link
        self.stage, self._deadline = CallStage.CHECKING, None
        starts = range(0, len(flight), DATAGRAM_SIZE)
        datagrams = tuple(flight[start : start + DATAGRAM_SIZE] for start in starts)
        secret, dials = self.attempt.handshake_secret, not self.is_outgoing
        trip = self.attempt.trip
        self._events.append(Agreed(self.session, secret, self.continues, dials, datagrams, trip))
        addresses = dict.fromkeys(format_address(one.address) for one in theirs.candidates)
        self._events.append(ChecksBegan(tuple(addresses)))

    def _add_candidates(self, update: Candidates, now: float) -> None:
        if self.attempt.add_candidates(update, now):
            self.candidates_changed()

    def _update(self) -> None:
        self._send(self.attempt.update())

    def _update_if_checking(self) -> None:
        if self.attempt.is_checking:
            self._update()

    def _settle(self, path: Path) -> None:
        self.stage, self._deadline = CallStage.SETTLED, None
        self._events.append(PathReady(self.session, path, self.continues))

    def _cancel(self, reason: str, detail: str) -> None:
        refusal = Refusal(self.session, reason, detail)
        self._refusal = None if self.is_outgoing else refusal
        self._send(refusal)
        self._abandon(_OUR_REFUSALS.get(reason, reason), CallStage.ENDED)

    def _expire(self, _now: float) -> None:
        """End a call that a person didn't take in time; the other side is told why."""
        self._send(Refusal(self.session, "cancelled" if self.is_outgoing else "no-answer"))
        self._end("no-answer", f"nobody answered within {RING_TIMEOUT:.0f} seconds")

    def _end(self, reason: str, explanation: str) -> None:
        self._ended_for = reason
        self._abandon(explanation, CallStage.ENDED)
        self._events.append(CallEnded(reason, explanation))

    def _abandon(self, failure: str, then: CallStage) -> None:
        self.stage, self._deadline, self._flight = then, None, b""
        if not self.attempt.is_over:  # during a pause it is over, and reported, already
            self._past.append(self.attempt.report(self.began, failure))
            self.attempt.give_up()

    # -- steps of an outgoing call

    def _send_offer(self, now: float) -> None:
        self._send(Offer(self.session, self.attempt.describe(self.username, self.held_link, now)))

    def _ringing(self, _ringing: Ringing, now: float) -> None:
        self.stage, self._deadline = CallStage.RINGING, now + RING_TIMEOUT
        self._events.append(PeerRings())

    def _answered(self, answer: Answer, _now: float) -> None:
        self._agree(answer.description, answer.flight)

    def _answered_late(self, answer: Answer, now: float) -> None:
        if not self.attempt.is_over:
            self._answered(answer, now)

    def _rings_late(self, ringing: Ringing, now: float) -> None:
        if not self.attempt.is_over:
            self._ringing(ringing, now)

    def _answer_time(self, taken: float) -> float:
        """Return the seconds from the offer for its answer; it took ``taken`` to be delivered."""
        trip = max(self.rtt(), taken)
        return bounded(ANSWER_TIMEOUT, ANSWER_TRIPS * trip, LONGEST_ANSWER)

    def _offer_delivered(self, now: float) -> None:
        self._is_delivered = True
        wanted = self._sent_at + self._answer_time(now - self._sent_at)
        self._deadline = max(wanted, self._deadline or 0.0)

    def _check_answer(self, flight: tuple[bytes, ...], now: float) -> None:
        self.attempt.begin(self.has_priority, flight, now)
        self._send(Candidates(self.session, (), True))

    def _unanswered(self, now: float) -> None:
        """
        Make the same offer again.

        That the registry took it shows that the fault is a dead event stream, theirs or ours; ours
        is renewed, once, before the offer goes out again, or they get the blame.  Theirs gives them
        the offer as soon as they have renewed it, so that the last one has the time for that.
        """
        renewed = self.attempt.began + STREAM_RENEWAL + (REGISTERING + TRIPS) * self.rtt()
        is_last = self._number >= self.attempts and not self.patient
        if is_last and self._is_delivered and now < renewed:
            self._deadline = renewed
        else:
            sentence = _NO_ANSWER if self._is_delivered else _NOT_TAKEN
            self._retry("no-answer", sentence, now, goes_on=True)
        if self.stage is not CallStage.ENDED and self._is_delivered and not self._has_doubted:
            self._has_doubted = True
            self._events.append(StreamDoubted())

    def _refused(self, refusal: Refusal, _now: float, sentence: str = "") -> None:
        word = refusal.reason if refusal.reason in _REFUSALS else _OTHER_REFUSAL
        sentence = sentence or _REFUSALS[word]
        self._end(word, f"{sentence}: {refusal.detail}" if refusal.detail else sentence)

    def _hung_up(self, refusal: Refusal, now: float) -> None:
        self._refused(refusal, now, "they hung up before there was a path")

    def _offer_undelivered(self, document: DeliveryFailure, now: float) -> None:
        """
        Try again, unless a person waits and it can't be soon.

        The person is told at once then, and decides.  The word may come when we have given the
        attempt up already: then it decides about the pause.
        """
        reason, retry_after = document.reason, document.retry_after
        is_long = retry_after is not None and retry_after > PAUSES[-1]
        final = not self.patient and (reason in _FINAL or is_long)
        self._retry(reason, _ABSENT.get(reason, document.explanation), now, final)

    def _try_again(self, now: float) -> None:
        self._retry(*_NO_PATH, now)

    def _retry(
        self,
        reason: str,
        explanation: str,
        now: float,
        final: bool = False,
        goes_on: bool = False,
    ) -> None:
        """Make another offer after a pause; ``goes_on``: the same one."""
        if final or self._number >= self.attempts:
            self._end(reason, explanation)
            return
        if goes_on:
            self.stage = CallStage.PAUSING
        else:
            self._abandon(explanation, CallStage.PAUSING)
        pause = PAUSES[min(self._number, len(PAUSES)) - 1]
        self._deadline = self._retry_after.earliest(now + pause)

    def _hurry(self, now: float) -> None:
        self._deadline = self._retry_after.earliest(now)
        self.handle_timer(now)

    # -- steps of an incoming call

    @property
    def lacked_path(self) -> bool:
        """Whether it ended because no check got through; the same offer may be taken again."""
        return self.stage is CallStage.ENDED and self._ended_for == _NO_PATH[0]

    def _wait_again(self, offer: Offer, now: float) -> None:
        self._extend_offer(_candidates_of(offer), now)
        if self._deadline is not None:  # our person is asked
            self._send(Ringing(self.session))

    def _answer_again(self, offer: Offer, now: float) -> None:
        self._add_candidates(_candidates_of(offer), now)
        if now - self._sent_at >= ANSWER_PAUSE and self._answers < MAX_REPEATS:
            self.attempt.prolong(now)
            self._send_answer(now)

    def _ask(self, now: float) -> None:
        self._send(Ringing(self.session))
        self._deadline = now + RING_TIMEOUT

    def _extend_offer(self, update: Candidates, _now: float) -> None:
        assert self._offered is not None
        self._offered = extended(self._offered, update)

    def _accept(self, now: float) -> None:
        assert self._offered is not None
        self.agent.prepare(now, self.peer_ids.remote)
        self._agree(self._offered)

    def _check_offer(self, flight: tuple[bytes, ...], now: float) -> None:
        self.attempt.begin(self.has_priority, (), now)
        self._flight = b"".join(flight)
        self._send_answer(now)

    def _send_answer(self, now: float) -> None:
        self._answers, self._deadline, self._sent_at = self._answers + 1, None, now
        link = self.held_link if self.continues else ""
        description = self.attempt.describe(self.username, link, now)
        self._send(Answer(self.session, description, self._flight))

    def _answer_undelivered(self, document: DeliveryFailure, now: float) -> None:
        """Send the answer again in a moment, a few times: the caller may be renewing its stream."""
        if not isinstance(document.body, Answer) or document.reason not in _ABSENT:
            return
        if self._answers > MAX_ANSWERS:
            self._end("peer-offline", "they are gone: their program has left the registry")
        else:
            self._deadline = now + max(ANSWER_PAUSE, self.attempt.trip)

    def _taken_back(self, refusal: Refusal, now: float) -> None:
        if refusal.reason == "no-handshake":  # the caller has our first flight, and can't use it
            self._refused(refusal, now)
        else:
            self._end("cancelled", "they took the offer back")

    def _fail(self, _now: float) -> None:
        self._end(*_NO_PATH)


def _candidates_of(offer: Offer) -> Candidates:
    """Return what a repeated offer may have that the first had not."""
    return Candidates(offer.session, offer.description.candidates, False, offer.description.nat)


# For each stage: what may happen, a document that comes or a method that is called, and the step
# that follows.  Ended has no row, for nothing matters any more; nor has idle, which call() and
# offered() alone leave.
_Row = Mapping[object, Callable[..., None]]
# fmt: off
_SETTLED: _Row = {  # checks may go on, for a better path
    Candidates: Call._add_candidates, Call.candidates_changed: Call._update_if_checking,
}
_ACTIONS: Mapping[tuple[Direction | None, CallStage], _Row] = {
    # No candidates before the answer: without its key and fragment they can't be checked.
    (Direction.OUTGOING, CallStage.OFFERING): {
        Answer: Call._answered, Ringing: Call._ringing, Refusal: Call._refused,
        Call.repeat: Call._send_offer, Call.candidates_changed: Call._update,
        Call.undeliverable: Call._offer_undelivered, Call.handle_timer: Call._unanswered,
        Call.delivered: Call._offer_delivered, Call.cancel: Call._cancel,
    },
    (Direction.OUTGOING, CallStage.RINGING): {
        Answer: Call._answered, Ringing: Call._ringing, Refusal: Call._refused,
        Call.candidates_changed: Call._update, Call.handle_timer: Call._expire,
        Call.cancel: Call._cancel,
    },
    (Direction.OUTGOING, CallStage.CHECKING): {
        Candidates: Call._add_candidates, Refusal: Call._hung_up,
        Call.check: Call._check_answer, Call.candidates_changed: Call._update,
        Call.path_found: Call._settle, Call.round_failed: Call._try_again,
        Call.cancel: Call._cancel,
    },
    # A refusal or the registry's word may come after its attempt was given up; it counts then, too.
    (Direction.OUTGOING, CallStage.PAUSING): {
        Answer: Call._answered_late, Ringing: Call._rings_late,
        Refusal: Call._refused, Call.undeliverable: Call._offer_undelivered,
        Call.hurry: Call._hurry, Call.handle_timer: Call.call, Call.cancel: Call._cancel,
    },
    (Direction.OUTGOING, CallStage.SETTLED): _SETTLED,
    (Direction.INCOMING, CallStage.OFFERED): {
        Candidates: Call._extend_offer, Refusal: Call._taken_back,
        Call.offered_again: Call._wait_again,
        Call.ask: Call._ask, Call.accept: Call._accept, Call.handle_timer: Call._expire,
        Call.cancel: Call._cancel,
    },
    (Direction.INCOMING, CallStage.CHECKING): {
        Candidates: Call._add_candidates, Refusal: Call._taken_back,
        Call.check: Call._check_offer, Call.candidates_changed: Call._update,
        Call.offered_again: Call._answer_again,
        Call.path_found: Call._settle, Call.round_failed: Call._fail,
        Call.undeliverable: Call._answer_undelivered, Call.handle_timer: Call._send_answer,
        Call.cancel: Call._cancel,
    },
    (Direction.INCOMING, CallStage.SETTLED): _SETTLED,
}
# fmt: on
