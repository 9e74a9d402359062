"""
Lines that wait for contacts who are away, and the calls that bring them there.

::

    lines wait, nothing is under way ─▶ looked for ── online ──▶ called, quietly ─▶ connected
              ▲                             └─ not there, or it failed ─┐
              └──────── LOOK_INTERVAL, or after a refusal REFUSED ──────┘

Nobody is told of such a call before it succeeds: the person asked for nothing, and a contact who
isn't there is the usual case.  Only contacts are called, MAX_AT_ONCE at a time, and none with whom
our person has just ended the conversation: that one waits for the person's next line, or the next
start.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import RegistryError
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.signaling import PeerRecord, SignalingGroup
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.peer_session import PeerSession

TICK = 2.0  # seconds between two looks at what is due
LOOK_INTERVAL = 30.0  # seconds until the same contact is looked for again
REFUSED = 3600.0  # seconds after a refusal: whoever is asked each time isn't asked all day
CALL = 180.0  # seconds after which a call is over that nothing was heard of
MAX_AT_ONCE = 4  # contacts that are looked for or called; with 300 that wait, one each 150 s

_SILENT = events.Calling | events.Rings | events.Checking | events.CallFailed
_PASSING = frozenset({"peer-offline", "unknown-peer", "no-path", "registry", "no-answer", "busy"})


@attrs.define(eq=False)
class Outbox:
    """
    The outbox of one node.

    :ivar call: calls a contact.
    """

    _contacts: Contacts
    _endpoint: Endpoint
    _signaling: SignalingGroup
    _clock: IReactorTime
    call: Callable[[str], None]
    _due: dict[str, float] = attrs.Factory(dict)  # by peer: not looked for before
    _asked: set[str] = attrs.Factory(set)  # who are looked for
    _called: dict[str, float] = attrs.Factory(dict)  # by peer: since when
    _ended: set[str] = attrs.Factory(set)  # our person ended the conversation

    def waiting(self) -> list[str]:
        """Return for whom lines wait although nothing is under way."""
        kept = [peer_id for peer_id, state in self._endpoint.kept.items() if state.undelivered]
        sessions = self._endpoint.sessions.values()
        return kept + [one.peer_id for one in sessions if self._waits(one)]

    def _waits(self, session: PeerSession) -> bool:
        return session.conversation.undelivered > 0 and not session.is_alive

    def look(self) -> None:
        """Look for whom it is time to; called every TICK."""
        now = self._clock.seconds()
        for peer_id in [one for one, since in self._called.items() if now >= since + CALL]:
            del self._called[peer_id]
        due = [one for one in self.waiting() if self._is_due(one, now)]
        for peer_id in sorted(due, key=lambda one: self._due.get(one, 0.0)):
            if len(self._asked) + len(self._called) >= MAX_AT_ONCE:
                break
            self._look_for(peer_id)

    def _is_due(self, peer_id: str, now: float) -> bool:
        person = self._contacts[peer_id]
        is_wanted = person.is_contact and not person.is_blocked and peer_id not in self._ended
        is_busy = peer_id in self._asked or peer_id in self._called
        return is_wanted and not is_busy and now >= self._due.get(peer_id, 0.0)

    def _look_for(self, peer_id: str) -> None:
        self._asked.add(peer_id)
        self._wait(peer_id, LOOK_INTERVAL)
        found: Deferred[PeerRecord | None] = self._signaling.find(peer_id)
        found.addCallbacks(self._found, self._not_found, (peer_id,), errbackArgs=(peer_id,))

    def _wait(self, peer_id: str, seconds: float) -> None:
        self._due[peer_id] = self._clock.seconds() + seconds

    def _found(self, record: PeerRecord | None, peer_id: str) -> None:
        self._asked.discard(peer_id)
        is_there = record is not None and record.online
        if is_there and peer_id in self.waiting() and peer_id not in self._ended:
            self._called[peer_id] = self._clock.seconds()
            self.call(peer_id)

    def _not_found(self, failure: Failure, peer_id: str) -> None:
        self._asked.discard(peer_id)
        failure.trap(RegistryError)

    # -- what happens

    def said(self, peer_id: str) -> None:
        """A line waits that the person has just said: look for its reader soon."""
        self._ended.discard(peer_id)
        if self._is_due(peer_id, self._clock.seconds()):
            self._look_for(peer_id)

    def wanted(self, peer_id: str) -> None:
        """The person calls somebody: what comes of it is told."""
        self._ended.discard(peer_id)
        self._called.pop(peer_id, None)

    def left(self, peer_id: str) -> None:
        """The person ended what was under way with somebody."""
        self._ended.add(peer_id)
        self._called.pop(peer_id, None)

    def takes(self, event: events.SessionEvent) -> bool:
        """Take an event; tells whether it is of a call that nobody asked for, and not told."""
        is_hidden = event.peer_id in self._called and isinstance(event, _SILENT)
        if isinstance(event, events.Connected | events.CallFailed | events.OfferReceived):
            self._called.pop(event.peer_id, None)
        if isinstance(event, events.Connected):
            self._due.pop(event.peer_id, None)
        if isinstance(event, events.CallFailed) and event.reason not in _PASSING:
            self._wait(event.peer_id, REFUSED)
        return is_hidden
