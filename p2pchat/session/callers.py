"""
Callers: whose offer is taken, whose call rings, and what strangers may cost.

An offer that the policy welcomes, or that the approval of a conversation covers, needs none of
this.  Owns four limits on the others, so that strangers, one with many calls or many with one each,
cost the person and the registry's goodwill little, and never stand in a contact's way::

    offers that wait            MAX_STRANGERS of strangers; any further one is told busy
    offers of one caller        CALLER_BURST at once, then one in CALLER_INTERVAL
    rings of one caller         one, then silence for RING_PAUSE, twice as long after each ring; a
                                contact's pause doesn't grow.  Who is accepted begins anew.
    rings and replies           of all strangers together: STRANGERS_BURST, then one in
                                STRANGERS_INTERVAL; of rings LASTING_BURST at most, and then one in
                                LASTING_INTERVAL; further calls wait without a sound or a reply

A further offer is ignored; one that is taken and doesn't ring still waits for an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from p2pchat.session.token_bucket import TokenBucket

CALLER_BURST = 6.0  # offers; two calls of three attempts each
CALLER_INTERVAL = 10.0  # seconds
RING_PAUSE = 60.0  # seconds
LONGEST_PAUSE = 3600.0  # seconds
STRANGERS_BURST = 8.0  # rings and replies
STRANGERS_INTERVAL = 5.0  # seconds
LASTING_BURST = 20.0  # rings; a busy evening of a person whom many know
LASTING_INTERVAL = 300.0  # seconds; who goes on for hours is noise
MAX_STRANGERS = 32  # offers of strangers that may wait for the person
MAX_CALLERS = 1000  # who are remembered; the one who called longest ago is forgotten


class Ring(Enum):
    """Outcome of an offer."""

    NONE = "none"  # it is taken, and rings no more than it does already
    LOUD = "loud"
    QUIET = "quiet"  # it waits, and the person isn't disturbed
    IGNORED = "ignored"
    BUSY = "busy"  # it is refused


@attrs.define
class _Caller:
    offers: TokenBucket = attrs.Factory(lambda: TokenBucket(CALLER_BURST, CALLER_INTERVAL))
    quiet_until: float = 0.0
    pause: float = RING_PAUSE


@attrs.define
class Callers:
    """The callers of one peer, and the budgets that strangers share."""

    _callers: dict[str, _Caller] = attrs.Factory(dict)
    # Strangers whose offers were taken, MAX_STRANGERS at most; each says whether it still waits.
    _waiting: dict[str, Callable[[], bool]] = attrs.Factory(dict)
    _rings: TokenBucket = attrs.Factory(lambda: TokenBucket(STRANGERS_BURST, STRANGERS_INTERVAL))
    _lasting: TokenBucket = attrs.Factory(lambda: TokenBucket(LASTING_BURST, LASTING_INTERVAL))
    _replies: TokenBucket = attrs.Factory(lambda: TokenBucket(STRANGERS_BURST, STRANGERS_INTERVAL))

    def called(self, peer_id: str, is_contact: bool, now: float) -> Ring:
        """Decide about a call that needs the person's answer."""
        if not is_contact and self._strangers() >= MAX_STRANGERS:
            return Ring.BUSY
        caller = self._caller(peer_id)
        if not caller.offers.take(now):
            return Ring.IGNORED
        if now < caller.quiet_until or not (is_contact or self._strangers_ring(now)):
            return Ring.QUIET
        caller.quiet_until = now + caller.pause
        if not is_contact:
            caller.pause = min(caller.pause * 2, LONGEST_PAUSE)
        return Ring.LOUD

    def _strangers_ring(self, now: float) -> bool:
        return self._rings.take(now) and self._lasting.take(now)

    def waits(self, peer_id: str, still_waits: Callable[[], bool]) -> None:
        """Count a stranger's offer for as long as it waits."""
        self._waiting[peer_id] = still_waits

    def _strangers(self) -> int:
        self._waiting = {one: waits for one, waits in self._waiting.items() if waits()}
        return len(self._waiting)

    def repeated(self, peer_id: str, now: float) -> Ring:
        """Decide about another offer of one whose call waits already."""
        return Ring.NONE if self._caller(peer_id).offers.take(now) else Ring.IGNORED

    def _caller(self, peer_id: str) -> _Caller:
        caller = self._callers.pop(peer_id, None) or _Caller()
        if len(self._callers) >= MAX_CALLERS:
            del self._callers[next(iter(self._callers))]
        self._callers[peer_id] = caller
        return caller

    def accepted(self, peer_id: str) -> None:
        """The person has accepted this caller: the next call rings."""
        self._callers.pop(peer_id, None)

    def may_reply(self, now: float) -> bool:
        """Ask to tell a stranger that the person is asked, or busy."""
        return self._replies.take(now)
