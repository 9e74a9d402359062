"""
The strategy of an attempt: what one side tries beside plain checks, when, and over which relay.

Decided from the traits of both NATs, which offer and answer carry, and from the hint of the last
path (:mod:`p2pchat.traversal.path_hint`)::

    our NAT                 their NAT               our side
    --------------------    --------------------    -------------------------------------
    symmetric               endpoint-independent    MANY_SOCKETS
    endpoint-independent    symmetric               PROBE
    symmetric               symmetric               HOPELESS: the relay carries
    anything else                                   PLAIN

    the last path           and this time
    --------------------    -------------------------------------------------------------
    port guessing           it begins at once, without GUESSING_DELAY or OPEN_FILTER_DELAY
    a relay                 the relay is asked for at once, not after a delay
    anything else           nothing changes

Readings of NATs are often wrong, so none of this takes plain checks away; it only adds to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import attrs

from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.wire.addresses import Address, Family, Scope, family, scope
from p2pchat.wire.documents import Candidate, CandidateType

GUESSING_DELAY = 0.15  # seconds that plain checks have for themselves
OPEN_FILTER_DELAY = 1.0  # the same, where the filter that they meet should let them through
LIKELIEST = 2  # addresses that a link's first flight goes to before one has answered


class Strategy(Enum):
    """Strategy of one side beside plain checks."""

    PLAIN = "plain"  # nothing
    MANY_SOCKETS = "many-sockets"
    PORT_PROBING = "port-probing"
    HOPELESS = "relay"  # both mappings are unpredictable


@attrs.frozen
class Plan:
    """
    Plan of an attempt beside plain checks.

    :ivar delay: seconds until port guessing begins.
    :ivar wants_relay: whether a relay is asked for at once.
    """

    strategy: Strategy
    delay: float
    wants_relay: bool


def choose(local: NatTraits, remote: NatTraits) -> Strategy:
    """Return what our side does; the other side, asking the same, does its part."""
    if local.is_symmetric and remote.is_symmetric:
        return Strategy.HOPELESS
    if local.is_symmetric and remote.is_endpoint_independent:
        return Strategy.MANY_SOCKETS
    if local.is_endpoint_independent and remote.is_symmetric:
        return Strategy.PORT_PROBING
    return Strategy.PLAIN


def plan(local: NatTraits, remote: NatTraits, hint: PathHint | None = None) -> Plan:
    """Return what our side does; a hint of other NATs than these two counts for nothing."""
    strategy = choose(local, remote)
    last = hint.method if hint is not None and hint.fits(local, remote) else None
    other = remote if local.is_symmetric else local  # the side whose address is the same for all
    delay = OPEN_FILTER_DELAY if other.admits_known_hosts else GUESSING_DELAY
    if last in {PathMethod.MANY_SOCKETS, PathMethod.PORT_PROBING}:
        delay = 0.0
    takes_long = last is PathMethod.RELAY or not _plain_checks_do(strategy, other)
    return Plan(strategy, delay, takes_long)


def _plain_checks_do(strategy: Strategy, other: NatTraits) -> bool:
    """Tell whether plain checks are likely to find a path, so that no relay is wanted meanwhile."""
    if strategy in {Strategy.PLAIN, Strategy.HOPELESS}:
        return strategy is Strategy.PLAIN
    # What a symmetric NAT sends comes from a port that nobody was told.  It gets in where there
    # is no NAT, or a filter that doesn't look at ports.
    return other.mapping is Mapping.NONE or other.admits_known_hosts


def by_likelihood(
    candidates: Iterable[Candidate], reflexive: Iterable[Address], families: frozenset[Family]
) -> list[Candidate]:
    """
    Order the candidates of the other side by where checks are answered first, in all likelihood.

    Behind a NAT of ours too, those are its host addresses; else what the internet sees of it; then
    its relayed addresses, and at last what this machine can't send to.  Where that says nothing,
    the other side's own order counts.

    :param reflexive: our own server-reflexive addresses.
    :param families: those in which this machine has an address.
    """
    ours, theirs = {host for host, _port in reflexive}, list(candidates)
    is_near = any(one.address[0] in ours for one in theirs)

    def rank(candidate: Candidate) -> int:
        if family(candidate.address[0]) not in families:
            return 3
        if candidate.type is CandidateType.RELAYED:
            return 2
        return int((scope(candidate.address[0]) is Scope.GLOBAL) is is_near)

    return sorted(theirs, key=rank)


def likeliest(
    candidates: Iterable[Candidate], reflexive: Iterable[Address], families: frozenset[Family]
) -> list[Address]:
    """Return the addresses of the other side that a link's first flight goes to."""
    usable = [one for one in candidates if family(one.address[0]) in families]
    return [one.address for one in by_likelihood(usable, reflexive, families)][:LIKELIEST]
