"""
The node's own reading of our NAT, as one value for people and bots, and what ``/nat`` says of it.

Pure.
"""

from __future__ import annotations

from p2pchat.events import NatRead
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.nat import Filtering, Mapping, Preservation
from p2pchat.wire.addresses import format_address
from p2pchat.wire.visible import visible

_MAPPINGS = {
    Mapping.UNKNOWN: "not known yet: the registry's STUN service hasn't answered",
    Mapping.NONE: "no NAT: the registry sees this machine's own address",
    Mapping.ENDPOINT_INDEPENDENT: "one mapping for all destinations: good for direct paths",
    Mapping.DEPENDENT: "a new mapping for each destination: direct paths take longer, or a relay",
}

_BLOCKED = (
    "not known: UDP seems to be blocked here, for the registry's STUN service doesn't answer; "
    "conversations go over a relay's TCP or TLS, where the registry names one"
)
_UNASKED = "not known yet: no registry has said so far where a STUN service is that could be asked"
_ONE_ANSWER = "not known: one STUN address has answered, and it takes the answers of two to tell"
_KNOWN_HOSTS = "lets in whatever comes from a host that you sent to: direct paths are easy"
_FILTERING = {
    Filtering.ENDPOINT_INDEPENDENT: "lets in whatever comes: direct paths are easy",
    Filtering.ADDRESS_DEPENDENT: _KNOWN_HOSTS,
    Filtering.ADDRESS_AND_PORT_DEPENDENT: "lets in only whom you sent to, at the very port: usual,"
    " and direct paths work",
    Filtering.PORT_INDEPENDENT: _KNOWN_HOSTS,
    Filtering.UNKNOWN: "no answer yet, or the registry has but one STUN address",
}
_PORTS = {
    Preservation.PRESERVED: "the NAT keeps your port: with --port N it is N outside, too",
    Preservation.CHANGED: "the NAT gives you another port than your own",
    Preservation.UNKNOWN: "no answer yet",
}
_ALLOCATION = {
    "one": "everybody reaches you at the same port",
    "step": "each destination gets the next port, {step} further: peers are told those to come",
    "random": "nobody can tell it: where the other side is like this, too, only a relay helps",
    "unknown": "no answer yet",
}


def read_nat(agent: Agent) -> NatRead:
    """Return what the agent knows of our NAT."""
    gathering = agent.gathering
    traits = gathering.traits()
    detail = _MAPPINGS[traits.mapping]
    if traits.mapping is Mapping.UNKNOWN and gathering.reflexive_addresses:
        detail = _ONE_ANSWER
    elif not gathering.servers:
        detail = _UNASKED
    elif traits.mapping is Mapping.UNKNOWN and gathering.is_blocked:
        detail = _BLOCKED
    return NatRead(
        traits.mapping.value,
        ", ".join(format_address(address) for address in gathering.reflexive_addresses),
        detail,
        traits.filtering.value,
        traits.preservation.value,
        traits.allocation,
        traits.step,
        gathering.is_blocked,
        agent.relays.urls,
        gathering.keepalive.limit or 0.0,
    )


def nat_rows(nat: NatRead) -> list[tuple[str, str]]:
    """Return the two columns of ``/nat``: each reading, and what it means."""
    port = nat.port_preservation
    rows = [("mapping", _said(nat.mapping, nat.detail))]
    if nat.detail == _UNASKED:  # and so nobody named a relay either
        return rows
    rows += [("address", visible(nat.address))] if nat.address else []
    rows.append(("filtering", _said(nat.filtering, _FILTERING[Filtering.read(nat.filtering)])))
    if nat.mapping != Mapping.NONE.value:
        rows.append(("port", _said(port, _PORTS[Preservation.read(port)])))
        next_port = _ALLOCATION.get(nat.allocation, "").replace("{step}", f"{nat.step:+d}")
        rows.append(("next port", _said(nat.allocation, next_port)))
    if nat.udp_blocked:
        blocked = "seems blocked: nothing comes back; only a relay over TCP or TLS can help"
        rows.append(("UDP", blocked))
    if nat.keepalive:
        often = f"this NAT forgets early: something is sent every {nat.keepalive:g} seconds"
        rows.append(("keepalive", often))
    none = "the registry named none: only direct paths are possible"
    return [*rows, ("relays", visible(", ".join(nat.relays)) or none)]


def _said(word: str, meaning: str) -> str:
    return visible(f"{word}: {meaning}" if meaning else word)
