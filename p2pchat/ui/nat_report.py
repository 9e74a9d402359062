"""What ``--nat-type`` prints: pystun3's label, our own reading, and what they mean."""

from __future__ import annotations

from p2pchat.peer import behaviour as rfc4787
from p2pchat.peer.behaviour import Behaviour
from p2pchat.peer.nat_type import NatType
from p2pchat.wire.addresses import format_address
from p2pchat.wire.strict_json import JsonObject
from p2pchat.wire.visible import visible

NAME = "nat_type"

_BY_LABEL = {
    "Blocked": rfc4787.UNKNOWN,
    "Symmetric NAT": rfc4787.ADDRESS_AND_PORT_DEPENDENT,
    "Open Internet": rfc4787.NO_NAT,
    "Symmetric UDP Firewall": rfc4787.NO_NAT,
    "Full Cone": rfc4787.ENDPOINT_INDEPENDENT,
    "Restric NAT": rfc4787.ENDPOINT_INDEPENDENT,
    "Restric Port NAT": rfc4787.ENDPOINT_INDEPENDENT,
}
_MEANINGS = {
    rfc4787.NO_NAT: "No NAT stands between you and that server: direct paths are easy.",
    rfc4787.ENDPOINT_INDEPENDENT: "Your NAT keeps one address for everybody: direct paths work"
    " with nearly every other NAT.",
    rfc4787.PORT_INDEPENDENT: "Your NAT keeps one address for all ports of a host: direct paths"
    " work with most other NATs.",
    rfc4787.ADDRESS_DEPENDENT: "Your NAT gives you another address for each host: direct paths"
    " work where the other side's NAT is easy.",
    rfc4787.ADDRESS_AND_PORT_DEPENDENT: "Your NAT gives you another address for every destination:"
    " direct paths work where the other side's NAT is easy.",
}
_NOT_ASKED = "No STUN server was asked."
_NO_ANSWER = "Nothing answered: UDP may be blocked here."


def answered(nat_type: NatType, behaviour: Behaviour) -> bool:
    """Tell whether either reading saw our address."""
    return bool(nat_type.address or behaviour.address)


def meaning(nat_type: NatType, behaviour: Behaviour) -> str:
    """Return one sentence for a person."""
    told = behaviour.mapping
    if told == rfc4787.UNKNOWN:
        told = _BY_LABEL.get(nat_type.label, rfc4787.UNKNOWN)
    if told in _MEANINGS:
        return _MEANINGS[told]
    if answered(nat_type, behaviour):
        return "The server answered, but not enough to tell what your NAT does."
    return _NOT_ASKED if nat_type == NatType() else _NO_ANSWER


def report(nat_type: NatType, behaviour: Behaviour) -> JsonObject:
    """Return the readings as the fields of one event."""
    return {
        "label": nat_type.label,
        "address": _address(nat_type, behaviour),
        "mapping": behaviour.mapping,
        "filtering": behaviour.filtering,
        "trouble": [visible(text) for text in (nat_type.trouble, behaviour.detail) if text],
        "meaning": meaning(nat_type, behaviour),
    }


def rows(nat_type: NatType, behaviour: Behaviour) -> list[str]:
    """Return the readings as rows of text."""
    fields = report(nat_type, behaviour)
    label = nat_type.label or "no label"
    return [
        f"pystun3     {label}" + (f" ({visible(nat_type.trouble)})" if nat_type.trouble else ""),
        f"address     {fields['address'] or 'unknown'}",
        f"mapping     {behaviour.mapping}",
        f"filtering   {behaviour.filtering}"
        + (f" ({visible(behaviour.detail)})" if behaviour.detail else ""),
        str(fields["meaning"]),
    ]


def _address(nat_type: NatType, behaviour: Behaviour) -> str:
    if behaviour.address or nat_type.address is None:
        return behaviour.address
    return format_address(nat_type.address)
