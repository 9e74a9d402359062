"""
Slots for attempts that check, and the queue for them.

An attempt has a slot while a round of its checks is on; one that has a path and only keeps it sends
nothing, and needs none.  There are MAX_CHECKING slots, KEPT of them only for attempts that *have
priority*, those with known peers: contacts, and whomever our person called or accepted.  A round
that finds no slot waits, in this order, and first come, first served:

1. the first round of a known peer's attempt,
2. a later one, which verifies or moves the path of a known peer,
3. a later one of a stranger, who has answered checks of ours before,
4. the first round of a stranger's attempt.

A first round waits for LONGEST_WAIT at most: the other side's own ends soon after, and what begins
later meets nobody.  A later one waits for as long as it takes, for its attempt has a path.

At most MAX_WAITING first rounds of strangers wait, and strangers' attempts begin at BEGINNINGS a
second: each costs a key agreement, a signature, and requests to our relay.  A stranger beyond that
is refused as busy, before anything is done for it (:meth:`CheckSlots.has_room`).
"""

from __future__ import annotations

import attrs

from p2pchat.traversal.earliest import earliest

MAX_CHECKING = 8  # attempts; a person makes one or two, and a network that changes all of them
KEPT = 2  # of those, for known peers
MAX_WAITING = 16  # strangers' attempts; six in 0.4 seconds get a slot, if they find a path
LONGEST_WAIT = 2.5  # seconds; the other side's first round has 5
BEGINNINGS = 10.0  # strangers' attempts a second ...
AT_ONCE = 16  # ... and at once


@attrs.define
class CheckSlots:
    """The slots of all attempts of an agent, by their username fragments."""

    _checking: dict[str, bool] = attrs.Factory(dict)  # whether it has priority
    # By rank as in the module's docstring: since when they wait, the longest first.
    _waiting: tuple[dict[str, float], ...] = attrs.Factory(lambda: ({}, {}, {}, {}))
    _begun: float = 0.0  # strangers' attempts lately, ...
    _begun_at: float = 0.0  # ... as it was then

    def begin(self, has_priority: bool, now: float) -> None:
        """Count an attempt that begins."""
        if not has_priority:
            self._begun, self._begun_at = self._lately(now) + 1, now

    def _lately(self, now: float) -> float:
        return max(0.0, self._begun - BEGINNINGS * (now - self._begun_at))

    def has_room(self, has_priority: bool, now: float) -> bool:
        """Tell whether an attempt may begin now, to check at once or to wait for a slot."""
        if has_priority:
            return True
        return len(self._waiting[3]) < MAX_WAITING and self._lately(now) + 1 <= AT_ONCE

    def ask(self, ufrag: str, has_priority: bool, is_first: bool, now: float) -> bool:
        """
        Ask for a slot; tells whether there is one.  If not, :meth:`next` gives one later.

        :param is_first: whether it is the attempt's first round.
        """
        if ufrag in self._checking:
            return True
        if self._fits(has_priority):
            self._give(ufrag, has_priority)
            return True
        rank = (0 if is_first else 1) if has_priority else (3 if is_first else 2)
        self._waiting[rank].setdefault(ufrag, now)
        return False

    def _give(self, ufrag: str, has_priority: bool) -> None:
        self.leave(ufrag)
        self._checking[ufrag] = has_priority

    def _fits(self, has_priority: bool) -> bool:
        return len(self._checking) < MAX_CHECKING and (
            has_priority or self.count(False) < MAX_CHECKING - KEPT
        )

    def count(self, has_priority: bool) -> int:
        """Return how many attempts check, with priority or without."""
        return sum(one is has_priority for one in self._checking.values())

    @property
    def checking(self) -> tuple[str, ...]:
        """The attempts that have a slot, those that have it for longest first."""
        return tuple(self._checking)

    @property
    def is_awaited(self) -> bool:
        """Whether any round waits for a slot."""
        return any(self._waiting)

    @property
    def is_pressed(self) -> bool:
        """Whether the first round of an attempt with priority waits."""
        return bool(self._waiting[0])

    def leave(self, ufrag: str) -> None:
        """Free the slot of a round that is over, or its place in the queue."""
        self._checking.pop(ufrag, None)
        for waiting in self._waiting:
            waiting.pop(ufrag, None)

    def next(self) -> str | None:
        """Give the next one a slot, if there is one; call it until it returns ``None``."""
        for rank, waiting in enumerate(self._waiting):
            has_priority = rank < 2
            if waiting and self._fits(has_priority):
                ufrag = next(iter(waiting))
                self._give(ufrag, has_priority)
                return ufrag
        return None

    def expire(self, now: float) -> list[str]:
        """Remove the first rounds that have waited for too long, and return them."""
        late = [
            ufrag
            for rank in (0, 3)
            for ufrag, since in self._waiting[rank].items()
            if now >= since + LONGEST_WAIT
        ]
        for ufrag in late:
            self.leave(ufrag)
        return late

    def get_timer(self) -> float | None:
        """Return when a first round will have waited for too long."""
        if not self.is_awaited:
            return None
        oldest = earliest(*(next(iter(self._waiting[rank].values()), None) for rank in (0, 3)))
        return None if oldest is None else oldest + LONGEST_WAIT
