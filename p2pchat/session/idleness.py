"""
For how long a path carried nothing before it fell silent, told to the keepalive.

A path that is lost in the middle of talk says nothing about idle mappings; one that had rested
does (:mod:`p2pchat.traversal.keepalive`).  Silence is noticed only when something stays
unanswered, hence the time at which the first suspicion came counts, less what it waited for.
"""

from __future__ import annotations

import attrs

from p2pchat.session.conversation import SUSPICION
from p2pchat.traversal.keepalive import Keepalive
from p2pchat.traversal.pairs import Path


@attrs.define
class Idleness:
    """Watches the link of one dialogue."""

    _keepalive: Keepalive
    _heard_at: float | None = None
    _suspected_at: float | None = None  # for the first time since then
    _lost: tuple[float, float] | None = None  # for how long it had been idle, and when

    def heard(self, now: float) -> None:
        """Something came over the link."""
        self._heard_at, self._suspected_at = now, None

    def suspected(self, now: float) -> None:
        """Something should have been answered by now."""
        if self._suspected_at is None:
            self._suspected_at = now

    def moved(self, before: Path | None, after: Path, now: float) -> None:
        """Checks moved the path; it counts if but their port is another."""
        if before is None or before.is_relayed or after.is_relayed:
            return
        if before.address[0] == after.address[0] and before.address != after.address:
            self._keepalive.path_moved(self._idle(now), now)

    def lost(self, now: float) -> None:
        """The path gives no answer any more."""
        idle = 0.0 if self._suspected_at is None else self._idle(self._suspected_at)
        self._lost = (idle, now)

    def found(self, now: float) -> None:
        """There is a path again."""
        lost, self._lost = self._lost, None
        if lost is not None:
            self._keepalive.path_found_anew(*lost, now)

    def _idle(self, until: float) -> float:
        return 0.0 if self._heard_at is None else max(0.0, until - self._heard_at - SUSPICION)
