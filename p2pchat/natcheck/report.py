"""The output of ``--nat-type``: pystun3's label, our own reading, and what they mean."""

from __future__ import annotations

from typing import ClassVar

import attrs

from p2pchat.natcheck.classic import NatType
from p2pchat.natcheck.discovery import Behaviour
from p2pchat.natcheck.words import LABELS, MEANINGS
from p2pchat.traversal.nat import Filtering, Mapping
from p2pchat.wire.addresses import format_address
from p2pchat.wire.strict_json import JsonObject
from p2pchat.wire.visible import visible


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
            mapping = LABELS.get(self.nat_type.label, Mapping.UNKNOWN)
        if mapping in MEANINGS:
            return MEANINGS[mapping]
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
