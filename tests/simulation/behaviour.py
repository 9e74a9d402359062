"""
How NATs behave, in the words of RFC 4787.

Mapping (section 4.1) and filtering (section 5) are two axes with the same three values.  A
`Behaviour` is the number of parts of the remote endpoint that count, so one function, `key`,
collapses the tuple for both, and kinds of NAT differ by data.
"""

from __future__ import annotations

from enum import IntEnum

import attrs

from tests.simulation.network import Address

Key = tuple[Address, tuple[str | int, ...]]


class Behaviour(IntEnum):
    """How much of the remote (address, port) makes a difference."""

    ENDPOINT_INDEPENDENT = 0
    ADDRESS_DEPENDENT = 1
    ADDRESS_AND_PORT_DEPENDENT = 2


def key(behaviour: Behaviour, internal: Address, remote: Address) -> Key:
    """Return what is the same for all remote endpoints that this behaviour treats alike."""
    return internal, remote[:behaviour]


@attrs.frozen
class NatKind:
    """One of the nine kinds of NAT."""

    mapping: Behaviour
    filtering: Behaviour

    def __str__(self) -> str:
        return f"{self.mapping.name.lower()} mapping, {self.filtering.name.lower()} filtering"


NAT_KINDS = tuple(NatKind(mapping, filtering) for mapping in Behaviour for filtering in Behaviour)

FULL_CONE = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ENDPOINT_INDEPENDENT)
RESTRICTED_CONE = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ADDRESS_DEPENDENT)
PORT_RESTRICTED_CONE = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
SYMMETRIC = NatKind(Behaviour.ADDRESS_AND_PORT_DEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
