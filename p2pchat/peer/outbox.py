"""
Lines and files that wait for contacts who are away, and the calls that bring them there.

::

    lines wait, nothing is under way ─▶ looked for ── online ──▶ called, quietly ─▶ connected
              ▲                             │            ▲
              │                             │            └── somebody else saw it (presence)
              │                             └─ not there, or it failed ─┐
              └──────── LOOK_INTERVAL, or after a refusal REFUSED ──────┘

Nobody is told of such a call before it succeeds: the person asked for nothing, and a contact who
isn't there is the usual case.  All are looked for in one request.  Only contacts are called,
MAX_AT_ONCE at a time, and none with whom our person has just ended the conversation: that one waits
for the person's next line, or the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from p2pchat import events
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.presence import Online
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.peer_session import PeerSession
from p2pchat.wire.presence import MAX_ASKED

TICK = 2.0  # seconds between two looks at what is due
LOOK_INTERVAL = 30.0  # seconds until the same contact is looked for again
REFUSED = 3600.0  # seconds after a refusal: whoever is asked each time isn't asked all day
CALL = 180.0  # seconds after which a call is over that nothing was heard of
MAX_AT_ONCE = 4  # contacts that are called

_SILENT = events.Calling | events.Rings | events.Checking | events.CallFailed
_PASSING = frozenset(
    {"peer-offline", "unknown-peer", "no-path", "registry", "not-registered", "no-answer", "busy"}
)


@attrs.define(eq=False)
class Outbox:
    """
    The outbox of one node.

    :ivar call: calls a contact.
    :ivar ask: asks whether contacts are online; tells :meth:`there` of those who are.
    :ivar away: takes a contact who was looked for, and isn't there.
    :ivar files_for: returns those for whom files wait: they are called likewise.
    """

    _contacts: Contacts
    _endpoint: Endpoint
    _clock: IReactorTime
    call: Callable[[str], None]
    ask: Callable[[Sequence[str]], Deferred[Online]]
    away: Callable[[str], None] = lambda _peer_id: None
    files_for: Callable[[], list[str]] = list
    _due: dict[str, float] = attrs.Factory(dict)  # by peer: not looked for before
    _refused: dict[str, float] = attrs.Factory(dict)  # by peer: not called by itself before
    _asked: set[str] = attrs.Factory(set)  # who are looked for
    _there: dict[str, None] = attrs.Factory(dict)  # found, and to be called
    _called: dict[str, float] = attrs.Factory(dict)  # by peer: since when
    _ended: set[str] = attrs.Factory(set)  # our person ended the conversation

    def waiting(self) -> list[str]:
        """Return for whom lines or files wait although nothing is under way."""
        kept = [peer_id for peer_id, state in self._endpoint.kept.items() if state.undelivered]
        sessions = self._endpoint.sessions.values()
        lines = kept + [one.peer_id for one in sessions if self._waits(one)]
        return list(dict.fromkeys(lines + [one for one in self.files_for() if self._is_away(one)]))

    def _is_away(self, peer_id: str) -> bool:
        return self._endpoint.live_session(peer_id) is None

    def _has_lines(self, peer_id: str) -> bool:
        """Tell whether lines or files wait for one peer although nothing is under way."""
        kept, session = self._endpoint.kept.get(peer_id), self._endpoint.sessions.get(peer_id)
        is_kept = kept is not None and bool(kept.undelivered)
        has_files = peer_id in self.files_for() and self._is_away(peer_id)
        return is_kept or has_files or (session is not None and self._waits(session))

    def _waits(self, session: PeerSession) -> bool:
        return session.conversation.undelivered > 0 and not session.is_alive

    def look(self) -> None:
        """Look for whom it is time to; called every TICK."""
        now = self._clock.seconds()
        for peer_id in [one for one, since in self._called.items() if now >= since + CALL]:
            del self._called[peer_id]
        due = [one for one in self.waiting() if self._is_due(one, now)]
        due.sort(key=lambda one: self._due.get(one, 0.0))
        if due:
            self._look_for(due[:MAX_ASKED])
        self._call_those_there()

    def _is_wanted(self, peer_id: str) -> bool:
        """Tell whether a contact may be called for its lines, and isn't."""
        person = self._contacts[peer_id]
        may_call = person.is_contact and not person.is_blocked and peer_id not in self._ended
        return may_call and peer_id not in self._called

    def _is_due(self, peer_id: str, now: float) -> bool:
        is_asked = peer_id in self._asked or peer_id in self._there
        return self._is_wanted(peer_id) and not is_asked and now >= self._due.get(peer_id, 0.0)

    def _look_for(self, peer_ids: Sequence[str]) -> None:
        """Ask for several at once."""
        self._asked.update(peer_ids)
        for peer_id in peer_ids:
            self._wait(peer_id, LOOK_INTERVAL)
        self.ask(peer_ids).addBoth(self._looked, peer_ids)

    def _wait(self, peer_id: str, seconds: float) -> None:
        self._due[peer_id] = self._clock.seconds() + seconds

    def _looked(self, _result: object, peer_ids: Sequence[str]) -> None:
        """Whoever was found is called: :meth:`there` was."""
        self._asked.difference_update(peer_ids)
        for peer_id in set(peer_ids) - {*self._there, *self._called}:
            self.away(peer_id)

    def there(self, peer_id: str) -> None:
        """A contact is online: bring it what waits, unless it refused lately."""
        is_refused = self._clock.seconds() < self._refused.get(peer_id, 0.0)
        if self._has_lines(peer_id) and self._is_wanted(peer_id) and not is_refused:
            self._there[peer_id] = None
            self._call_those_there()

    def _call_those_there(self) -> None:
        while self._there and len(self._called) < MAX_AT_ONCE:
            peer_id = next(iter(self._there))
            del self._there[peer_id]
            if self._has_lines(peer_id) and self._is_wanted(peer_id):
                self._called[peer_id] = self._clock.seconds()
                self.call(peer_id)

    # -- what happens

    def said(self, peer_id: str) -> None:
        """A line waits that the person has just said: look for its reader soon."""
        self._ended.discard(peer_id)
        if self._is_due(peer_id, self._clock.seconds()):
            self._look_for([peer_id])

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
            self._refused.pop(event.peer_id, None)
        if isinstance(event, events.CallFailed) and event.reason not in _PASSING:
            self._wait(event.peer_id, REFUSED)
            self._refused[event.peer_id] = self._due[event.peer_id]
        elif isinstance(event, events.CallFailed):
            self.away(event.peer_id)
        return is_hidden
