"""
Links for services: brought up where there is none, waited for, and quiet about it.

::

    bring_up ── a link is open, over such a path ──▶ at once
        └── else the peer is called, for services alone ─▶ Connected ─▶ all who wait
                                    ├─ PathFound: the direct one that some wait for ─▶ they
                                    └─ CallFailed, Disconnected ─▶ all who wait fail

Who called for a service hangs up IDLE after its last stream; and whoever may open nothing any more,
and isn't talked with, is hung up on at once.

What happens to a link on which nobody talks is told to nobody: the person asked for none.  Where
``direct`` was wanted and the path moves to a relay, what uses it ends: a relay is somebody's money.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakSet

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import (
    LinkLost,
    NoPath,
    NotGranted,
    P2PChatError,
    PeerOffline,
    TooManyStreams,
)
from p2pchat.peer.driver import Driver
from p2pchat.peer.service_endpoints import ANY, DIRECT, RELAY
from p2pchat.session.approval import By
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.explanation import sentences
from p2pchat.session.peer_session import PeerSession

IDLE = 600.0  # seconds; a page that is read, and the next click needn't wait for a call
MAX_WAITS = 1024  # who wait for a link, as many as there may be streams

_OF_LINK = (
    events.Calling
    | events.Rings
    | events.Checking
    | events.PathFound
    | events.PathLost
    | events.Connected
    | events.Renamed
    | events.Disconnected
    | events.CallFailed
)
_ABSENT = frozenset({"unknown-peer", "peer-offline", "no-answer", "registry", "not-registered"})
_REFUSED = {
    "declined": "they declined: without a grant somebody there must let you in",
    "busy": "they have no room for callers whom they know nothing of, at the moment",
}
_RINGS = "nobody there let you in within {} seconds: without a grant somebody must"
_SILENT = "no answer came within {} seconds: they aren't there, or can't be reached now"
_DIRECT_ONLY = "only a relay's path was found within {} seconds, and path=direct takes none"
_IS_DIRECT = "the link to them is direct, and path=relay was wanted: end it first (/disconnect)"


@attrs.define(eq=False)
class ServiceLinks:
    """
    The links of one node, as services use them.

    :ivar call: calls a peer for services; a Deferred fires when that is under way.
    :ivar relayed: peers whom only a relay's path may lead to, as long as a link for that is there.
    """

    _endpoint: Endpoint
    _driver: Driver[Any]
    _clock: IReactorTime
    call: Callable[[str], Deferred[None]]
    relayed: set[str] = attrs.Factory(set)
    _waits: dict[str, dict[Deferred[None], str]] = attrs.Factory(dict)  # by peer: the path wanted
    _wanted: dict[str, float] = attrs.Factory(dict)  # whom we called: when it was used last
    _quiet: set[str] = attrs.Factory(set)  # peers of links that nobody talks on
    _direct_only: dict[str, WeakSet[Any]] = attrs.Factory(dict)  # transports, by peer

    def bring_up(self, peer_id: str, path: str) -> Deferred[None]:
        """Return a Deferred that fires when a link with such a path is open."""
        session = self._endpoint.live_session(peer_id)
        is_open = session is not None and session.is_open
        self._wanted[peer_id] = self._clock.seconds()
        if session is not None and is_open and self._fits(session, path):
            return succeed(None)
        if is_open and path == RELAY:
            return fail(NoPath(_IS_DIRECT))
        if sum(map(len, self._waits.values())) >= MAX_WAITS:
            return fail(TooManyStreams(f"{MAX_WAITS} wait for links already"))
        wait: Deferred[None] = Deferred(lambda given_up: self._given_up(peer_id, given_up))
        self._waits.setdefault(peer_id, {})[wait] = path
        if path == RELAY:
            self.relayed.add(peer_id)
        if not is_open:
            self._call(peer_id)
        return wait

    def _call(self, peer_id: str) -> None:
        session = self._endpoint.sessions.get(peer_id)
        if session is None or not session.is_conversing:
            self.call(peer_id).addErrback(self._not_called, peer_id)

    def _not_called(self, failure: Failure, peer_id: str) -> None:
        failure.trap(P2PChatError)
        self._fail(peer_id, PeerOffline(str(failure.value)))

    @staticmethod
    def _fits(session: PeerSession, path: str) -> bool:
        is_relayed = session.path is not None and session.path.is_relayed
        return path == ANY or is_relayed is (path == RELAY)

    def path_of(self, peer_id: str) -> str:
        """Return ``direct`` or ``relay``, or "" where there is no path."""
        session = self._endpoint.sessions.get(peer_id)
        if session is None or session.path is None:
            return ""
        return RELAY if session.path.is_relayed else DIRECT

    def keep_direct(self, peer_id: str, transport: Any) -> None:
        """End what uses a transport where the path moves to a relay."""
        self._direct_only.setdefault(peer_id, WeakSet()).add(transport)

    def hang_up(self, may_call: Callable[[str], bool], used: Collection[str]) -> None:
        """
        End links that are for services alone, and of no use any more.

        :param may_call: tells whether a peer may open anything here.
        :param used: peers with whom streams are open.
        """
        now = self._clock.seconds()
        self._wanted.update(dict.fromkeys(self._wanted.keys() & set(used), now))
        for session in self._endpoint.alive():
            peer_id = session.peer_id
            wanted_at = self._wanted.get(peer_id)
            is_over = not may_call(peer_id) if wanted_at is None else now - wanted_at >= IDLE
            if is_over and session.is_open and session.is_for_services:
                with self._driver as now:
                    session.disconnect(now)

    def _given_up(self, peer_id: str, wait: Deferred[None]) -> None:
        """Nobody waits there any more: what is called for nobody needn't ring on."""
        waits = self._waits.get(peer_id, {})
        waits.pop(wait, None)
        session = self._endpoint.live_session(peer_id)
        if waits or session is None or session.is_open or not session.is_for_services:
            return
        with self._driver as now:
            session.disconnect(now)

    def overdue(self, peer_id: str, path: str, seconds: float) -> P2PChatError:
        """Return why there is no link in time."""
        session = self._endpoint.sessions.get(peer_id)
        shown = f"{seconds:g}"
        if session is not None and session.is_open and not self._fits(session, path):
            return NoPath(_DIRECT_ONLY.format(shown), self._why(session))
        if session is not None and session.shown_stage == "ringing":
            return NotGranted(_RINGS.format(shown))
        if session is not None and self._has_checked(session):
            return NoPath("", self._why(session))
        return PeerOffline(_SILENT.format(shown))

    def _why(self, session: PeerSession) -> tuple[str, ...]:
        return tuple(sentences(session.report(self._clock.seconds())))

    def _has_checked(self, session: PeerSession) -> bool:
        """Tell whether both sides' candidates were known: the network is to be blamed."""
        report = session.report(self._clock.seconds())
        return any(one.checks_began_ms is not None for one in report.attempts)

    # -- what happens

    def takes(self, event: events.SessionEvent) -> bool:
        """Take an event; tells whether it is of a link on which nobody talks, and not told."""
        peer_id = event.peer_id
        session = self._endpoint.sessions.get(peer_id)
        by = By.NOBODY if session is None else session.approval.by
        if by is not By.NOBODY:
            (self._quiet.add if by is By.SERVICE else self._quiet.discard)(peer_id)
        is_quiet = peer_id in self._quiet
        match event:
            case events.Connected() | events.PathFound():
                self._moved(peer_id)
            case events.CallFailed():
                self._fail(peer_id, self._error_of(event))
            case events.Disconnected():
                self._fail(peer_id, LinkLost())
            case events.OfferReceived():
                return is_quiet and event.accepted
        if isinstance(event, events.CallFailed | events.Disconnected):
            self._quiet.discard(peer_id)
            self._wanted.pop(peer_id, None)
            self.relayed.discard(peer_id)
            self._direct_only.pop(peer_id, None)
        return is_quiet and isinstance(event, _OF_LINK)

    def _moved(self, peer_id: str) -> None:
        """A link is open, or has another path."""
        session = self._endpoint.sessions.get(peer_id)
        if session is None or not session.is_open:
            return
        if not self._fits(session, DIRECT):
            for transport in list(self._direct_only.pop(peer_id, ())):
                transport.abortConnection()
        waits = self._waits.pop(peer_id, {})
        left = {one: path for one, path in waits.items() if not self._fits(session, path)}
        if left:
            self._waits[peer_id] = left
        for one in waits:
            if one not in left:
                one.callback(None)

    def _fail(self, peer_id: str, error: P2PChatError) -> None:
        for one in self._waits.pop(peer_id, {}):
            one.errback(error)

    def _error_of(self, event: events.CallFailed) -> P2PChatError:
        why = event.summary or event.explanation
        if event.reason in _REFUSED:
            return NotGranted(_REFUSED[event.reason])
        if event.reason in _ABSENT:
            return PeerOffline(why)
        session = self._endpoint.sessions.get(event.peer_id)
        return NoPath(why, () if session is None else self._why(session))
