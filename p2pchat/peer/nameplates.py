"""
Nameplates at a registry, as inviter and joiner use them.

Owns reading what the registry says of one strictly.  It may say anything: what it can't do is show
knowledge of an invitation's secret (:mod:`p2pchat.identity.pairing`).
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from zope.interface import implementer

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.interfaces import INameplates
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.wire.nameplates import Claim, Completion, NameplateState, PakeResponse, Release


@implementer(INameplates)
@attrs.define(eq=False)
class RegistryNameplates:
    """The nameplates of one registry, for one identity."""

    _client: RegistryClient

    def claim(self, claim: Claim) -> Deferred[Any]:
        """See :class:`INameplates`."""
        return self._client.claim(claim)

    @inlineCallbacks
    def look(self, name: str) -> Any:
        """See :class:`INameplates`."""
        members = yield self._client.nameplate(name)
        try:
            return NameplateState.from_json(members)
        except RemoteProtocolError as error:
            raise RegistryError(
                f"what {self._client.server} says of that invitation can't be used: {error}"
            ) from None

    def respond(self, name: str, response: PakeResponse) -> Deferred[Any]:
        """See :class:`INameplates`."""
        return self._client.respond(name, response)

    def complete(self, completion: Completion) -> Deferred[Any]:
        """See :class:`INameplates`."""
        return self._client.complete(completion)

    def release(self, name: str) -> Deferred[Any]:
        """See :class:`INameplates`."""
        return self._client.release(Release(name))
