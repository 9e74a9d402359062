"""
Documents to and from peers, carried by the registry.

Owns signing and the registry's refusals on the way out, and on the way in everything that a
dialogue may rely on: signed by their author, meant for us, fresh, and new.  While the event
stream is being renewed, what goes out is held, for its answer couldn't reach us.

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
from p2pchat.identity.documents import Acceptance, open_document
from p2pchat.peer.registry_client import RegistryClient
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

_log = Logger()


@attrs.define(eq=False)
class Post:
    """
    The post of one peer.

    :ivar arrived: takes the author's peer id and a document that may be relied on.
    :ivar returned: takes the peer id and the document that the registry didn't deliver.
    :ivar complain: takes a sentence for the person.
    :ivar is_held: whether documents wait for the event stream.
    """

    _client: RegistryClient
    _acceptance: Acceptance
    arrived: Callable[[str, Delivered], None]
    returned: Callable[[str, Delivered, RegistryError], None]
    complain: Callable[[str], None]
    is_held: bool = False
    _waiting: dict[str, deque[Delivered]] = attrs.Factory(dict)  # by peer
    _asking: dict[str, Delivered] = attrs.Factory(dict)  # by peer: the registry hasn't answered

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
        try:
            document = self._open(token)
            self._acceptance.accept(document, self._client.now())
            body = document.body
            if not isinstance(body, Offer | Answer | Candidates | Ringing | Refusal):
                raise RemoteProtocolError(f"a {body.TYPE} isn't for peers")
            self.arrived(document.issuer, body)
        except UnsupportedVersion as error:
            self._refuse_version(error)
        except StaleDocument as error:
            self.complain(f"an offer or answer was refused: {error}")
        except RemoteProtocolError as error:
            _log.debug("document refused: {error}", error=error)

    def _open(self, token: str) -> Document:
        """Check the signature; of another version, freshness too, for it gets an answer."""
        try:
            return open_document(token)
        except UnsupportedVersion as error:
            self._acceptance.accept(error, self._client.now())
            raise

    def _refuse_version(self, error: UnsupportedVersion) -> None:
        """An offer gets an answer that its author can read; nothing else does, lest it go round."""
        if error.kind != Offer.TYPE:
            return
        self.complain(f"{error.issuer} wrote {error}")
        if 0 < len(error.session) <= MAX_LABEL:
            refusal = Refusal(error.session, "unsupported-version", f"theirs: {error}")
            self.deliver(error.issuer, refusal)
