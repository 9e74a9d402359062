"""
Signed and sealed documents to and from peers, whatever carries them.

Owns the order and the holding back of what goes out, and the key that it is sealed to
(:mod:`p2pchat.peer.sealing_keys`); and on the way in everything that a session may rely on: signed
by their author, meant for us, fresh, new, and opened.  While the event stream is being renewed,
what goes out is held, for its answer couldn't reach us.

What costs little is judged first: of one who is blocked nothing is taken, and documents of
strangers have a budget, above which they are dropped unread, so that the documents of those whom we
know, or have called, never wait behind them, however many are let through.  The key in the header
says whose document it is; then its signature is checked, then whether it is for us, fresh and new,
and then it is opened.  What can't be opened changes nothing.

What is stale by our idea of the registry's clock may be none: somebody has set that clock, and we
haven't asked since.  So the registry is asked for its time first; what comes meanwhile waits, for
its order counts.  An offer that is stale all the same, although its author signed it, is refused
with the reason, so that both persons read what is wrong; of a document of another version our
person reads.  All that comes from small budgets, since whoever carries documents may keep old ones
and bring them again.

To one peer documents go out one after the other, each when the one before was delivered or refused:
requests side by side may overtake each other, and candidates that come before their offer mean
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks, succeed
from twisted.logger import Logger

from p2pchat.errors import RegistryError, RemoteProtocolError, StaleDocument, UnsupportedVersion
from p2pchat.events import Trouble
from p2pchat.identity.sealing import Envelope, usable
from p2pchat.identity.signed_documents import MAX_AGE, claimed_author, open_document
from p2pchat.peer.gate import Gate
from p2pchat.peer.signaling import DocumentReceived, SignalingContext
from p2pchat.session.token_bucket import TokenBucket
from p2pchat.wire.documents import Document, Offer, PeerDocument, RecordKey, Refusal, Sealed

EXPLANATIONS = 4.0  # at once, of documents that can't be used: to their authors and our person
EXPLAIN_INTERVAL = 20.0  # seconds until there is one more
LOOKS = 20.0  # at the registry's clock, at once; each costs it less than a document
LOOK_INTERVAL = 1.0  # seconds until there is one more
MAX_DOUBTFUL = 100  # documents that wait for one; a call has a few, and it takes a round trip
LONG_AGO = 86_400.0  # seconds; an older offer is one that somebody brings again, or nobody waits
STRANGERS = 100.0  # documents at once of peers that we don't expect any of
STRANGER_INTERVAL = 0.05  # seconds until there is one more; a call has a few
_CLOCK = "clock"  # the refusal of a stale offer

_Envelope = Document | UnsupportedVersion

_log = Logger()


@attrs.define(eq=False)
class SignalingChannel:
    """
    The documents of one node, by one way.

    :ivar now: returns seconds since 1970 by the clock that this way goes by.
    :ivar look: asks for that clock's time; a Deferred fires when ``now`` is as good as can be.
    """

    _context: SignalingContext
    _deliver: Callable[[str, PeerDocument, RecordKey], Deferred[Any]]
    _look_up: Callable[[str], Deferred[tuple[RecordKey, ...]]]
    now: Callable[[], float]
    look: Callable[[], Deferred[Any]] = lambda: succeed(None)
    _running: Gate = attrs.Factory(lambda: Gate(is_open=True))
    _queues: dict[str, DeferredLock] = attrs.Factory(dict)  # by peer
    _strangers: TokenBucket = attrs.Factory(lambda: TokenBucket(STRANGERS, STRANGER_INTERVAL))
    _explanations: TokenBucket = attrs.Factory(lambda: TokenBucket(EXPLANATIONS, EXPLAIN_INTERVAL))
    _looks: TokenBucket = attrs.Factory(lambda: TokenBucket(LOOKS, LOOK_INTERVAL))
    _doubtful: list[_Envelope] = attrs.Factory(list)  # while the registry's clock is asked for

    @property
    def is_paused(self) -> bool:
        """Whether documents wait for the event stream."""
        return not self._running.is_open

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be delivered."""
        return not self._queues

    def pause(self) -> None:
        """Keep back what goes out until :meth:`resume`."""
        self._running.close()

    def resume(self) -> None:
        """Deliver what was kept back."""
        self._running.open()

    @inlineCallbacks
    def send(self, peer_id: str, body: PeerDocument) -> Any:
        """
        Deliver a document, after those that went to this peer before.

        A Deferred fires when it was, or fails with :class:`RegistryError`.
        """
        queue = self._queues.setdefault(peer_id, DeferredLock())
        yield queue.acquire()
        try:
            yield self._running.passed()
            key = yield self._key_for(peer_id, body)
            yield self._deliver(peer_id, self._context.keys.introduce(body), key)
            if isinstance(body, Offer):
                self._context.keys.offered(peer_id)
        finally:
            if not queue.waiting:
                del self._queues[peer_id]
            queue.release()

    @inlineCallbacks
    def _key_for(self, peer_id: str, body: PeerDocument) -> Any:
        """Return a Deferred of the key to seal to; it fails with :class:`RegistryError`."""
        keys = self._context.keys
        key = keys.key_of(peer_id)
        if key is not None and not (isinstance(body, Offer) and keys.is_doubted(peer_id)):
            return key
        shown = yield self._look_up(peer_id)
        if keys.looked_up(peer_id, shown):
            self._warn(
                f"the last offer to {peer_id} was sealed to a key that their program has no more, "
                "so that it couldn't be read; their record shows another, which counts from now on"
            )
        key = usable(shown)
        if key is None:
            raise RegistryError(
                "their program is older or newer than this one: their record has no sealing key of "
                "a kind that this program knows",
                reason="no-sealing-key",
            )
        return key

    def receive(self, token: str) -> None:
        """Take a compact JWS from the event stream; what can't be relied on changes nothing."""
        author = claimed_author(token)
        if self._context.is_blocked(author):
            return
        if not self._context.is_expected(author) and not self._strangers.take(self._seconds()):
            return
        self._try(self._take, token)

    def _try(self, take: Callable[[Any], None], what: str | _Envelope) -> None:
        try:
            take(what)
        except RemoteProtocolError as error:
            _log.debug("document refused: {error}", error=error)

    def _seconds(self) -> float:
        """Return the time on a clock that isn't set."""
        return self._context.acceptance.seconds()

    def _take(self, token: str) -> None:
        """Check the signature, and judge the envelope, of another version too."""
        envelope = _envelope(token)
        if self._context.is_blocked(envelope.issuer):  # nor was it told at a glance whose it is
            return
        if 0 < len(self._doubtful) < MAX_DOUBTFUL:
            self._doubtful.append(envelope)
            return
        try:
            self._accept(envelope)
        except StaleDocument:
            if self._doubtful or not self._looks.take(self._seconds()):
                self._refuse_stale(envelope)
                return
            self._doubtful.append(envelope)
            self.look().addBoth(lambda _result: self._judge_again())

    def _judge_again(self) -> None:
        """Take what waited until the registry's clock was known again, or couldn't be asked."""
        doubtful, self._doubtful = self._doubtful, []
        for envelope in doubtful:
            self._try(self._judge, envelope)

    def _judge(self, envelope: _Envelope) -> None:
        try:
            self._accept(envelope)
        except StaleDocument:
            self._refuse_stale(envelope)

    def _accept(self, envelope: _Envelope) -> None:
        """
        Take what an envelope has inside.

        :raises StaleDocument: it isn't fresh by what we know of the registry's clock.
        """
        author = envelope.issuer
        self._context.acceptance.accept(envelope, self.now())
        if isinstance(envelope, UnsupportedVersion):
            if self._may_explain():
                self._warn(f"{author} wrote {envelope}")
        else:
            self._hand_on(author, self._opened(envelope))

    def _opened(self, document: Document) -> PeerDocument:
        """Return what a document has inside."""
        if not isinstance(document.body, Sealed):
            raise RemoteProtocolError(f"a {document.body.TYPE} isn't for peers")
        envelope = Envelope(document.issuer, document.audience, document.nonce)
        return self._context.keys.own.open(document.body, envelope)

    def _hand_on(self, author: str, body: PeerDocument) -> None:
        self._context.keys.heard(author, body)
        self._context.receive(DocumentReceived(author, body))

    def _refuse_stale(self, envelope: _Envelope) -> None:
        """
        Tell the person, and the author of an offer, whose clock differs and by how much.

        A refusal of this kind is taken although it is stale, as it must be where the clocks differ;
        an old one does no harm, since it names an attempt of ours that is over.
        """
        author, age = envelope.issuer, self.now() - envelope.issued_at
        body = None if isinstance(envelope, UnsupportedVersion) else self._opened(envelope)
        if isinstance(body, Refusal) and body.reason == _CLOCK:
            self._hand_on(author, body)
            return
        if not self._may_explain():
            return
        what = "a document" if body is None else f"the {body.TYPE}"
        how = f"{abs(age):.0f} seconds {'old' if age > 0 else 'ahead of time'}"
        self._warn(
            f"{what} of {author} was refused: {how}, {MAX_AGE:.0f} allowed; one of two clocks is "
            "wrong, theirs or yours"
        )
        if isinstance(body, Offer) and abs(age) <= LONG_AGO:
            side = "behind" if age > 0 else "ahead of"
            detail = f"yours is {abs(age):.0f} seconds {side} theirs, {MAX_AGE:.0f} allowed"
            self._reply(author, Refusal(body.session, _CLOCK, detail))

    def _warn(self, sentence: str) -> None:
        self._context.receive(Trouble(sentence))

    def _reply(self, author: str, refusal: Refusal) -> None:
        """Refuse an offer; where that can't be delivered, there is nothing more to do."""
        replied: Deferred[Any] = self.send(author, refusal)
        replied.addErrback(lambda failure: failure.trap(RegistryError))

    def _may_explain(self) -> bool:
        return self._explanations.take(self._seconds())


def _envelope(token: str) -> _Envelope:
    """Check the signature, and return the document, or what can be read of another version's."""
    try:
        return open_document(token)
    except UnsupportedVersion as error:
        return error
