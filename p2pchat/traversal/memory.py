"""
What is remembered of the last path to a peer, and what the next attempt makes of it.

Owns two shortcuts, and no more::

    the last path came from     and this time
    ------------------------    ------------------------------------------------------------------
    many sockets, probing       the volley begins at once, without HARD_DELAY or OPEN_DELAY
    a relay, nothing direct     the relay is asked for at once, without RELAY_DELAY
    plain checks, prediction    nothing changes: the volley waits, and so does the relay

A memory adds; it never takes plain checks away, and whatever they find replaces it.  It belongs to
one pair of readings, our NAT's mapping and theirs: behind another NAT it isn't used.
"""

from __future__ import annotations

from enum import Enum

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.traversal.behaviour import Mapping, NatTraits
from p2pchat.wire.documents import CandidateType
from p2pchat.wire.strict_json import JsonObject, field, timestamp

MEMORY_LIFETIME = 30 * 86_400.0  # seconds; routers and contracts outlive it, a firmware may not
WORTH_NOTING = 86_400.0  # seconds after which the same lesson is dated anew


class Means(Enum):
    """What made a path."""

    PLAIN = "plain"
    MANY_SOCKETS = "many-sockets"
    PROBING = "port-probing"
    PREDICTED = "predicted-ports"
    RELAY = "relay"


@attrs.frozen
class Memory:
    """
    How a peer was reached last.

    :ivar ours: the mapping behaviour of our NAT then.
    :ivar theirs: that of theirs.
    :ivar learned_at: seconds since 1970.
    """

    means: Means
    ours: Mapping
    theirs: Mapping
    learned_at: float

    def fits(self, ours: NatTraits, theirs: NatTraits) -> bool:
        """Tell whether both NATs still look as they did."""
        return (self.ours, self.theirs) == (ours.mapping, theirs.mapping)

    def is_fresh(self, wall: float) -> bool:
        """Tell whether it is young enough to be used."""
        return abs(wall - self.learned_at) < MEMORY_LIFETIME

    def repeats(self, other: Memory | None) -> bool:
        """Tell whether another one says the same, and isn't much older."""
        if other is None or self.learned_at - other.learned_at > WORTH_NOTING:
            return False
        return attrs.evolve(self, learned_at=other.learned_at) == other

    @property
    def wants_volley(self) -> bool:
        """Whether plain checks did not do and the volley did."""
        return self.means in {Means.MANY_SOCKETS, Means.PROBING}

    @property
    def wants_relay(self) -> bool:
        """Whether a relay was all there was."""
        return self.means is Means.RELAY

    def to_json(self) -> JsonObject:
        """Return the members."""
        return {
            "means": self.means.value,
            "ours": self.ours.value,
            "theirs": self.theirs.value,
            "learned_at": self.learned_at,
        }

    @classmethod
    def from_json(cls, members: object) -> Memory:
        """
        Read the members.

        :raises RemoteProtocolError: they aren't those of a memory.
        """
        if not isinstance(members, dict):
            raise RemoteProtocolError("a memory must be an object")
        try:
            means = Means(field(members, "means", str))
            ours, theirs = (Mapping(field(members, side, str)) for side in ("ours", "theirs"))
        except ValueError as error:
            raise RemoteProtocolError(f"a memory of something unknown: {error}") from None
        return cls(means, ours, theirs, timestamp(members, "learned_at"))


def is_predicted(
    ours: NatTraits, local: CandidateType, theirs: NatTraits, remote: CandidateType
) -> bool:
    """Tell whether a direct path between candidates of these types met a predicted port."""
    host, reflexive = CandidateType.HOST, CandidateType.SERVER_REFLEXIVE
    return bool(ours.step and local is not host) or bool(theirs.step and remote is reflexive)
