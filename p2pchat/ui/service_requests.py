"""Requests about services: who may open what, what is offered, what is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from p2pchat.errors import WhoError
from p2pchat.interfaces import INode
from p2pchat.peer.service_infos import OfferedInfo
from p2pchat.ui import results
from p2pchat.ui.grant_options import GrantOptions


@attrs.frozen
class ServiceRequests:
    """
    Those requests of one front end.

    :ivar announce: called with each result.
    :ivar answer: lets what is found later answer the request of now.
    """

    _node: INode
    announce: Callable[[Any], None]
    answer: Callable[[Deferred[Any], Callable[[Any], None]], None]

    def grant(self, text: str) -> None:
        """Let somebody open a service; an event tells."""
        wanted = GrantOptions.parse(text)
        self._node.services.grant(wanted.service, wanted.who, wanted.lifetime)

    def revoke(self, text: str) -> None:
        """Take that back; an event tells."""
        wanted = GrantOptions.parse(text)
        if wanted.lifetime is not None:
            raise WhoError("/revoke takes no time: what is open by it ends now")
        self._node.services.revoke(wanted.service, wanted.who)

    def grants(self, _argument: str) -> None:
        """List who may open what."""
        self.announce(results.GrantList(tuple(self._node.services.grants())))

    def services(self, who: str) -> None:
        """List what we offer, or what somebody lets us open."""
        if not who:
            self.announce(results.ServiceList(tuple(self._node.services.offered())))
            return
        peer_id = self._node.whom(who)

        def found(names: list[str]) -> None:
            known = {one.peer_id: one.name for one in self._node.contacts()}
            offered = tuple(OfferedInfo(one) for one in names)
            self.announce(results.ServiceList(offered, peer_id, known.get(peer_id, "")))

        self.answer(self._node.services.services_of(peer_id), found)

    def streams(self, _argument: str) -> None:
        """List what is open."""
        self.announce(results.StreamList(tuple(self._node.services.streams())))
