"""
Words for NAT behaviour, those of RFC 4787: vocabulary only.

Offers, answers and readings for people share them.  Which of them our own NAT is taken for is
decided in :mod:`p2pchat.traversal.gathering`, from answers of the STUN service; what follows for a
pair of NATs in :mod:`p2pchat.traversal.strategy`.
"""

from __future__ import annotations

from enum import Enum
from typing import Self

import attrs

from p2pchat.wire.documents import NatWords


class _Reading(Enum):
    """A property of a NAT, as the word that offers and answers carry."""

    @classmethod
    def read(cls, word: str) -> Self:
        """Return what a peer's word names; words from newer programs are unknown ones."""
        return cls(word if word in cls._value2member_map_ else "unknown")


class Mapping(_Reading):
    """
    Mapping behaviour (RFC 4787 section 4.1).

    DEPENDENT is one of the two that depend on the destination: the registry's STUN service, asked
    from the chat socket, doesn't tell which.  PORT_INDEPENDENT is one of the two that don't depend
    on its port: all that a STUN server with one address can tell.
    """

    UNKNOWN = "unknown"
    NONE = "none"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    DEPENDENT = "address-or-port-dependent"
    PORT_INDEPENDENT = "endpoint-independent-or-address-dependent"


class Filtering(_Reading):
    """
    Filtering behaviour (RFC 4787 section 5).

    PORT_INDEPENDENT is one of the two that don't look at ports: all that a socket can tell which
    has sent to every address of the server.
    """

    UNKNOWN = "unknown"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    PORT_INDEPENDENT = "endpoint-independent-or-address-dependent"


class Preservation(_Reading):
    """Port preservation: the NAT keeps the socket's port, or not (RFC 4787 section 4.2.1)."""

    UNKNOWN = "unknown"
    PRESERVED = "preserved"
    CHANGED = "changed"


@attrs.frozen
class NatTraits:
    """
    Knowledge of one side of its own NAT.

    :ivar mapping: the mapping behaviour.
    :ivar step: by how much the next mapping's port differs from the last one's; 0: no rule.
    :ivar filtering: the filtering behaviour.
    :ivar preservation: whether ports are kept; for people, no strategy depends on it.
    """

    mapping: Mapping = Mapping.UNKNOWN
    step: int = 0
    filtering: Filtering = Filtering.UNKNOWN
    preservation: Preservation = Preservation.UNKNOWN

    @classmethod
    def read(cls, words: NatWords) -> NatTraits:
        """Return the traits that a peer's words name; how large its step is, is its business."""
        step, filtering = int(words.allocation == "step"), Filtering.read(words.filtering)
        return cls(Mapping.read(words.mapping), step, filtering)

    def words(self) -> NatWords:
        """Return the words by which a peer is told of them."""
        return NatWords(self.mapping.value, "step" if self.step else "", self.filtering.value)

    @property
    def allocation(self) -> str:
        """How new mappings get their ports: ``one`` for all, by ``step``, ``random``."""
        if self.mapping is Mapping.DEPENDENT:
            return "step" if self.step else "random"
        return "one" if self.is_endpoint_independent else "unknown"

    @property
    def is_symmetric(self) -> bool:
        """Whether each destination gets a mapping of its own, with a port that nobody can tell."""
        return self.mapping is Mapping.DEPENDENT and not self.step

    @property
    def is_endpoint_independent(self) -> bool:
        """Whether one address reaches this side, whoever sends."""
        return self.mapping in {Mapping.NONE, Mapping.ENDPOINT_INDEPENDENT}

    @property
    def admits_known_hosts(self) -> bool:
        """Whether a host that was sent to may answer from any port: plain checks will do."""
        return self.filtering is Filtering.PORT_INDEPENDENT
