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

An offer that can't be used although its author signed it, for it is stale, is refused with the
reason, so that both persons read what is wrong; of a document of another version our person reads.
Both come from a small budget, since whoever carries documents may keep old ones and bring them
again.

To one peer documents go out one after the other, each when the one before was delivered or refused:
requests side by side may overtake each other, and candidates that come before their offer mean
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks
from twisted.logger import Logger

from p2pchat.errors import RegistryError, RemoteProtocolError, StaleDocument, UnsupportedVersion
from p2pchat.events import Trouble
from p2pchat.identity.sealing import Envelope, usable
from p2pchat.identity.signed_documents import MAX_AGE, claimed_author, open_document
from p2pchat.peer.gate import Gate
from p2pchat.peer.signaling import DocumentReceived, SignalingContext
from p2pchat.peer.wall_clock import MOST_BELIEVED
from p2pchat.session.token_bucket import TokenBucket
from p2pchat.wire.documents import Document, Offer, PeerDocument, RecordKey, Refusal, Sealed

EXPLANATIONS = 4.0  # at once, of documents that can't be used: to their authors and our person
EXPLAIN_INTERVAL = 20.0  # seconds until there is one more
STRANGERS = 100.0  # documents at once of peers that we don't expect any of
STRANGER_INTERVAL = 0.05  # seconds until there is one more; a call has a few
_CLOCK = "clock"  # the refusal of a stale offer

_log = Logger()


@attrs.define(eq=False)
class SignalingChannel:
    """
    The documents of one node, by one way.

    :ivar now: returns seconds since 1970 by the clock that this way goes by.
    """

    _context: SignalingContext
    _deliver: Callable[[str, PeerDocument, RecordKey], Deferred[Any]]
    _look_up: Callable[[str], Deferred[tuple[RecordKey, ...]]]
    now: Callable[[], float]
    _running: Gate = attrs.Factory(lambda: Gate(is_open=True))
    _queues: dict[str, DeferredLock] = attrs.Factory(dict)  # by peer
    _strangers: TokenBucket = attrs.Factory(lambda: TokenBucket(STRANGERS, STRANGER_INTERVAL))
    _explanations: TokenBucket = attrs.Factory(lambda: TokenBucket(EXPLANATIONS, EXPLAIN_INTERVAL))

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
        if not self._context.is_expected(author) and not self._strangers.take(self.now()):
            return
        try:
            self._take(_envelope(token))
        except RemoteProtocolError as error:
            _log.debug("document refused: {error}", error=error)

    def _take(self, envelope: Document | UnsupportedVersion) -> None:
        """Judge the envelope, of another version too, and take what it has inside."""
        author = envelope.issuer
        if self._context.is_blocked(author):  # nor was it told at a glance whose it is
            return
        try:
            self._context.acceptance.accept(envelope, self.now())
        except StaleDocument:
            body = None if isinstance(envelope, UnsupportedVersion) else self._opened(envelope)
            self._refuse_stale(author, body, self.now() - envelope.issued_at)
            return
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

    def _refuse_stale(self, author: str, body: PeerDocument | None, age: float) -> None:
        """
        Tell the person, and the author of an offer, whose clock differs and by how much.

        A refusal of this kind is taken although it is stale, as it must be where the clocks differ;
        an old one does no harm, since it names an attempt of ours that is over.

        :param body: None, where it is of another version.
        """
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
        if isinstance(body, Offer) and abs(age) <= MOST_BELIEVED:
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
        return self._explanations.take(self.now())


def _envelope(token: str) -> Document | UnsupportedVersion:
    """Check the signature, and return the document, or what can be read of another version's."""
    try:
        return open_document(token)
    except UnsupportedVersion as error:
        return error
