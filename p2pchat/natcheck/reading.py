"""What the node's own sockets show of our NAT, as one value for people and bots."""

from __future__ import annotations

from typing import ClassVar

import attrs

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


@attrs.frozen
class NatRead:
    """
    What the registry's STUN service shows of our NAT.

    ``mapping`` is ``endpoint-independent``, ``address-or-port-dependent``, ``none`` (the host's
    own address is the mapped one) or ``unknown``.  ``filtering`` is
    ``address-and-port-dependent``, ``endpoint-independent-or-address-dependent`` or ``unknown``;
    ``port_preservation`` ``preserved``, ``changed`` or ``unknown``.
    """

    NAME: ClassVar[str] = "nat"

    mapping: str
    address: str  # our server-reflexive transport address, or ""
    detail: str
    filtering: str = "unknown"
    port_preservation: str = "unknown"
    allocation: str = "unknown"  # of new ports: ``one`` for all, by ``step``, ``random``
    step: int = 0  # by which the next port differs from the last one, where there is a rule
    udp_blocked: bool = False  # nothing comes back over UDP
    relays: tuple[str, ...] = ()  # that the registry named, as TURN URLs
    keepalive: float = 0.0  # seconds that nothing should be idle for; 0 while there is no reason


def read_nat(agent: Agent) -> NatRead:
    """Read it off the agent."""
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
        agent.relays.known,
        gathering.keepalive.limit or 0.0,
    )
