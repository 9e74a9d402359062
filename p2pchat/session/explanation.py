"""
Sentences of a connection report, for ``/why`` and for the explanation of a failed call.

Pure.  Texts of the other side are in here as they came: whoever shows them makes them visible.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2pchat.session.connection_report import (
    Advice,
    ConnectionReport,
    Ending,
    PathReport,
    Reason,
)
from p2pchat.traversal.report import AttemptReport, NatReport, PairReport, RelayReport

_REASONS = {
    Reason.NOTHING_TRIED: "nothing was tried yet",
    Reason.LOST: "the path was lost, and another is looked for",
    Reason.ENDED: "nothing is tried any more",
    Reason.UNDER_WAY: "it is under way; a direct path may still be found",
    Reason.NOT_ANSWERED: "no path was looked for: the call was not accepted",
    Reason.NOT_REACHED: "no other path could be looked for: they didn't answer the last offer, or "
    "it didn't reach them",
    Reason.DIRECT: "the path is direct",
    Reason.FRAGMENTED: "the path is direct, and packets of 1,228 bytes, which it needs, pass in "
    "fragments only",
    Reason.RELAY_ONLY: "no direct path was tried: this peer runs with --relay-only",
    Reason.UDP_BLOCKED: "no direct path is possible: this network lets no UDP through",
    Reason.NO_STUN: "no direct path could be looked for: the registry's STUN service told us no "
    "address of our NAT",
    Reason.NO_CANDIDATES: "no direct path is possible: the other side told no address of its NAT, "
    "so its network lets no UDP through, or it runs with --relay-only",
    Reason.NO_FAMILY: "no direct path is possible: one side has IPv4 alone, the other IPv6 alone",
    Reason.TOO_SMALL: "no direct path carries a conversation: small packets get through, and those "
    "of 1,228 bytes, which it needs, don't",
    Reason.LINK_FILTERED: "no direct path carries a conversation: checks get through, and the link "
    "doesn't; a firewall on the way may know QUIC and drop it",
    Reason.BOTH_RANDOM: "no direct path is possible: both NATs give each destination a port that "
    "nobody can tell",
    Reason.NOT_MET: "one NAT gives each destination a port that nobody can tell, and none of its "
    "ports was met",
    Reason.HELD_BACK: "one NAT gives each destination a port that nobody can tell, and so much "
    "went to the other side's address in vain lately that too little may go there to meet one",
    Reason.FILTERED: "both NATs would allow a direct path, but no check got through: a firewall "
    "or a filter on the way drops them",
}
_ADVICE = {
    Advice.FORWARD_PORT: "what helps: turn off a strict or symmetric NAT setting in the router "
    "here or there, or start with --port N and forward UDP port N in the router to this machine",
    Advice.RAISE_MTU: "what helps: an MTU of 1,280 bytes or more in the VPN, tunnel or router on "
    "the way, or one that lets fragments through",
    Advice.ALLOW_UDP: "what helps: let this program send and receive UDP in the firewalls of "
    "machine and network, or use another network",
    Advice.ASK_THEM: "what helps: only the other side can change that, by another network or "
    "without --relay-only",
    Advice.HAVE_BOTH: "what helps: a network that has both IPv4 and IPv6, here or there",
    Advice.DROP_RELAY_ONLY: "what helps: start without --relay-only, and the other side learns "
    "your addresses",
    Advice.CALL_AGAIN: "what helps: call again; it is a matter of luck, and mostly works",
    Advice.WAIT: "what helps: wait {wait_s} seconds, then call again; it is a matter of luck, and "
    "mostly works",
    Advice.NAME_RELAY: "what helps: a relay, and the registry named none; ask its operator for "
    "one (p2psignal --turn)",
    Advice.RUN_STUN: "what helps: STUN, which didn't answer; ask the registry's operator whether "
    "it is on and its UDP ports are open (p2psignal --stun)",
    Advice.MEND_RELAY: "what helps: no relay served us; tell the registry's operator what the "
    "lines about relays say",
}
_STRATEGIES = {
    "many-sockets": "many sockets here, for their probes to find",
    "port-probing": "probes to random ports of theirs",
    "relay": "a relay at once, for plain checks can't meet",
}
_FITNESS = {  # of a pair
    "": "",
    "too-small": "; packets of 1,228 bytes are lost",
    "silent": "; the link wasn't heard",
    "fragmented": "; packets of 1,228 bytes need fragments",
}
_MEANS = {
    "plain": "plain checks",
    "many-sockets": "many sockets",
    "port-probing": "port probing",
    "predicted-ports": "a predicted port",
    "relay": "a relay",
}


def sentences(report: ConnectionReport) -> list[str]:
    """Return the judgement, and then the whole report in the order of things."""
    rows = [] if report.ending is None else [_ending(report.ending)]
    if report.verdict.reason != Reason.ENDED.value:
        rows += judgement(report)
    rows += [] if report.path is None else [f"in use: {_path(report.path)}"]
    rows += [f"key exchange: {report.key_exchange}"] if report.key_exchange else []
    for number, attempt in enumerate(report.attempts, 1):
        rows += _attempt(number, attempt)
    rows += [_relay(relay) for relay in report.relays]
    rows += [f"{_at(path.milliseconds)}: path {_path(path)}" for path in report.paths]
    return rows + [f"{_at(note.milliseconds)}: {note.text}" for note in report.notes]


# By reason, whether it was ours, and whether there was a conversation.
_ENDINGS = {
    ("closed", True, True): "you ended the conversation",
    ("left", False, True): "they ended the conversation",
    ("lost", False, True): "the path was lost, and no other was found in time",
    ("cancelled", True, False): "the call is over",
    ("declined", True, False): "you declined",
    ("busy", True, False): "too many called at once, and they were told busy",
    ("cancelled", False, False): "they took the call back",
    ("no-answer", False, False): "the call was not answered in time",
}


def causes(report: ConnectionReport) -> list[str]:
    """Return why no path was found, and what to do; nothing where none was looked for."""
    not_answered = report.verdict.reason == Reason.NOT_ANSWERED.value
    return [] if not_answered else judgement(report)


def checks(report: ConnectionReport) -> list[str]:
    """Return what the last attempt tried, if a path was looked for."""
    if not causes(report):
        return []
    last = [] if not report.attempts else [_pair(pair) for pair in report.attempts[-1].pairs]
    return [*last, *map(_relay, report.relays)]


def judgement(report: ConnectionReport) -> list[str]:
    """Return why the path is what it is, and what could be changed."""
    verdict = report.verdict
    advice = [_ADVICE[Advice(word)].format(wait_s=verdict.wait_s) for word in verdict.advice]
    return [_REASONS[Reason(verdict.reason)] + _largest(verdict.packet), *advice]


def _largest(packet: int) -> str:
    return f"; the largest that pass whole have {packet:,} bytes" if packet else ""


def _ending(ending: Ending) -> str:
    """Return how it ended."""
    known = _ENDINGS.get((ending.reason, ending.ours, ending.conversation))
    if ending.conversation:
        what = known or f"the conversation ended: {ending.reason}"
    elif ending.ours or not ending.explanation:
        what = known or f"the call ended: {ending.reason}"
    else:
        what = "the call failed"
    return f"{what}: {ending.explanation}" if ending.explanation else what


def _at(milliseconds: float) -> str:
    return f"{milliseconds:+.0f} ms"


def _attempt(number: int, attempt: AttemptReport) -> Iterator[str]:
    by = "offered by us" if attempt.offered_by_us else "offered by them"
    yield f"{_at(attempt.began_ms)}: attempt {number}, {by}"
    yield f"our side: {_side(attempt.ours)}"
    if attempt.theirs is not None:
        yield f"their side: {_side(attempt.theirs)}"
    if attempt.checks_began_ms is not None:
        yield f"{_at(attempt.checks_began_ms)}: plain checks began"
    if attempt.strategy in _STRATEGIES:
        yield f"beside plain checks: {_STRATEGIES[attempt.strategy]}{_volley(attempt)}"
    if attempt.remembered:
        yield f"the last path to them was made by {_MEANS[attempt.remembered]}"
    yield from (_pair(pair) for pair in attempt.pairs)
    if attempt.means:
        yield f"the path of this attempt was made by {_MEANS[attempt.means]}"
    if attempt.failure:
        yield f"attempt {number} came to nothing: {attempt.failure}"


def _side(side: NatReport) -> str:
    more = ", UDP seems blocked" if side.udp_blocked else ""
    if side.port_preservation != "unknown":
        more += f", ports {side.port_preservation}"
    candidates = ", ".join(f"{one.type} {one.address}" for one in side.candidates) or "none"
    return (
        f"NAT mapping {side.mapping}, next port {side.allocation}, filtering {side.filtering}"
        f"{more}; candidates: {candidates}"
    )


def _volley(attempt: AttemptReport) -> str:
    volley = attempt.volley
    if volley is None:
        return ""
    if volley.began_ms is None:
        said = "; held back" if volley.held_back else "; not needed"
    else:
        said = f"; {volley.packets_sent} packets sent from {_at(volley.began_ms)} on"
        said += ", the others held back" if volley.held_back else ""
    return said + ("" if volley.again_ms is None else f"; enough may go at {_at(volley.again_ms)}")


def _pair(pair: PairReport) -> str:
    over = {"": "", "relay": "over our relay to ", "socket": "from one of many sockets to "}
    began = "" if pair.first_sent_ms is None else f" from {_at(pair.first_sent_ms)} on"
    answered = "none answered"
    if pair.confirmed_ms is not None:
        answered = f"answered at {_at(pair.confirmed_ms)}, in {pair.rtt_ms:.1f} ms"
    return (
        f"{over[pair.over.partition('/')[0]]}{pair.type} {pair.address}: {pair.checks_sent} checks "
        f"sent{began}, {pair.checks_received} received, {answered}{_FITNESS[pair.fitness]}"
        f"{_largest(pair.packet)}"
    )


def _relay(relay: RelayReport) -> str:
    asked = f"relay {relay.server}: asked at {_at(relay.asked_ms)}"
    if relay.allocated_ms is not None:
        asked += f", there at {_at(relay.allocated_ms)} as {relay.address}"
    detail = [relay.failure] if relay.failure else list(relay.detail)
    return "; ".join([asked, *detail])


def _path(path: PathReport) -> str:
    how = ", in fragments" if path.fragmented else ""
    return f"{path.local} to {path.remote} {path.address}, {path.rtt_ms:.1f} ms{how}"
