"""
Signed documents to and from peers, whatever carries them.

Owns the order and the holding back of what goes out, and on the way in everything that a session
may rely on: signed by their author, meant for us, fresh, and new.  While the event stream is being
renewed, what goes out is held, for its answer couldn't reach us.

An offer that can't be used although its author signed it, for it is stale or of another version, is
refused with the reason, so that both persons read what is wrong; from a small budget, since
whoever carries offers may keep old ones and bring them again.

Documents of strangers have a budget, above which they are dropped unread: so that the documents of
those whom we know, or have called, never wait behind them, however many are let through.

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
from p2pchat.identity.signed_documents import MAX_AGE, claimed_author, open_document
from p2pchat.peer.gate import Gate
from p2pchat.peer.signaling import DocumentReceived, SignalingContext
from p2pchat.peer.wall_clock import MOST_BELIEVED
from p2pchat.session.token_bucket import TokenBucket
from p2pchat.wire.documents import MAX_LABEL, Document, Offer, PeerDocument, Refusal

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
    _deliver: Callable[[str, PeerDocument], Deferred[Any]]
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
            yield self._deliver(peer_id, body)
        finally:
            if not queue.waiting:
                del self._queues[peer_id]
            queue.release()

    def receive(self, token: str) -> None:
        """Take a compact JWS from the event stream; what can't be relied on changes nothing."""
        is_expected = self._context.is_expected(claimed_author(token))
        if not is_expected and not self._strangers.take(self.now()):
            return
        try:
            self._take(_envelope(token))
        except RemoteProtocolError as error:
            _log.debug("document refused: {error}", error=error)

    def _take(self, envelope: Document | UnsupportedVersion) -> None:
        """Judge the envelope, of another version too, for that gets an answer."""
        try:
            self._context.acceptance.accept(envelope, self.now())
        except StaleDocument:
            self._refuse_stale(envelope)
            return
        if isinstance(envelope, UnsupportedVersion):
            self._refuse_version(envelope)
        else:
            self._hand_on(envelope)

    def _hand_on(self, document: Document) -> None:
        body = document.body
        if not isinstance(body, PeerDocument):
            raise RemoteProtocolError(f"a {body.TYPE} isn't for peers")
        if not self._context.is_blocked(document.issuer):
            self._context.receive(DocumentReceived(document.issuer, body))

    def _refuse_stale(self, envelope: Document | UnsupportedVersion) -> None:
        """
        Tell the person, and the author of an offer, whose clock differs and by how much.

        A refusal of this kind is taken although it is stale, as it must be where the clocks differ;
        an old one does no harm, since it names an attempt of ours that is over.
        """
        body = None if isinstance(envelope, UnsupportedVersion) else envelope.body
        if isinstance(envelope, Document) and isinstance(body, Refusal) and body.reason == _CLOCK:
            self._hand_on(envelope)
            return
        author, age = envelope.issuer, self.now() - envelope.issued_at
        if not self._may_explain(author):
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

    def _may_explain(self, author: str) -> bool:
        return not self._context.is_blocked(author) and self._explanations.take(self.now())

    def _refuse_version(self, error: UnsupportedVersion) -> None:
        """Answer an offer, so that its author can read why; answering refusals could loop."""
        if error.kind != Offer.TYPE or not self._may_explain(error.issuer):
            return
        self._warn(f"{error.issuer} wrote {error}")
        if 0 < len(error.session) <= MAX_LABEL:
            refusal = Refusal(error.session, "unsupported-version", f"theirs: {error}")
            self._reply(error.issuer, refusal)


def _envelope(token: str) -> Document | UnsupportedVersion:
    """Check the signature, and return the document, or what can be read of another version's."""
    try:
        return open_document(token)
    except UnsupportedVersion as error:
        return error
