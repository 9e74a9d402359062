"""
The nameplates of a registry: what stands at each, whose it is, and until when.

Owns the limits: of one peer, of one address, and in all.  What stands at a nameplate is opaque
here, written once, and may be written again as it is, since an answer may have been lost.

Pure: the time is an argument, in seconds on any clock that isn't set back.
"""

from __future__ import annotations

import heapq
from collections import Counter
from enum import Enum

import attrs

MAX_NAMEPLATES = 4_000  # in the memory of a process; 12 KB each at most, 48 MB
MAX_OF_PEER = 16  # open invitations of one person
MAX_OF_SOURCE = 256  # of one address, behind which an office may be


@attrs.frozen
class Nameplate:
    """
    One nameplate.

    :ivar owner: peer id of the inviter.
    :ivar source: where the claim came from, to count what comes from there.
    :ivar origin: of the registry, as the inviter addressed it.
    :ivar message: the inviter's first message, in base64url.
    :ivar response: what the joiner left, as JSON, or "".
    :ivar completion: what the inviter answered, likewise.
    """

    name: str
    owner: str
    source: str
    origin: str
    message: str
    response: str = ""
    completion: str = ""


class NameplateOutcome(Enum):
    """Outcomes of what is asked of a nameplate."""

    DONE = "done"
    UNREGISTERED = "unregistered"  # its author
    TAKEN = "taken"  # the name, by another claim
    TOO_MANY = "too-many"  # of this peer or address
    FULL = "full"
    UNKNOWN = "unknown"
    NOT_YOURS = "not-yours"
    USED = "used"  # something else stands there
    UNANSWERED = "unanswered"  # there is nothing to complete


@attrs.define
class NameplateTable:
    """All nameplates of one process."""

    capacity: int = MAX_NAMEPLATES
    _nameplates: dict[str, Nameplate] = attrs.field(init=False, factory=dict)
    _ends: dict[str, float] = attrs.field(init=False, factory=dict)
    _due: list[tuple[float, str]] = attrs.field(init=False, factory=list)  # a heap
    _counts: Counter[str] = attrs.field(init=False, factory=Counter)  # by owner, and by source

    def __len__(self) -> int:
        return len(self._nameplates)

    def claim(self, wanted: Nameplate, until: float, now: float) -> NameplateOutcome:
        """Give a nameplate to its owner."""
        self.expire(now)
        former = self._nameplates.get(wanted.name)
        if former is not None:
            is_same = (former.owner, former.message) == (wanted.owner, wanted.message)
            return NameplateOutcome.DONE if is_same else NameplateOutcome.TAKEN
        if self._counts[wanted.owner] >= MAX_OF_PEER or (
            self._counts[wanted.source] >= MAX_OF_SOURCE
        ):
            return NameplateOutcome.TOO_MANY
        if len(self._nameplates) >= self.capacity:
            return NameplateOutcome.FULL
        self._nameplates[wanted.name], self._ends[wanted.name] = wanted, until
        heapq.heappush(self._due, (until, wanted.name))
        self._counts.update((wanted.owner, wanted.source))
        return NameplateOutcome.DONE

    def find(self, name: str, now: float) -> tuple[Nameplate, float] | None:
        """Return a nameplate, and for how many seconds it stays."""
        self.expire(now)
        found = self._nameplates.get(name)
        return None if found is None else (found, self._ends[name] - now)

    def respond(self, name: str, response: str, now: float) -> NameplateOutcome:
        """Let the joiner leave its response."""
        self.expire(now)
        found = self._nameplates.get(name)
        if found is None:
            return NameplateOutcome.UNKNOWN
        if found.response:
            return NameplateOutcome.DONE if found.response == response else NameplateOutcome.USED
        self._nameplates[name] = attrs.evolve(found, response=response)
        return NameplateOutcome.DONE

    def complete(self, name: str, owner: str, completion: str, now: float) -> NameplateOutcome:
        """Let the inviter answer it."""
        self.expire(now)
        found = self._nameplates.get(name)
        if found is None:
            return NameplateOutcome.UNKNOWN
        if found.owner != owner:
            return NameplateOutcome.NOT_YOURS
        if not found.response:
            return NameplateOutcome.UNANSWERED
        if found.completion:
            return (
                NameplateOutcome.DONE if found.completion == completion else NameplateOutcome.USED
            )
        self._nameplates[name] = attrs.evolve(found, completion=completion)
        return NameplateOutcome.DONE

    def release(self, name: str, owner: str, now: float) -> NameplateOutcome:
        """Let the inviter take the nameplate away."""
        self.expire(now)
        found = self._nameplates.get(name)
        if found is None:
            return NameplateOutcome.UNKNOWN
        if found.owner != owner:
            return NameplateOutcome.NOT_YOURS
        self._remove(name)
        return NameplateOutcome.DONE

    def expire(self, now: float) -> None:
        """Take away what has had its time."""
        while self._due and self._due[0][0] <= now:
            until, name = heapq.heappop(self._due)
            if self._ends.get(name) == until:
                self._remove(name)
        if len(self._due) > 2 * len(self._ends) + 64:  # entries of what was released
            self._due = [(until, name) for name, until in self._ends.items()]
            heapq.heapify(self._due)

    def _remove(self, name: str) -> None:
        found = self._nameplates.pop(name)
        del self._ends[name]
        for counted in (found.owner, found.source):
            self._counts[counted] -= 1
            if not self._counts[counted]:
                del self._counts[counted]
