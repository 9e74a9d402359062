"""
NAT behaviour in the terms of RFC 4787, and what follows from it for a pair of NATs.

Owns the words that offers and answers carry, and the choice of a strategy.  A reading is never
trusted over what the checks show: plain checks go out whatever it says.
"""

from __future__ import annotations

from enum import Enum
from typing import Self

import attrs

from p2pchat.wire.documents import NatWords


class Strategy(Enum):
    """What one side does beside plain checks."""

    PLAIN = "plain"  # nothing
    MANY_SOCKETS = "many-sockets"
    PROBE = "port-probing"
    HOPELESS = "relay"  # both mappings are random


class _Reading(Enum):
    """What was read of a NAT, as the word that offers and answers carry."""

    @classmethod
    def read(cls, word: str) -> Self:
        """Return what a peer's word names; words from newer programs are unknown ones."""
        return cls(word if word in cls._value2member_map_ else "unknown")


class Mapping(_Reading):
    """Mapping behaviour (RFC 4787 section 4.1), as far as the STUN service shows it."""

    UNKNOWN = "unknown"
    NONE = "none"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    DEPENDENT = "address-or-port-dependent"


class Filtering(_Reading):
    """Filtering behaviour (RFC 4787 section 5), as far as the chat socket can tell."""

    UNKNOWN = "unknown"
    PORT_DEPENDENT = "address-and-port-dependent"
    KNOWN_HOSTS = "endpoint-independent-or-address-dependent"


class Preservation(_Reading):
    """Whether the NAT keeps the port that the socket has (RFC 4787 section 4.2.1)."""

    UNKNOWN = "unknown"
    PRESERVED = "preserved"
    CHANGED = "changed"


@attrs.frozen
class NatTraits:
    """
    What one side knows of its own NAT.

    :ivar mapping: the mapping behaviour.
    :ivar filtering: the filtering behaviour.
    :ivar step: by how much the next mapping's port differs from the last one's; 0: no rule.
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
        return "one" if self.is_easy else "unknown"

    @property
    def is_random(self) -> bool:
        """Whether new mappings get ports that nobody can tell."""
        return self.mapping is Mapping.DEPENDENT and not self.step

    @property
    def is_open(self) -> bool:
        """Whether a host that was sent to may answer from any port: plain checks will do."""
        return self.filtering is Filtering.KNOWN_HOSTS

    @property
    def is_easy(self) -> bool:
        """Whether one address reaches this side, whoever sends."""
        return self.mapping in {Mapping.NONE, Mapping.ENDPOINT_INDEPENDENT}


def choose(ours: NatTraits, theirs: NatTraits) -> Strategy:
    """Return what our side does; the other side, asking the same, does its part."""
    if ours.is_random and theirs.is_random:
        return Strategy.HOPELESS
    if ours.is_random and theirs.is_easy:
        return Strategy.MANY_SOCKETS
    if ours.is_easy and theirs.is_random:
        return Strategy.PROBE
    return Strategy.PLAIN


def easy_side(ours: NatTraits, theirs: NatTraits) -> NatTraits:
    """Return the side that isn't random, where one is."""
    return theirs if ours.is_random else ours


def takes_long(ours: NatTraits, theirs: NatTraits) -> bool:
    """
    Tell whether plain checks can't do, as far as the readings go: a relay is wanted meanwhile.

    They do where the side that isn't random has no NAT, or a filter that lets known hosts in.
    """
    strategy = choose(ours, theirs)
    if strategy in {Strategy.MANY_SOCKETS, Strategy.PROBE}:
        easy = easy_side(ours, theirs)
        return easy.mapping is not Mapping.NONE and not easy.is_open
    return strategy is Strategy.HOPELESS
