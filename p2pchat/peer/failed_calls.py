"""
Failed calls: the other side is looked for before the network between us is blamed.

A call without a path or an answer has failed for one of two reasons: there is none, or the peer has
left.  Only signaling can tell, so the failure is reported when that has answered, or in
FIND_TIMEOUT or some round trips, or when the person calls again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from p2pchat.events import CallFailed
from p2pchat.peer.signaling import PeerRecord, SignalingGroup
from p2pchat.traversal.round_trips import CONNECTING

FIND_TIMEOUT = 3.0  # seconds for the answer, where round trips are short
LOOKED_AFTER = {"no-path", "no-answer"}  # reasons
GONE = "they are gone: their program left before there was a path; call again when they are back"


@attrs.define(eq=False)
class FailedCalls:
    """
    Failures that aren't reported yet.

    :ivar report: takes each of them, with the true reason.
    """

    _signaling: SignalingGroup
    _clock: IReactorTime
    report: Callable[[CallFailed], None]
    _held: dict[str, CallFailed] = attrs.Factory(dict)  # by peer
    _asked: dict[str, Deferred[Any]] = attrs.Factory(dict)  # by peer: not answered yet

    def hold(self, event: CallFailed) -> None:
        """Report a failure as soon as it is known whether the peer is there."""
        self.release(event.peer_id)
        self._held[event.peer_id] = event
        asked: Deferred[PeerRecord | None] = self._signaling.find(event.peer_id)
        self._asked[event.peer_id] = asked
        asked.addTimeout(self._signaling.patience(FIND_TIMEOUT, CONNECTING), self._clock)
        asked.addCallback(lambda record: record is None or not record.online)
        asked.addBoth(self._answered, event)

    def _answered(self, is_gone: Any, event: CallFailed) -> None:
        if self._held.get(event.peer_id) is not event:
            return  # reported already
        if is_gone is True:
            self._held[event.peer_id] = attrs.evolve(event, reason="peer-offline", explanation=GONE)
        self.release(event.peer_id)

    def release(self, peer_id: str) -> None:
        """Report the failure of a call to this peer now, if there is one."""
        event, asked = self._held.pop(peer_id, None), self._asked.pop(peer_id, None)
        if asked is not None:
            asked.cancel()
        if event is not None:
            self.report(event)

    def stop(self) -> None:
        """Report what is left."""
        for peer_id in list(self._held):
            self.release(peer_id)
