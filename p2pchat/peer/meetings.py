"""
Meetings of two who shared an invitation: the contact is kept, and the two talk.

Who joined calls, where the inviter is found; who invited takes that call without a question, or
calls, too, where it is invisible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import P2PChatError
from p2pchat.peer.driver import Driver
from p2pchat.peer.grants import InvitedGrant
from p2pchat.peer.invitations import Acquaintance
from p2pchat.peer.people import People
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.session.endpoint import Endpoint


@attrs.define(eq=False)
class Meetings:
    """
    The meetings of one node.

    :ivar add_registry: keeps the URL of a registry where we are found, too.
    :ivar is_hidden: whether no registry is visited as a guest: then one where we meet is ours, too.
    :ivar grant: lets a peer open a service for so many seconds.
    :ivar connect: calls a peer for our person; a Deferred fires when that is under way.
    """

    _people: People
    _endpoint: Endpoint
    _driver: Driver[Any]
    _signaling: SignalingGroup
    add_registry: Callable[[str], None]
    is_hidden: bool
    connect: Callable[[str], Deferred[str]]
    grant: Callable[[str, str, float | None], object]

    def met(self, met: Acquaintance) -> None:
        """Keep whom we met, and talk."""
        peer_id = self._people.introduce(met)
        if met.grant is not None and met.invited:
            self._let_in(peer_id, met.grant)
        if not met.invited:
            talking: Deferred[Any] = self._meet(peer_id, met.server)
            talking.addErrback(self._not_connected)
        elif self._endpoint.context.privacy.is_invisible:  # no call could reach us
            self.connect(peer_id).addErrback(self._not_connected)
        elif not self._people.is_blocked(peer_id):
            with self._driver as now:
                self._endpoint.await_call(peer_id, met.partner.card.username, now)

    def _let_in(self, peer_id: str, grant: InvitedGrant) -> None:
        """Give whoever joined what the invitation was for."""
        try:
            self.grant(grant.service, peer_id, grant.lifetime)
        except P2PChatError as error:
            self._people.tell(events.Trouble(str(error)))

    @inlineCallbacks
    def _meet(self, peer_id: str, server: str) -> Any:
        """Be found where the peer is, if that is needed, and call it."""
        is_new = yield self._signaling.join(server, is_needed=self.is_hidden)
        if is_new:
            self.add_registry(server)
            self._endpoint.registries_changed()
        yield self.connect(peer_id)

    def _not_connected(self, failure: Failure) -> None:
        failure.trap(P2PChatError)
        self._people.tell(events.Trouble(str(failure.value)))
