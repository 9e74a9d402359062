"""
Selection of the pair that carries the traffic, among the valid pairs of the round; pure.

In this order:

1. The pair that the other side nominated, where it is its right to (RFC 8445 section 8).
2. The pair in use, until it has had the time to answer in this round, too (FAIR_WAIT).
3. The pair with the least cost: direct before relayed, whatever their times, then by round-trip
   time.  The pair in use is left only for a clearly better one (BETTER).

Deviation from RFC 8445: traffic flows before nomination, over the pair that this gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from p2pchat.traversal.pairs import Pair

LOCAL_ADVANTAGE = 0.005  # seconds; a host candidate is preferred to a NAT's mapping, which may
# expire, unless it is slower by this: two behind one NAT stay inside, even if it hairpins
BETTER = 0.8  # a path is left only for one with less than this share of its round-trip time
FAIR_WAIT = 0.05  # seconds that the pair in use has to answer before another takes over, ...
FAIR_RTTS = 3  # ... and at least that many of its round-trip times


@attrs.frozen
class Choice:
    """
    Decision about the path.

    :ivar pair: the pair to use from now on; ``None``: the one in use, if there is one.
    :ivar again_at: when to select again, whatever happens until then.
    """

    pair: Pair | None = None
    again_at: float | None = None


def select(
    valid: Sequence[Pair],
    current: Pair | None,
    nominated: Pair | None,
    round_started: float,
    now: float,
) -> Choice:
    """
    Choose the pair to use.

    :param valid: the valid pairs of this round.
    :param current: the pair in use, valid or not.
    :param nominated: the pair that the other side nominated, valid or not.
    """
    if nominated in valid:
        return Choice(nominated)
    if not valid:
        return Choice()
    best = min(valid, key=cost)
    if current is None:
        return Choice(best)
    if current in valid:
        return Choice(best if _is_clearly_better(best, current) else None)
    fair = round_started + max(FAIR_WAIT, FAIR_RTTS * current.rtt)
    return Choice(again_at=fair) if now < fair else Choice(best)


def cost(pair: Pair) -> tuple[bool, float]:
    """Return what to choose by, the less the better."""
    return pair.is_relayed, pair.rtt + (0.0 if pair.is_local else LOCAL_ADVANTAGE)


def _is_clearly_better(best: Pair, current: Pair) -> bool:
    relayed, seconds = cost(current)
    # From a NAT's mapping back to the other machine's own address: any gain is worth it.
    comes_home = best.is_local and not current.is_local
    return cost(best) < (relayed, seconds * (1.0 if comes_home else BETTER))
