"""The output of ``--nat-type``: pystun3's label, our own reading, and what they mean."""

from __future__ import annotations

from typing import ClassVar

import attrs

from p2pchat.natcheck.classic import NatType
from p2pchat.natcheck.discovery import Behaviour
from p2pchat.traversal.nat import Filtering, Mapping
from p2pchat.wire.addresses import format_address
from p2pchat.wire.strict_json import JsonObject
from p2pchat.wire.visible import visible

# What is said of a mapping, and which one pystun3's labels (RFC 3489) mean.
_MEANINGS = {
    Mapping.NONE: "No NAT stands between you and that server: direct paths are easy.",
    Mapping.ENDPOINT_INDEPENDENT: "Your NAT keeps one address for everybody: direct paths work"
    " with nearly every other NAT.",
    Mapping.PORT_INDEPENDENT: "Your NAT keeps one address for all ports of a host: direct paths"
    " work with most other NATs.",
    Mapping.ADDRESS_DEPENDENT: "Your NAT gives you another address for each host: direct paths"
    " work where the other side's NAT is easy.",
    Mapping.ADDRESS_AND_PORT_DEPENDENT: "Your NAT gives you another address for every destination:"
    " direct paths work where the other side's NAT is easy.",
}
_LABELS = {
    "Symmetric NAT": Mapping.ADDRESS_AND_PORT_DEPENDENT,
    "Open Internet": Mapping.NONE,
    "Symmetric UDP Firewall": Mapping.NONE,
    "Full Cone": Mapping.ENDPOINT_INDEPENDENT,
    "Restric NAT": Mapping.ENDPOINT_INDEPENDENT,
    "Restric Port NAT": Mapping.ENDPOINT_INDEPENDENT,
}


@attrs.frozen
class NatCheck:
    """Both readings of our NAT."""

    NAME: ClassVar[str] = "nat_type"

    nat_type: NatType
    behaviour: Behaviour

    @property
    def address(self) -> str:
        """Our address as a server saw it, or ""."""
        seen = self.nat_type.address
        return self.behaviour.address or ("" if seen is None else format_address(seen))

    @property
    def meaning(self) -> str:
        """One sentence for a person."""
        mapping = self.behaviour.mapping
        if mapping is Mapping.UNKNOWN:
            mapping = _LABELS.get(self.nat_type.label, Mapping.UNKNOWN)
        if mapping in _MEANINGS:
            return _MEANINGS[mapping]
        if self.address:
            return "The server answered, but not enough to tell what your NAT does."
        if self.nat_type == NatType():
            return "No STUN server was asked."
        return "Nothing answered: UDP may be blocked here."

    def fields(self) -> JsonObject:
        """Return the readings as the fields of one event."""
        troubles = (self.nat_type.trouble, self.behaviour.detail)
        return {
            "label": self.nat_type.label,
            "address": self.address,
            "mapping": _word(self.behaviour.mapping),
            "filtering": _word(self.behaviour.filtering),
            "trouble": [visible(text) for text in troubles if text],
            "meaning": self.meaning,
        }

    def rows(self) -> list[str]:
        """Return the readings as rows of text."""
        found = self.behaviour
        return [
            f"pystun3     {self.nat_type.label or 'no label'}{_because(self.nat_type.trouble)}",
            f"address     {self.address or 'unknown'}",
            f"mapping     {_word(found.mapping)}",
            f"filtering   {_word(found.filtering)}{_because(found.detail)}",
            self.meaning,
        ]


def _word(reading: Mapping | Filtering) -> str:
    return str(reading.value).replace("-or-", " or ")


def _because(trouble: str) -> str:
    return f" ({visible(trouble)})" if trouble else ""
