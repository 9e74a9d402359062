"""
One negotiation with a peer: offers, the answer, and attempts until a path is found.

::

    calling     idle ─call─▶ offering ─answer─▶ checking ─path─▶ settled
                              ▲   │  └ringing─▶ ringing ─answer─▶ (checking)
                              │   ▼ no answer, no path
                            pausing ── attempts used up, refused, unknown peer ──▶ ended

    called      idle ─offer─▶ asking ─accept─▶ checking ─path─▶ settled
                                 │                └─no path─▶ ended: the caller offers afresh
                                 └─ declined, cancelled, expired ─▶ ended

Every attempt has a new session name, ephemeral key and username fragment: nothing of an old
one can be used again.  The answering side checks first, with a low TTL; the offering side says
CANDIDATES when it has begun (:mod:`p2pchat.traversal.punching` has the picture).

Owns no signature and no delivery: bodies go out through :meth:`Negotiation.take_documents`, and
only what was verified comes in.  What doesn't fit the state is ignored, as late documents are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

import attrs

from p2pchat.identity.exchange import Exchange
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod, is_predicted
from p2pchat.traversal.punching import Credentials, Path, Phase, Punching
from p2pchat.traversal.remote_candidates import MAX_KEPT
from p2pchat.traversal.report import AttemptReport, NatReport, in_ms, milliseconds
from p2pchat.traversal.strategy import choose
from p2pchat.wire.addresses import Address, format_address
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Answer,
    Candidate,
    Candidates,
    Delivered,
    Description,
    Offer,
    Refusal,
    Ringing,
)
from p2pchat.wire.retry_after import Patience

ANSWER_TIMEOUT = 3.0  # seconds for an answer or RINGING; both need one trip over the registry
RING_TIMEOUT = 90.0  # seconds for a person to decide
PAUSES = (0.3, 1.0, 2.0, 4.0, 8.0)  # seconds between attempts; the last repeats
ANSWER_PAUSE = 1.0  # seconds before an answer is said again whose reader wasn't there
MAX_ANSWERS = 2  # times that it is said again: an event stream is renewed within that
MAX_TOLD = 10  # attempts that can be told of; the oldest go
MAX_REPEATS = 8  # times in an attempt that news of theirs makes us send our candidates again


@attrs.frozen
class AttemptBegan:
    """An offer goes out."""

    attempt: int


@attrs.frozen
class Rang:
    """The other side asks its person."""


@attrs.frozen
class ChecksBegan:
    """Both sides' candidates are known."""

    ufrag: str
    addresses: tuple[str, ...]


@attrs.frozen
class PathReady:
    """
    A path was found.

    :ivar session: names the link that is to be made, unless ``continues``.
    :ivar continues: both sides still hold the link that the offer named.
    :ivar dials: whether our side makes the link's first flight.
    """

    session: str
    path: Path
    continues: bool
    dials: bool


@attrs.frozen
class NegotiationFailed:
    """It is over; ``reason`` is a word of :class:`p2pchat.session.events.CallFailed`."""

    reason: str
    explanation: str


NegotiationEvent = AttemptBegan | Rang | ChecksBegan | PathReady | NegotiationFailed


# What the other side may say of our offer.  Any other word means that it declined: what we did
# ourselves, and what the registry says, are words of ours.
_REFUSALS = {
    "declined": "they declined",
    "no-answer": "nobody answered",
    "busy": "they are busy",
    "unsupported-version": "their program speaks another version",
    "clock": "the clocks of the two programs differ",
}
_OTHER_REFUSAL = "declined"
_THEY_HUNG_UP = "they hung up before there was a path"
# The registry's words for one who isn't there.
_ABSENT = {
    "unknown-peer": "they aren't online: their program doesn't run, or uses another registry",
    "peer-offline": "they aren't online: the registry has lost sight of their program",
}

_OUR_REFUSALS = {"declined": "we declined", "cancelled": "we took the offer back"}


class Stage(Enum):
    """Where a negotiation stands; the module docstring has the picture."""

    IDLE = "idle"
    OFFERING = "offering"
    RINGING = "ringing"
    PAUSING = "pausing"
    ASKING = "asking"
    CHECKING = "checking"
    SETTLED = "settled"
    ENDED = "ended"


_OVER = {Stage.IDLE, Stage.SETTLED, Stage.ENDED}
_CALLING = {Stage.OFFERING, Stage.RINGING, Stage.PAUSING}


@attrs.define
class _Attempt:
    """What the attempt of now has come to, beside its checks."""

    began: float = 0.0
    checks_began: float | None = None
    candidates: tuple[Candidate, ...] = ()  # ours, as they were told last
    theirs: NatTraits | None = None
    heard: set[Address] = attrs.Factory(set)  # addresses that they told, the first MAX_KEPT
    repeats: int = 0
    updated: bool = False  # ours changed after they were told in offer or answer

    def hear(self, candidates: tuple[Candidate, ...]) -> bool:
        """Take notice of theirs; tells whether any is new."""
        told = dict.fromkeys(one.address for one in candidates)
        news = [address for address in told if address not in self.heard]
        kept = news[: MAX_KEPT - len(self.heard)]
        self.heard.update(kept)
        return bool(kept)

    def may_repeat(self) -> bool:
        """Tell whether ours are sent again, for they may have gone down a stream that was dead."""
        self.repeats += self.updated
        return self.updated and self.repeats <= MAX_REPEATS

    def their_candidates(self, checks: Punching | None) -> tuple[Candidate, ...]:
        """Return what they told, as far as it is kept."""
        return () if checks is None else checks.candidates


@attrs.define(eq=False)
class Negotiation:
    """
    The machine of one negotiation.

    :ivar agent: the traversal of our socket.
    :ivar username: what we call ourselves.
    :ivar held_link: name of the link that a new path is wanted for, or "".
    :ivar attempts: how many offers may be made.
    :ivar patient: whether a peer who is offline is asked again, as for a lost conversation.
    :ivar session: the name of the attempt of now.
    :ivar ufrag: our username fragment of the attempt of now.
    :ivar continues: whether both sides still hold the link.
    :ivar dials: whether the link's first flight is ours to make: the offering side's.
    :ivar began: when the call began of which this is told; milliseconds count from then.
    :ivar remembered: how this peer was reached last.
    :ivar known: whether the peer is a contact, or our person called or accepted it.
    """

    agent: Agent
    username: str
    held_link: str
    attempts: int
    patient: bool
    _random_bytes: Callable[[int], bytes]
    began: float = 0.0
    remembered: PathHint | None = None
    known: bool = False
    stage: Stage = Stage.IDLE
    session: str = ""
    ufrag: str = ""
    dials: bool = False
    _attempt: int = 0
    _answers: int = 0  # times that the offer of now was answered
    _exchange: Exchange | None = None
    _offer: Offer | None = None
    continues: bool = False
    _punching: Punching | None = None
    _deadline: float | None = None
    _patience: Patience = attrs.field(init=False)  # with the registry
    _now: _Attempt = attrs.Factory(_Attempt)
    _past: deque[AttemptReport] = attrs.Factory(lambda: deque(maxlen=MAX_TOLD))
    _documents: list[Delivered] = attrs.Factory(list)
    _events: deque[NegotiationEvent] = attrs.Factory(deque)

    def __attrs_post_init__(self) -> None:
        self._patience = Patience(self._random_bytes)

    @property
    def is_calling(self) -> bool:
        """Whether our own offer is out, or about to go out."""
        return self.stage in _CALLING

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.stage in _OVER

    @property
    def is_checking(self) -> bool:
        """Whether checks of this attempt still go out, be it for a better path."""
        return self._punching is not None and self._punching.phase is Phase.CHECKING

    @property
    def _is_answering(self) -> bool:
        """Whether we have accepted an offer and look for its path."""
        return self.stage is Stage.CHECKING and not self.dials

    # -- what is told of it

    def told(self) -> tuple[AttemptReport, ...]:
        """Return what was tried so far, attempt by attempt."""
        running = self.ufrag and self.stage not in {Stage.PAUSING, Stage.ENDED}
        return (*self._past, *([self._attempt_told("")] if running else []))

    def _attempt_told(self, failure: str) -> AttemptReport:
        gathering, now, checks = self.agent.gathering, self._now, self._punching
        ours, theirs, remembered = gathering.traits(), now.theirs, self.remembered
        known = theirs is not None and remembered is not None and remembered.fits(ours, theirs)
        return AttemptReport(
            NatReport.of(ours, gathering.is_blocked, now.candidates),
            None
            if theirs is None
            else NatReport.of(theirs, False, self._now.their_candidates(checks)),
            self.dials,
            in_ms(now.began - self.began),
            milliseconds(now.checks_began, self.began),
            "" if theirs is None else choose(ours, theirs).value,
            remembered.method.value if known and remembered is not None else "",
            () if checks is None else checks.pair_reports(self.began),
            None if checks is None else checks.burst_report(self.began),
            "" if self.means is None else self.means.value,
            checks is not None and not checks.has_settled and not failure,
            failure,
        )

    @property
    def means(self) -> PathMethod | None:
        """What made the path of the attempt of now."""
        checks, theirs = self._punching, self._now.theirs
        if checks is None or checks.path is None or theirs is None:
            return None
        path, ours = checks.path, self.agent.gathering.traits()
        if checks.method is PathMethod.PLAIN and is_predicted(
            ours, path.local, theirs, path.remote
        ):
            return PathMethod.PREDICTED
        return checks.method

    def memory(self, wall: float) -> PathHint | None:
        """
        Return how the path came about, for the next call; ``None`` if there is nothing to learn.

        :param wall: seconds since 1970.
        """
        theirs = self._now.theirs
        if self.means is None or theirs is None or self.agent.relay_only:
            return None
        return PathHint(self.means, self.agent.gathering.traits().mapping, theirs.mapping, wall)

    # -- calling

    def call(self, now: float) -> None:
        """Make an offer."""
        self._new_attempt(self._random_bytes(16).hex(), now)
        self.dials, self.stage = True, Stage.OFFERING
        self.agent.prepare(now)
        self._deadline = now + ANSWER_TIMEOUT
        self._documents.append(Offer(self.session, self._description(self.held_link)))
        self._events.append(AttemptBegan(self._attempt))

    def repeat(self) -> None:
        """
        Make the same offer again: the other side has just crossed it with one of its own.

        So it is there now.  Where its network changed, ours may have gone down an event stream that
        was dead already.
        """
        if self.stage is Stage.OFFERING:
            self._documents.append(Offer(self.session, self._description(self.held_link)))

    def _new_attempt(self, session: str, now: float) -> None:
        self._attempt, self._now = self._attempt + 1, _Attempt(now)
        self.session, self.ufrag = session, self.agent.new_ufrag()
        self._exchange = Exchange.from_seed(self._random_bytes(32))

    def _description(self, link: str) -> Description:
        """Return what our offer or answer says of us."""
        assert self._exchange is not None
        self._now.candidates = self.agent.candidates()
        key, nat = self._exchange.public_key, self.agent.gathering.traits().words()
        return Description(self.username, key, self.ufrag, self._now.candidates, link, nat)

    def _answered(self, answer: Answer, now: float) -> None:
        self.continues = bool(self.held_link) and answer.description.link == self.held_link
        self._punch(answer.description, now)
        self._documents.append(Candidates(self.session, began=True))

    # -- called

    def offered(self, offer: Offer, now: float) -> None:
        """Take an offer, the first one or a fresh one that replaces it."""
        self._offer, self.stage = offer, Stage.ASKING
        self._new_attempt(offer.session, now)

    def ask(self, now: float) -> None:
        """Say RINGING and wait for :meth:`accept` or :meth:`cancel`."""
        self._documents.append(Ringing(self.session))
        self._deadline = now + RING_TIMEOUT

    def accept(self, now: float) -> None:
        """
        Answer the offer and begin to check.

        :raises RemoteProtocolError: the offer's key is unfit.
        """
        offer = self._offer
        if self.stage is not Stage.ASKING or offer is None:
            return
        self.agent.prepare(now)
        link = offer.description.link
        self.continues = bool(link) and link == self.held_link
        self._punch(offer.description, now)
        self._say_answer()

    def _say_answer(self) -> None:
        assert self._offer is not None
        self._answers, self._deadline = self._answers + 1, None
        link = self._offer.description.link if self.continues else ""
        self._documents.append(Answer(self.session, self._description(link)))

    # -- both

    def _punch(self, remote: Description, now: float) -> None:
        assert self._exchange is not None
        key = self._exchange.integrity_key(remote.exchange, self.session, self.dials)
        credentials = Credentials(self.ufrag, remote.ufrag, key)
        low_ttl = not self.dials  # the answering side checks first
        theirs = NatTraits.read(remote.nat)
        self._now.theirs, self._now.checks_began = theirs, now
        self._now.hear(remote.candidates)
        self._punching = self.agent.punch(
            credentials,
            remote.candidates,
            theirs,
            now,
            low_ttl,
            recalled=self.remembered,
            known=self.known,
        )
        self.stage, self._deadline = Stage.CHECKING, None
        addresses = dict.fromkeys(format_address(one.address) for one in remote.candidates)
        self._events.append(ChecksBegan(self.ufrag, tuple(addresses)))

    def receive(self, body: Delivered, now: float) -> None:
        """
        Take a document of this negotiation; late and foreign ones are ignored.

        :raises RemoteProtocolError: the answer's key is unfit.
        """
        if body.session != self.session:
            return
        if isinstance(body, Candidates):
            self._take_candidates(body, now)
        waiting = self.stage in {Stage.OFFERING, Stage.RINGING}
        if isinstance(body, Refusal) and self.stage not in _OVER:
            self._refused(body)
        elif isinstance(body, Answer) and waiting:
            self._answered(body, now)
        elif isinstance(body, Ringing) and waiting:
            self.stage, self._deadline = Stage.RINGING, now + RING_TIMEOUT
            self._events.append(Rang())

    def _refused(self, refusal: Refusal) -> None:
        """The other side declines our offer, or takes its own back."""
        if not self.dials:
            self._end("cancelled", "they took the offer back")
            return
        word = refusal.reason if refusal.reason in _REFUSALS else _OTHER_REFUSAL
        sentence = _THEY_HUNG_UP if self.stage is Stage.CHECKING else _REFUSALS[word]
        self._end(word, f"{sentence}: {refusal.detail}" if refusal.detail else sentence)

    def _take_candidates(self, body: Candidates, now: float) -> None:
        if self._punching is not None:
            if self._now.hear(body.candidates) and self._now.may_repeat():
                self.candidates_changed()
            self._punching.add_candidates(body.candidates, now)
            if body.began:
                self._punching.remote_began(now)
            if body.nat.mapping:
                theirs = self._now.theirs = NatTraits.read(body.nat)
                self.agent.learn(self.ufrag, theirs, now)
        elif self.stage is Stage.ASKING and self._offer is not None:
            offered = self._offer.description
            known = tuple(dict.fromkeys((*offered.candidates, *body.candidates)))[:MAX_CANDIDATES]
            nat = body.nat if body.nat.mapping else offered.nat
            described = attrs.evolve(offered, candidates=known, nat=nat)
            self._offer = attrs.evolve(self._offer, description=described)

    def candidates_changed(self) -> None:
        """Gathering learned something after our offer or answer went out: pass it on."""
        if self.stage in {Stage.OFFERING, Stage.RINGING, Stage.CHECKING} or self.is_checking:
            candidates = self._now.candidates = self.agent.candidates()
            self._now.updated = True
            nat = self.agent.gathering.traits().words()
            self._documents.append(Candidates(self.session, candidates, False, nat))

    def path_found(self, path: Path) -> None:
        """The checks of this attempt have a path."""
        if self.stage is Stage.CHECKING:
            self.stage, self._deadline = Stage.SETTLED, None
            self._events.append(PathReady(self.session, path, self.continues, self.dials))

    def round_failed(self, now: float) -> None:
        """The checks of this attempt ended without one."""
        if self.stage is not Stage.CHECKING:
            return
        if self.dials:
            self._attempt_failed("no-path", "no check got through", now)
        else:
            self._end("no-path", "no check got through")

    def undeliverable(
        self,
        session: str,
        reason: str,
        explanation: str,
        retry_after: float | None,
        now: float,
        *,
        is_answer: bool = False,
    ) -> None:
        """
        The registry didn't deliver a document of an attempt, which may have been given up already.

        Where a person waits for the call, and the registry asks for longer than any pause of ours,
        it is over: the person is told at once, and decides.

        :param retry_after: seconds that the registry asks for, if it does.
        :param is_answer: whether it is our answer that wasn't delivered.
        """
        self._patience.refused(retry_after, now)
        if session == self.session and reason in _ABSENT and is_answer and self._is_answering:
            self._answer_lost(now)
        if session != self.session or self.stage not in {Stage.OFFERING, Stage.PAUSING}:
            return
        is_long = retry_after is not None and retry_after > PAUSES[-1]
        final = not self.patient and (reason == "unknown-peer" or is_long)
        self._attempt_failed(reason, _ABSENT.get(reason, explanation), now, final)

    def _answer_lost(self, now: float) -> None:
        """The caller's event stream is away: it may be there again in a moment, or for good."""
        if self._answers > MAX_ANSWERS:
            self._end("peer-offline", "they are gone: their program has left the registry")
        else:
            self._deadline = now + ANSWER_PAUSE

    def cancel(self, reason: str) -> None:
        """Decline the offer, or take ours back; nothing more is reported."""
        if self.stage in _OVER:
            return
        self._documents.append(Refusal(self.session, reason))
        self._abandon(_OUR_REFUSALS.get(reason, reason))
        self.stage = Stage.ENDED

    def withdraw(self) -> None:
        """Let our own offer go without a word: theirs, crossing it, is the one that counts."""
        self._abandon("another offer took its place")
        self.stage = Stage.ENDED

    def _attempt_failed(
        self, reason: str, explanation: str, now: float, final: bool = False
    ) -> None:
        if final or self._attempt >= self.attempts:
            self._end(reason, explanation)
            return
        self._abandon(explanation)
        self.stage = Stage.PAUSING
        pause = PAUSES[min(self._attempt, len(PAUSES)) - 1]
        self._deadline = self._patience.earliest(now + pause)

    def _abandon(self, failure: str) -> None:
        if self.stage is not Stage.PAUSING:  # then it was done already
            self._past.append(self._attempt_told(failure))
        self._deadline, self._punching = None, None
        self.agent.forget(self.ufrag)

    def _end(self, reason: str, explanation: str) -> None:
        self._abandon(explanation)
        self.stage = Stage.ENDED
        self._events.append(NegotiationFailed(reason, explanation))

    def handle_timer(self, now: float) -> None:
        """Let deadlines pass."""
        if self._deadline is None or now < self._deadline:
            return
        if self.stage is Stage.PAUSING:
            self.call(now)
        elif self.stage is Stage.OFFERING:
            self._attempt_failed("no-answer", "their program didn't answer the offer", now)
        elif self.stage is Stage.CHECKING:
            self._say_answer()
        else:
            # Our own offer is taken back; theirs gets to know what became of it.
            word = "no-answer" if self.stage is Stage.ASKING else "cancelled"
            self._documents.append(Refusal(self.session, word))
            self._end("no-answer", f"nobody answered within {RING_TIMEOUT:.0f} seconds")

    def hurry(self, now: float) -> None:
        """Make the next offer as soon as the registry lets us, if it waits for a pause to end."""
        if self.stage is Stage.PAUSING:
            self._deadline = self._patience.earliest(now)
            self.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        return self._deadline

    def take_documents(self) -> list[Delivered]:
        """Return, and forget, the bodies that are to be signed and delivered."""
        documents, self._documents = self._documents, []
        return documents

    def next_event(self) -> NegotiationEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None
