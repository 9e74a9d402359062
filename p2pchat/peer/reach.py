"""
Reach of a node: by which of its ways of signaling documents reach it now.

A way is available, away or displaced; nothing is known of one that has said nothing yet.  Owns what
is worth telling when one is lost: one that was there, or the last one, once all have said how they
are.  While another reaches us, or may do so in a moment, one that never was there is no loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import Enum

import attrs
from twisted.internet.defer import Deferred

from p2pchat.interfaces import ISignaling
from p2pchat.peer.gate import Gate
from p2pchat.peer.settings import RegistryInfo
from p2pchat.traversal.report import in_ms
from p2pchat.wire.addresses import Address


class Reach(Enum):
    """Reachability of us by one way of signaling."""

    AWAY = "away"
    AVAILABLE = "available"
    DISPLACED = "displaced"  # they reach another program with our identity


_STATES = {Reach.AVAILABLE: "reachable"}  # words of RegistryInfo


@attrs.define(eq=False)
class ReachTable:
    """
    The reach of a node by each of its ways.

    :ivar any: open while documents can reach us by one of them.
    """

    _members: Sequence[ISignaling]  # to which others may be added
    any: Gate = attrs.Factory(Gate)
    _reach: dict[ISignaling, Reach] = attrs.Factory(dict)
    _reasons: dict[ISignaling, str] = attrs.Factory(dict)  # why they were lost last
    _gates: dict[ISignaling, Gate] = attrs.Factory(lambda: defaultdict(Gate))
    _stun: dict[ISignaling, tuple[Address, ...]] = attrs.Factory(dict)

    # -- what is known

    def is_available(self, member: ISignaling) -> bool:
        """Tell whether documents can reach us by this way."""
        return self._reach.get(member) is Reach.AVAILABLE

    def available(self) -> list[ISignaling]:
        """Return the ways that are available."""
        return [one for one in self._members if self.is_available(one)]

    def usable(self) -> list[ISignaling]:
        """Return the ways that are available; all of them where none is."""
        return self.available() or list(self._members)

    def those(self, reach: Reach) -> list[ISignaling]:
        """Return the ways of this reach; of what has said nothing yet it is away."""
        return [one for one in self._members if self._reach.get(one, Reach.AWAY) is reach]

    def stun(self) -> tuple[Address, ...]:
        """Return the STUN servers that any of them named."""
        return tuple(dict.fromkeys(one for known in self._stun.values() for one in known))

    def info(self, member: ISignaling) -> RegistryInfo:
        """Return a way, and how it is, for a list on a screen."""
        reach = self._reach.get(member)
        state = "starting" if reach is None else _STATES.get(reach, reach.value)
        reason = "" if self.is_available(member) else self._reasons.get(member, "")
        return RegistryInfo(member.name, state, reason, in_ms(member.rtt()))

    def passed(self, member: ISignaling) -> Deferred[None]:
        """Return a Deferred that fires when documents can reach us by this way."""
        return self._gates[member].passed()

    # -- what happens

    def became_available(self, member: ISignaling, stun: tuple[Address, ...]) -> bool:
        """Documents can reach us by a way; tells whether they couldn't before."""
        is_new = not self.is_available(member)
        self._reach[member], self._stun[member] = Reach.AVAILABLE, stun
        return is_new

    def open(self, member: ISignaling) -> None:
        """Let those go on who wait for a way."""
        self.any.open()
        self._gates[member].open()

    def lost(self, member: ISignaling, reason: str, is_displaced: bool) -> bool:
        """Documents can't reach us by a way; tells whether that is worth telling."""
        was_there = self.is_available(member)
        self._gates[member].close()
        self._reach[member] = Reach.DISPLACED if is_displaced else Reach.AWAY
        self._reasons[member] = reason
        others = self.available()
        if not others:
            self.any.close()
        are_known = all(one in self._reach for one in self._members)
        return was_there or (are_known and not others)

    def release(self) -> None:
        """Let everybody go on who waits: we leave."""
        for gate in (self.any, *self._gates.values()):
            gate.release()
