"""
The table of HTTP connections: how many there may be in all and from one source, and for how long.

::

    opened ──▶ head ──▶ body ──▶ answering ──▶ idle ──▶ head ...
               10 s     20 s     no limit      60 s

A deadline is for the whole head or body: a byte now and then doesn't move it (slowloris).  What
is being answered has no deadline, nor has an event stream; but a connection that takes none of
what waits for it for STALL seconds ends, whatever it is doing.

When there is no room for one more, the oldest connection that has never sent a whole request is
dropped: those who only connect can't keep others out.  If all have
asked for something, the new one is refused.

A table that drains gives its connections up one by one: those on which nothing is asked end at
once, the others with the answer that is under way.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Protocol

import attrs

from p2pchat.registry.admission.rates import Limits

HEAD_DEADLINE = 10.0  # seconds for a request line and its headers
BODY_DEADLINE = 20.0  # seconds for a body: 16 KiB at 0.8 KiB a second
IDLE_DEADLINE = 60.0  # seconds between two requests; a peer renews its lease every 20
STALL = 30.0  # seconds that a client may take nothing of what waits for it; as MAX_STALLED
NEVER = float("inf")
CONNECTIONS = Limits(20_000, 512)  # event streams included
UNLIMITED = ""  # the source of connections that aren't limited by source: those of a trusted proxy


class ConnectionPhase(Enum):
    """Phases of a connection, with the seconds that each may last."""

    HEAD = HEAD_DEADLINE
    BODY = BODY_DEADLINE
    IDLE = IDLE_DEADLINE
    ANSWERING = NEVER


class ConnectionAdmission(Enum):
    """Answers to a new connection."""

    ADMITTED = "there is room"
    FULL = "there is none at all"
    TOO_MANY = "there is none for its source"


class Connection(Protocol):
    """A connection, as far as the table needs it."""

    def drop(self) -> None:
        """End it now, with whatever waits on it."""

    def drain(self) -> None:
        """End it with the answer that is under way, or now if there is none."""


@attrs.define(eq=False)
class Slot:
    """
    A connection's slot in the table.

    :ivar phase: what it is doing.
    :ivar deadline: when that must be over.
    :ivar stalled: since when the client takes nothing; NEVER: it does.
    :ivar is_gone: whether the slot was given up.
    """

    connection: Connection
    source: str
    phase: ConnectionPhase
    deadline: float
    stalled: float = attrs.field(init=False, default=NEVER)
    is_gone: bool = attrs.field(init=False, default=False)

    def enter(self, phase: ConnectionPhase, now: float) -> None:
        """Begin a phase."""
        self.phase = phase
        self.deadline = now + phase.value

    def is_over(self, now: float) -> bool:
        """Tell whether a deadline has passed."""
        return now >= self.deadline or now >= self.stalled + STALL


@attrs.define
class ConnectionTable:
    """
    All connections.

    ``now`` is in seconds on any clock that isn't set back.

    :ivar is_draining: whether each of them ends with its next answer.
    """

    limits: Limits
    is_draining: bool = attrs.field(init=False, default=False)
    _slots: dict[Slot, None] = attrs.field(init=False, factory=dict)
    # those that have asked nothing yet, the oldest first
    _silent: dict[Slot, None] = attrs.field(init=False, factory=dict)
    _sources: Counter[str] = attrs.field(init=False, factory=Counter)

    def __len__(self) -> int:
        return len(self._slots)

    def admit(self, source: str) -> ConnectionAdmission:
        """Return whether there is room for a connection from this source, after making some."""
        if source != UNLIMITED and self._sources[source] >= self.limits.per_source:
            return ConnectionAdmission.TOO_MANY
        if len(self._slots) < self.limits.total:
            return ConnectionAdmission.ADMITTED
        silent = next(iter(self._silent), None)
        if silent is None:
            return ConnectionAdmission.FULL
        self.remove(silent)
        silent.connection.drop()
        return ConnectionAdmission.ADMITTED

    def add(self, connection: Connection, source: str, now: float) -> Slot:
        """Give a connection its slot; its first request must come now."""
        slot = Slot(connection, source, ConnectionPhase.HEAD, now + HEAD_DEADLINE)
        self._slots[slot] = self._silent[slot] = None
        self._sources[source] += 1
        return slot

    def asked(self, slot: Slot) -> None:
        """Note that a whole request has come."""
        self._silent.pop(slot, None)

    def remove(self, slot: Slot) -> None:
        """Give a slot up; it may be gone already."""
        if slot.is_gone:
            return
        slot.is_gone = True
        del self._slots[slot]
        self._silent.pop(slot, None)
        self._sources[slot.source] -= 1
        if not self._sources[slot.source]:
            del self._sources[slot.source]

    def sweep(self, now: float) -> None:
        """Drop the connections whose deadlines have passed."""
        for slot in [one for one in self._slots if one.is_over(now)]:
            self.remove(slot)
            slot.connection.drop()

    def drain(self) -> None:
        """Let them end."""
        self.is_draining = True
        for slot in list(self._slots):
            slot.connection.drain()
