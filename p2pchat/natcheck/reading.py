"""The node's own reading of our NAT, as one value for people and bots."""

from __future__ import annotations

from p2pchat.events import NatRead
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.nat import Mapping
from p2pchat.wire.addresses import format_address

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


def read_nat(agent: Agent) -> NatRead:
    """Return what the agent knows of our NAT."""
    gathering = agent.gathering
    traits = gathering.traits()
    silent = gathering.is_blocked and traits.mapping is Mapping.UNKNOWN
    return NatRead(
        traits.mapping.value,
        ", ".join(format_address(address) for address in gathering.reflexive_addresses),
        _BLOCKED if silent else _MAPPINGS[traits.mapping],
        traits.filtering.value,
        traits.preservation.value,
        traits.allocation,
        traits.step,
        gathering.is_blocked,
        agent.relays.urls,
        gathering.keepalive.limit or 0.0,
    )
