"""
The lifetime of idle NAT mappings, estimated from those that were lost.

A NAT can't be asked how long it keeps a mapping.  Evidence of one that expired is:

* the STUN service sees us at another address than it did at the request before;
* a path that had been idle is lost and found anew at once, or the other side is suddenly heard
  from another port.

Each says that a mapping lived for less than the gap, if nothing else happened.  A NAT that was
rebooted looks the same, once; so one event changes nothing, nor does another in whose gap it was,
for that shows the same reboot.  A NAT that forgets early does it after every gap: the second event
within PATTERN_SPAN makes a pattern, and from then on nothing is idle for longer than half of the
shorter gap.  If that is still too long, the pattern comes again and halves it again, down to
SHORTEST.  What follows a change of this machine's addresses, an outage or a busy path says nothing
about idle mappings and is left out; new addresses mean a new NAT, of which nothing is known.

Whose NAT forgot a path, ours or theirs, can't be told, and need not be: a PING that we send makes
them send a PONG.  A mistake costs a few small packets a minute, and ends with the network.

Owns the limit; heartbeats (:mod:`p2pchat.session.endpoint`) and the requests of
:mod:`p2pchat.traversal.gathering` keep to it.
"""

from __future__ import annotations

from math import inf

import attrs

SHORTEST = 5.0  # seconds; no NAT is known whose mappings live shorter, and phones want to sleep
PATTERN = 2  # events that aren't chance any more
PATTERN_SPAN = 120.0  # seconds between two events that belong together
ONE_EVENT = 5.0  # seconds; several mappings of one NAT are found gone one after the other
QUICK = 10.0  # seconds in which a path is found anew where only a mapping was gone
NEW_NETWORK = 10.0  # seconds in which a change of addresses shows everywhere
SLACK = 1.0  # seconds; a gap this much longer than the limit was begun before it, and says nothing


@attrs.define
class Keepalive:
    """
    The estimate for one network.

    :ivar limit: seconds that nothing should be idle for; ``None`` while there is no reason.
    """

    limit: float | None = None
    _count: int = 0
    _event_at: float = -inf
    _gap: float = inf  # the shortest of the pattern
    _ignored_until: float = -inf

    def within(self, interval: float) -> float:
        """Return this interval in seconds, or a shorter one where the NAT asks for it."""
        return interval if self.limit is None else min(interval, self.limit)

    def network_changed(self, now: float) -> None:
        """Begin anew: this machine has other addresses, and so another NAT."""
        self.limit, self._count = None, 0
        self._ignored_until = now + NEW_NETWORK

    def mapping_changed(self, gap: float, now: float) -> None:
        """
        Note that the STUN service sees us at another address than before.

        :param gap: seconds between the two requests.
        """
        self._note(gap, now)

    def path_moved(self, idle: float, now: float) -> None:
        """
        Note that the other side is heard from another port of its address.

        :param idle: seconds for which the path had carried nothing.
        """
        self._note(idle, now)

    def path_found_anew(self, idle: float, lost_at: float, now: float) -> None:
        """
        Note that a lost path was found again; if that took long, the network was away.

        :param idle: seconds for which it had carried nothing before it was lost.
        """
        if now - lost_at < QUICK:
            self._note(idle, lost_at)

    def _note(self, gap: float, now: float) -> None:
        if not SHORTEST <= gap <= self.within(gap) + SLACK:
            return
        if now < self._ignored_until or now - max(gap, ONE_EVENT) < self._event_at:
            return
        goes_on = now - self._event_at < PATTERN_SPAN
        self._count, self._gap = (self._count + 1, min(gap, self._gap)) if goes_on else (1, gap)
        self._event_at = now
        if self._count >= PATTERN:
            self.limit = max(SHORTEST, self.within(self._gap) / 2)
            self._count, self._gap = 0, inf
