"""
Presence at the registry: who of many peers is online.

Owns how many ids an address may ask about: the request takes a token as any other does, and each id
one of another bucket, so that asking about many at once shows no more in a minute than asking about
each would.  Whoever wants to be invisible isn't shown, nor told from a peer that isn't there.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from p2pchat.identity.keys import check_peer_id
from p2pchat.interfaces import IRegistryStore
from p2pchat.registry.admission.control import AdmissionControl
from p2pchat.registry.metrics import Metrics
from p2pchat.wire.presence import PresenceAnswer, PresenceQuery
from p2pchat.wire.strict_json import JsonObject


@attrs.define(eq=False)
class PresenceQueries:
    """Questions about the presence of peers, as one process answers them."""

    _store: IRegistryStore
    _admission: AdmissionControl
    _metrics: Metrics

    def ask(self, query: PresenceQuery, ip: str) -> Deferred[JsonObject]:
        """
        Return a Deferred of the answer.

        :raises RemoteProtocolError: what stands there is no id.
        :raises Refused: the address asks about too many.
        """
        peer_ids = [check_peer_id(one) for one in dict.fromkeys(query.peers)]
        self._admission.admit_ids(ip, len(peer_ids))
        found = self._store.online(peer_ids)
        return found.addCallback(self._answer, len(peer_ids))

    def _answer(self, online: frozenset[str], asked: int) -> JsonObject:
        self._metrics.presence(len(online), asked)
        return PresenceAnswer(tuple(sorted(online))).to_json()
