"""
Documents to and from peers, carried by the registry.

Owns signing and the registry's refusals on the way out, and on the way in everything that a
dialogue may rely on: signed by their author, meant for us, fresh, and new.  While the event
stream is being renewed, what goes out is held, for its answer couldn't reach us.
"""

from __future__ import annotations

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
    :ivar under_way: deliveries that the registry hasn't answered.
    :ivar complain: takes a sentence for the person.
    """

    _client: RegistryClient
    _acceptance: Acceptance
    arrived: Callable[[str, Delivered], None]
    returned: Callable[[str, Delivered, RegistryError], None]
    complain: Callable[[str], None]
    under_way: list[Deferred[Any]] = attrs.Factory(list)
    _held: list[tuple[str, Delivered]] | None = None

    @property
    def is_held(self) -> bool:
        """Whether documents wait for the event stream."""
        return self._held is not None

    def hold(self) -> None:
        """Keep back what goes out until :meth:`release`."""
        self._held = self._held or []

    def release(self) -> None:
        """Deliver what was kept back."""
        held, self._held = self._held, None
        for peer_id, body in held or []:
            self.deliver(peer_id, body)

    def deliver(self, peer_id: str, body: Delivered) -> None:
        """Sign a document and have it delivered."""
        if self._held is not None:
            self._held.append((peer_id, body))
            return
        sent: Deferred[Any] = self._client.deliver(peer_id, body)
        self.under_way.append(sent)
        sent.addErrback(self._refused, peer_id, body)
        sent.addErrback(lambda failure: _log.failure("delivery", failure))
        sent.addBoth(lambda _done: self.under_way.remove(sent))

    def _refused(self, failure: Failure, peer_id: str, body: Delivered) -> None:
        failure.trap(RegistryError)
        error: RegistryError = failure.value  # type: ignore[assignment]
        self.returned(peer_id, body, error)

    def receive(self, token: str) -> None:
        """Take a compact JWS from the event stream; what can't be relied on changes nothing."""
        try:
            document = open_document(token)
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

    def _refuse_version(self, error: UnsupportedVersion) -> None:
        """An offer gets an answer that its author can read; nothing else does, lest it go round."""
        if error.kind != Offer.TYPE or error.audience not in self._acceptance.audiences:
            return
        self.complain(f"{error.issuer} wrote {error}")
        if 0 < len(error.session) <= MAX_LABEL:
            refusal = Refusal(error.session, "unsupported-version", f"theirs: {error}")
            self.deliver(error.issuer, refusal)
