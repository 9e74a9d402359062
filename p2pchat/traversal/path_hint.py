"""
The hint that is stored of the last path to a peer, for the next attempt.

It says how that path was made.  What an attempt does with it is :mod:`p2pchat.traversal.strategy`.
It belongs to one pair of readings, our NAT's mapping and theirs: behind another NAT it isn't used.
Whatever the next attempt finds replaces it.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import attrs

from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.wire.documents import CandidateType
from p2pchat.wire.members import As, Members, Time, choice

HINT_LIFETIME = 30 * 86_400.0  # seconds; routers and contracts outlive it, a firmware may not
WORTH_NOTING = 86_400.0  # seconds after which the same lesson is dated anew


class PathMethod(Enum):
    """Method by which a path was made."""

    PLAIN = "plain"
    MANY_SOCKETS = "many-sockets"
    PORT_PROBING = "port-probing"
    PREDICTED = "predicted-ports"
    RELAY = "relay"


@attrs.frozen
class PathHint(Members):
    """
    Hint of how a peer was reached last.

    :ivar local: the mapping behaviour of our NAT then.
    :ivar remote: that of theirs.
    :ivar learned_at: seconds since 1970.
    """

    method: Annotated[PathMethod, choice(PathMethod), As("means")]
    local: Annotated[Mapping, choice(Mapping), As("ours")]
    remote: Annotated[Mapping, choice(Mapping), As("theirs")]
    learned_at: Time

    def fits(self, local: NatTraits, remote: NatTraits) -> bool:
        """Tell whether both NATs still look as they did."""
        return (self.local, self.remote) == (local.mapping, remote.mapping)

    def is_fresh(self, wall: float) -> bool:
        """Tell whether it is young enough to be used."""
        return abs(wall - self.learned_at) < HINT_LIFETIME

    def repeats(self, other: PathHint | None) -> bool:
        """Tell whether another one says the same, and isn't much older."""
        if other is None or self.learned_at - other.learned_at > WORTH_NOTING:
            return False
        return attrs.evolve(self, learned_at=other.learned_at) == other


def is_predicted(
    local_nat: NatTraits, local: CandidateType, remote_nat: NatTraits, remote: CandidateType
) -> bool:
    """Tell whether a direct path between candidates of these types met a predicted port."""
    is_ours = local_nat.step != 0 and local is not CandidateType.HOST
    return is_ours or (remote_nat.step != 0 and remote is CandidateType.SERVER_REFLEXIVE)
