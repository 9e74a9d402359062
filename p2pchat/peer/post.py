"""
Documents to and from peers, carried by the registry.

Owns signing and the registry's refusals on the way out, and on the way in everything that a
dialogue may rely on: signed by their author, meant for us, fresh, and new.  While the event
stream is being renewed, what goes out is held, for its answer couldn't reach us.

An offer that can't be used although its author signed it, for it is stale or of another version, is
refused with the reason, so that both persons read what is wrong; from a small budget, since
whoever carries offers may keep old ones and bring them again.

Documents of strangers have a budget, above which they are dropped unread: so that the documents of
those whom we know, or have called, never wait behind them, however many a registry lets through.

To one peer documents go out one after the other, each when the registry has answered for the one
before: requests side by side may overtake each other, and candidates that come before their offer
mean nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import RegistryError, RemoteProtocolError, StaleDocument, UnsupportedVersion
from p2pchat.identity.documents import (
    MAX_AGE,
    Acceptance,
    claimed_author,
    open_document,
)
from p2pchat.peer.callers import TokenBucket
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.wall_clock import MOST_BELIEVED
from p2pchat.wire.documents import (
    MAX_LABEL,
    Answer,
    Candidates,
    Delivered,
    Document,
    Offer,
    Refusal,
    Ringing,
)

EXPLANATIONS = 4.0  # at once, of documents that can't be used: to their authors and our person
EXPLAIN_INTERVAL = 20.0  # seconds until there is one more
STRANGERS = 100.0  # documents at once of peers that we don't expect any of
STRANGER_INTERVAL = 0.05  # seconds until there is one more; a call has a few
_CLOCK = "clock"  # the refusal of a stale offer

_log = Logger()


@attrs.define(eq=False)
class Post:
    """
    The post of one peer.

    :ivar arrived: takes the author's peer id and a document that may be relied on.
    :ivar returned: takes the peer id and the document that the registry didn't deliver.
    :ivar complain: takes a sentence for the person.
    :ivar ignores: tells whether nothing of a peer is to be taken or answered.
    :ivar expects: tells whether a peer is a contact, or one whom we talk with or call.
    :ivar is_held: whether documents wait for the event stream.
    """

    _client: RegistryClient
    _acceptance: Acceptance
    arrived: Callable[[str, Delivered], None]
    returned: Callable[[str, Delivered, RegistryError], None]
    complain: Callable[[str], None]
    ignores: Callable[[str], bool]
    expects: Callable[[str], bool]
    is_held: bool = False
    _waiting: dict[str, deque[Delivered]] = attrs.Factory(dict)  # by peer
    _asking: dict[str, Delivered] = attrs.Factory(dict)  # by peer: the registry hasn't answered
    _strangers: TokenBucket = attrs.Factory(lambda: TokenBucket(STRANGERS, STRANGER_INTERVAL))
    _explanations: TokenBucket = attrs.Factory(lambda: TokenBucket(EXPLANATIONS, EXPLAIN_INTERVAL))

    @property
    def under_way(self) -> list[Delivered]:
        """What the registry hasn't answered, or will be asked to deliver without more ado."""
        waiting = [] if self.is_held else [body for one in self._waiting.values() for body in one]
        return [*self._asking.values(), *waiting]

    def hold(self) -> None:
        """Keep back what goes out until :meth:`release`."""
        self.is_held = True

    def release(self) -> None:
        """Deliver what was kept back."""
        self.is_held = False
        for peer_id in list(self._waiting):
            self._next(peer_id)

    def deliver(self, peer_id: str, body: Delivered) -> None:
        """Sign a document and have it delivered, after those that went to this peer before."""
        self._waiting.setdefault(peer_id, deque()).append(body)
        self._next(peer_id)

    def _next(self, peer_id: str) -> None:
        """Let the next document for a peer go, if nothing keeps it back."""
        if self.is_held or peer_id in self._asking or peer_id not in self._waiting:
            return
        body = self._asking[peer_id] = self._waiting[peer_id].popleft()
        if not self._waiting[peer_id]:
            del self._waiting[peer_id]
        sent: Deferred[Any] = self._client.deliver(peer_id, body)
        sent.addBoth(self._answered, peer_id)
        sent.addErrback(self._refused, peer_id, body)
        sent.addErrback(lambda failure: _log.failure("delivery", failure))
        sent.addBoth(lambda _done: self._next(peer_id))

    def _answered(self, result: Any, peer_id: str) -> Any:
        del self._asking[peer_id]
        return result

    def _refused(self, failure: Failure, peer_id: str, body: Delivered) -> None:
        failure.trap(RegistryError)
        error: RegistryError = failure.value  # type: ignore[assignment]
        self.returned(peer_id, body, error)

    def receive(self, token: str) -> None:
        """Take a compact JWS from the event stream; what can't be relied on changes nothing."""
        if not self.expects(claimed_author(token)) and not self._strangers.take(self._client.now()):
            return
        try:
            self._take(_envelope(token))
        except RemoteProtocolError as error:
            _log.debug("document refused: {error}", error=error)

    def _take(self, envelope: Document | UnsupportedVersion) -> None:
        """Judge the envelope, of another version too, for that gets an answer."""
        try:
            self._acceptance.accept(envelope, self._client.now())
        except StaleDocument:
            self._refuse_stale(envelope)
            return
        if isinstance(envelope, UnsupportedVersion):
            self._refuse_version(envelope)
        else:
            self._hand_on(envelope)

    def _hand_on(self, document: Document) -> None:
        body = document.body
        if not isinstance(body, Offer | Answer | Candidates | Ringing | Refusal):
            raise RemoteProtocolError(f"a {body.TYPE} isn't for peers")
        if not self.ignores(document.issuer):
            self.arrived(document.issuer, body)

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
        author, age = envelope.issuer, self._client.now() - envelope.issued_at
        if self.ignores(author) or not self._may_explain():
            return
        what = "a document" if body is None else f"the {body.TYPE}"
        how = f"{abs(age):.0f} seconds {'old' if age > 0 else 'ahead of time'}"
        self.complain(
            f"{what} of {author} was refused: {how}, {MAX_AGE:.0f} allowed; one of two clocks is "
            "wrong, theirs or yours"
        )
        if isinstance(body, Offer) and abs(age) <= MOST_BELIEVED:
            side = "behind" if age > 0 else "ahead of"
            detail = f"yours is {abs(age):.0f} seconds {side} theirs, {MAX_AGE:.0f} allowed"
            self.deliver(author, Refusal(body.session, _CLOCK, detail))

    def _may_explain(self) -> bool:
        return self._explanations.take(self._client.now())

    def _refuse_version(self, error: UnsupportedVersion) -> None:
        """An offer gets an answer that its author can read; nothing else does, lest it go round."""
        if error.kind != Offer.TYPE or self.ignores(error.issuer) or not self._may_explain():
            return
        self.complain(f"{error.issuer} wrote {error}")
        if 0 < len(error.session) <= MAX_LABEL:
            refusal = Refusal(error.session, "unsupported-version", f"theirs: {error}")
            self.deliver(error.issuer, refusal)


def _envelope(token: str) -> Document | UnsupportedVersion:
    """Check the signature, and return the document, or what can be read of another version's."""
    try:
        return open_document(token)
    except UnsupportedVersion as error:
        return error
