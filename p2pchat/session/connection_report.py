"""
The report of a connection, as ``/why`` shows it: what was tried, what came of it, and why.

Values, part of the stable interface of ``/why`` in JSON lines
(:mod:`p2pchat.traversal.report`), and the diagnosis of what is known in the end.  The sentence for
each word is in :mod:`p2pchat.session.explanation`; :mod:`p2pchat.session.connection_log` keeps what
a report is made of.
"""

from __future__ import annotations

from enum import Enum
from math import ceil

import attrs

from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.report import AttemptReport, NatReport, RelayReport


class Reason(Enum):
    """Cause of a path, or of there being none; of several, the one to mend first."""

    NOTHING_TRIED = "nothing-tried"
    UNDER_WAY = "under-way"
    LOST = "path-lost"
    ENDED = "ended"
    NOT_ANSWERED = "not-answered"
    NOT_REACHED = "not-reached"
    DIRECT = "direct"
    FRAGMENTED = "direct-in-fragments"
    RELAY_ONLY = "relay-only"
    UDP_BLOCKED = "udp-blocked"
    NO_STUN = "no-stun"
    NO_CANDIDATES = "no-direct-candidates"
    NO_FAMILY = "no-family-shared"
    TOO_SMALL = "path-too-small"
    LINK_FILTERED = "link-filtered"
    BOTH_RANDOM = "both-mappings-random"
    NOT_MET = "random-port-not-met"
    HELD_BACK = "probing-held-back"
    FILTERED = "filtered"


class Advice(Enum):
    """Remedy that somebody could try."""

    FORWARD_PORT = "forward-a-port"
    RAISE_MTU = "raise-the-mtu"
    ALLOW_UDP = "allow-udp"
    ASK_THEM = "ask-the-other-side"
    HAVE_BOTH = "use-a-network-with-both-families"
    DROP_RELAY_ONLY = "drop-relay-only"
    CALL_AGAIN = "call-again"
    WAIT = "wait-and-call-again"
    NAME_RELAY = "ask-the-registry-for-a-relay"
    RUN_STUN = "ask-the-registry-for-stun"
    MEND_RELAY = "ask-the-relay-operator"


@attrs.frozen
class Diagnosis:
    """
    The judgement.

    :ivar reason: a word of :class:`Reason`.
    :ivar advice: words of :class:`Advice`, the best first; none where all is well.
    :ivar wait_s: seconds to wait, where that is advised.
    :ivar packet: bytes of the largest IP packet that passes whole, where that is less than a link
        needs; 0 where it isn't known.
    """

    reason: str = Reason.NOTHING_TRIED.value
    advice: tuple[str, ...] = ()
    wait_s: int = 0
    packet: int = 0


@attrs.frozen
class Ending:
    """
    The end of a call or a conversation.

    :ivar reason: a word of :class:`p2pchat.events.Disconnected` where there was a conversation, of
        :class:`p2pchat.events.CallFailed` or ``OfferEnded`` where there was none.
    :ivar ours: whether this side ended it.
    :ivar explanation: a sentence, or "".
    """

    reason: str
    ours: bool
    conversation: bool
    explanation: str = ""


@attrs.frozen
class Evidence:
    """
    Facts that a diagnosis is made of.

    :ivar last: the last attempt.
    :ivar means: what made the path in use; ``None`` where there is none.
    :ivar relays: what came of asking for them.
    :ivar fragmented: whether the path in use carries the link in fragments.
    :ivar ending: how it ended; ``None`` while it goes on.
    :ivar since: milliseconds since the call began.
    :ivar is_lost: whether the path of the conversation is lost, and another looked for.
    """

    last: AttemptReport | None
    means: PathMethod | None
    knows_relays: bool
    relays: tuple[RelayReport, ...]
    relay_only: bool
    fragmented: bool = False
    ending: Ending | None = None
    since: float = 0.0
    is_lost: bool = False


@attrs.frozen
class Note:
    """Something that happened, as a sentence."""

    milliseconds: float
    text: str


@attrs.frozen
class PathReport:
    """A path that carried the conversation, from ``milliseconds`` on."""

    milliseconds: float
    local: str
    remote: str
    address: str
    rtt_ms: float
    fragmented: bool = False

    @property
    def is_relayed(self) -> bool:
        """Whether a relay is at either end."""
        return "relay" in {self.local, self.remote}


@attrs.frozen
class ConnectionReport:
    """
    Report of what was tried to reach a peer since the last call, what came of it, and why.

    :ivar relays_known: what the registry named.
    :ivar path: what carries the conversation now, if anything does.
    :ivar key_exchange: TLS's of the last link, "" where there was none.
    :ivar ending: how it ended; ``None`` while it goes on.
    """

    attempts: tuple[AttemptReport, ...] = ()
    relays_known: tuple[str, ...] = ()
    relays: tuple[RelayReport, ...] = ()
    paths: tuple[PathReport, ...] = ()
    path: PathReport | None = None
    notes: tuple[Note, ...] = ()
    verdict: Diagnosis = attrs.Factory(Diagnosis)
    key_exchange: str = ""
    ending: Ending | None = None


_UNFIT = {"too-small": Reason.TOO_SMALL, "silent": Reason.LINK_FILTERED}  # by a pair's fitness
_REMEDIES = {
    Reason.RELAY_ONLY: (Advice.DROP_RELAY_ONLY,),
    Reason.UDP_BLOCKED: (Advice.ALLOW_UDP,),
    Reason.NO_STUN: (Advice.RUN_STUN,),
    Reason.NO_CANDIDATES: (Advice.ASK_THEM,),
    Reason.NO_FAMILY: (Advice.HAVE_BOTH,),
    Reason.TOO_SMALL: (Advice.RAISE_MTU,),
    Reason.LINK_FILTERED: (Advice.ALLOW_UDP,),
    Reason.BOTH_RANDOM: (Advice.FORWARD_PORT,),
    Reason.NOT_MET: (Advice.CALL_AGAIN, Advice.FORWARD_PORT),
    Reason.HELD_BACK: (Advice.CALL_AGAIN, Advice.FORWARD_PORT),
    Reason.FILTERED: (Advice.ALLOW_UDP,),
}


def diagnose(known: Evidence) -> Diagnosis:
    """Return why there is the path that there is, or why there is none."""
    last = known.last
    if known.is_lost:
        return Diagnosis(Reason.LOST.value)
    if known.means is not None and known.means is not PathMethod.RELAY:
        if known.fragmented:
            return Diagnosis(Reason.FRAGMENTED.value, packet=_largest(last, "fragmented"))
        return Diagnosis(Reason.DIRECT.value)
    without_obstacle = _without_obstacle(known, last)
    if last is None or without_obstacle is not None:
        return Diagnosis((without_obstacle or Reason.NOTHING_TRIED).value)
    obstacle = _obstacle(last, known.relay_only)
    advice = _REMEDIES[obstacle] + (_about_relays(known) if known.means is None else ())
    wait = _wait(last, known.since) if Advice.CALL_AGAIN in advice else 0
    if wait:  # until then there is little to try it with
        advice = tuple(Advice.WAIT if one is Advice.CALL_AGAIN else one for one in advice)
    packet = _largest(last, "too-small") if obstacle is Reason.TOO_SMALL else 0
    return Diagnosis(obstacle.value, tuple(one.value for one in advice), wait, packet)


def _without_obstacle(known: Evidence, last: AttemptReport | None) -> Reason | None:
    """Return why there is no direct path, where nothing stands between the two."""
    ending, is_silent = known.ending, last is not None and last.theirs is None
    if ending is not None and not (is_silent and not ending.conversation):
        found_none = ending.reason == "no-path" and not ending.conversation
        return None if found_none and last is not None and last.failure else Reason.ENDED
    if last is None:
        return Reason.NOTHING_TRIED
    if last.checking or (known.means is None and not last.failure):
        return Reason.UNDER_WAY
    if not is_silent:
        return None
    return Reason.NOT_ANSWERED if known.means is None else Reason.NOT_REACHED


def _wait(last: AttemptReport, since: float) -> int:
    """Return the seconds until port guessing may send enough again."""
    again_ms = None if last.volley is None else last.volley.again_ms
    return 0 if again_ms is None else max(0, ceil((again_ms - since) / 1000))


def _largest(last: AttemptReport | None, fitness: str) -> int:
    """Return how large the largest packet is that a pair of this fitness lets pass whole."""
    pairs = () if last is None else last.pairs
    return max((pair.packet for pair in pairs if pair.fitness == fitness), default=0)


def _obstacle(last: AttemptReport, relay_only: bool) -> Reason:
    """Return what stands between the two."""
    assert last.theirs is not None
    unfit = {_UNFIT[pair.fitness] for pair in last.pairs if pair.fitness in _UNFIT}
    if relay_only or unfit:
        return Reason.RELAY_ONLY if relay_only else min(unfit, key=list(Reason).index)
    if last.ours.udp_blocked:
        return Reason.UDP_BLOCKED
    if last.ours.mapping == "unknown" and not _has_reflexive(last.ours):
        return Reason.NO_STUN
    types = {one.type for one in last.theirs.candidates}
    if types <= {"relay"} or (last.theirs.mapping == "unknown" and not _has_reflexive(last.theirs)):
        return Reason.NO_CANDIDATES
    if _has_family(last.ours) and not _has_family(last.ours) & _has_family(last.theirs):
        return Reason.NO_FAMILY
    return _unmet(last, {last.ours.allocation, last.theirs.allocation})


def _unmet(last: AttemptReport, allocations: set[str]) -> Reason:
    """Return why checks and port guessing led to nothing."""
    if allocations == {"random"}:
        return Reason.BOTH_RANDOM
    if "random" not in allocations:
        return Reason.FILTERED
    is_held = last.volley is not None and last.volley.held_back
    return Reason.HELD_BACK if is_held else Reason.NOT_MET


def _has_family(side: NatReport) -> set[bool]:
    """Return whether it told addresses of IPv6, of its own, and of IPv4."""
    return {one.address.startswith("[") for one in side.candidates if one.type != "relay"}


def _has_reflexive(side: NatReport) -> bool:
    return any(one.type == "srflx" for one in side.candidates)


def _about_relays(known: Evidence) -> tuple[Advice, ...]:
    """Return what would help where not even a relay carried anything."""
    if not known.knows_relays:
        return (Advice.NAME_RELAY,)
    served = any(one.allocated_ms is not None for one in known.relays)
    return () if served else (Advice.MEND_RELAY,)
