"""
Events of an attempt's checks, for the agent, which hands most of them on.

Owned by :mod:`p2pchat.traversal.punching`; each names the attempt by our username fragment.
"""

from __future__ import annotations

import attrs

from p2pchat.traversal.link_proof import Fitness
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.routes import Datagram, Route


@attrs.frozen
class CheckDatagram:
    """A check of an attempt, or an answer to one, is to be sent."""

    ufrag: str
    datagram: Datagram


@attrs.frozen
class RouteHeard:
    """
    An authentic check came over a route, or, where it is ``validated``, a response to ours.

    :ivar wanted: packets sent before that the other side wanted, as the response shows.
    """

    ufrag: str
    route: Route
    validated: bool
    wanted: int = 0


@attrs.frozen
class PathMoved:
    """
    An attempt selected a path.

    :ivar leaves_direct: whether it is a relayed one after a direct one.
    """

    ufrag: str
    path: Path
    leaves_direct: bool = False


@attrs.frozen
class RoundEnded:
    """
    A round of an attempt ended; ``succeeded`` says whether with a valid pair.

    :ivar began: when the round did.
    :ivar rtt: of the path in use in seconds, 0 where that gave no answer.
    """

    ufrag: str
    succeeded: bool
    began: float = attrs.field(default=0.0, eq=False)
    rtt: float = attrs.field(default=0.0, eq=False)


@attrs.frozen
class SizeProbed:
    """The answer to ``probe_size``: whether a route carries datagrams with that much payload."""

    ufrag: str
    route: Route
    size: int
    is_carried: bool


@attrs.frozen
class PairUnfit:
    """A pair was found not to carry the link, though it answers checks."""

    ufrag: str
    route: Route
    fitness: Fitness


PunchingEvent = CheckDatagram | RouteHeard | PathMoved | RoundEnded | SizeProbed | PairUnfit
