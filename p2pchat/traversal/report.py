"""
Values that report an attempt to reach a peer: NATs, candidates, checks, port guessing, relays.

Filled in by the machines of the traversal, explained by :mod:`p2pchat.session.explanation`, and
printed as JSON.  Part of that stable interface: members may be added, none is renamed or removed.
All times are milliseconds since the call began; one from before is negative.
"""

from __future__ import annotations

import attrs

from p2pchat.traversal.nat import NatTraits
from p2pchat.wire.addresses import format_address
from p2pchat.wire.documents import Candidate


def in_ms(seconds: float) -> float:
    """Return a duration, in seconds, in milliseconds as reports have it."""
    return round(seconds * 1000, 1)


def milliseconds(time: float | None, began: float) -> float | None:
    """Return the milliseconds from ``began``, in seconds, to a time."""
    return None if time is None else in_ms(time - began)


@attrs.frozen
class CandidateReport:
    """A candidate: its type, ``host``, ``srflx``, ``prflx`` or ``relay``, and its address."""

    type: str
    address: str


@attrs.frozen
class NatReport:
    """
    One side's NAT, in its own words, and the candidates that it sent the other.

    ``allocation`` is ``step`` where its next port can be predicted, ``random`` where it can't,
    and ``one`` where all destinations see the same; ``unknown`` goes for every word.
    """

    mapping: str
    allocation: str
    filtering: str
    port_preservation: str
    udp_blocked: bool  # as far as the side itself can tell; of the other side it isn't known
    candidates: tuple[CandidateReport, ...]

    @classmethod
    def of(cls, traits: NatTraits, blocked: bool, candidates: tuple[Candidate, ...]) -> NatReport:
        """Describe a side."""
        return cls(
            traits.mapping.value,
            traits.allocation,
            traits.filtering.value,
            traits.preservation.value,
            blocked,
            tuple(
                CandidateReport(one.type.value, format_address(one.address)) for one in candidates
            ),
        )


@attrs.frozen
class PairReport:
    """
    The checks on one candidate pair.

    ``fitness`` says what is known against its carrying a link: ``too-small`` (it loses datagrams of
    the size of QUIC's first ones), ``silent`` (the link wasn't heard over it), ``fragmented`` (they
    have to be fragmented), or "".  ``packet`` is how many bytes the largest IP packet that passes
    whole has, where a link needs more; 0 where that isn't known.
    """

    over: str  # the base: "" for the chat socket, else ``relay/N`` or ``socket/...``
    type: str  # of the other side's candidate
    address: str
    first_sent_ms: float | None
    checks_sent: int
    checks_received: int
    confirmed_ms: float | None  # when one of ours was first answered
    rtt_ms: float | None
    fitness: str = ""
    packet: int = 0


@attrs.frozen
class GuessingReport:
    """
    Many sockets, or port probing.

    ``began_ms`` is None where plain checks did before it was due, or where it was ``held_back``: as
    much went to that address in vain lately as may go there, and little or nothing was sent.
    ``again_ms`` says from when on enough may be sent again, where nothing came of it; else None.
    """

    began_ms: float | None
    packets_sent: int
    held_back: bool = False
    again_ms: float | None = None


@attrs.frozen
class RelayReport:
    """One allocation at a relay; ``failure`` says why there is none, or ""."""

    server: str
    asked_ms: float
    allocated_ms: float | None
    address: str
    failure: str
    detail: tuple[str, ...]


@attrs.frozen
class AttemptReport:
    """
    One offer, ours or theirs, and what followed.

    ``strategy`` is what our side did beside plain checks; ``remembered`` is how the last path to
    this peer was made, "" where nothing is known that fits; ``means`` how the path of this
    attempt was: ``plain``, ``many-sockets``, ``port-probing``, ``predicted-ports``, ``relay``, or
    "" where there is none.  ``checking`` says that its first round of checks is on.  ``failure`` is
    why it came to nothing, or "".
    """

    ours: NatReport
    theirs: NatReport | None
    offered_by_us: bool
    began_ms: float
    checks_began_ms: float | None = None
    strategy: str = ""
    remembered: str = ""
    pairs: tuple[PairReport, ...] = ()
    volley: GuessingReport | None = None
    means: str = ""
    checking: bool = False
    failure: str = ""

    @property
    def checks_sent(self) -> int:
        """All of them, those of port guessing apart."""
        return sum(pair.checks_sent for pair in self.pairs)
