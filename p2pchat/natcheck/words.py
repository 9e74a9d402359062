"""Plain words for readings of a NAT: what each means for the person."""

from __future__ import annotations

from p2pchat.events import NatRead
from p2pchat.traversal.nat import Filtering, Mapping, Preservation
from p2pchat.wire.visible import visible

# What ``--nat-type`` says of a mapping, and which one pystun3's labels (RFC 3489) mean.
MEANINGS = {
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
LABELS = {
    "Symmetric NAT": Mapping.ADDRESS_AND_PORT_DEPENDENT,
    "Open Internet": Mapping.NONE,
    "Symmetric UDP Firewall": Mapping.NONE,
    "Full Cone": Mapping.ENDPOINT_INDEPENDENT,
    "Restric NAT": Mapping.ENDPOINT_INDEPENDENT,
    "Restric Port NAT": Mapping.ENDPOINT_INDEPENDENT,
}

# What ``/nat`` says.
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


def nat_rows(nat: NatRead) -> list[tuple[str, str]]:
    """Return the two columns of ``/nat``: each reading, and what it means."""
    port = nat.port_preservation
    rows = [("mapping", _said(nat.mapping, nat.detail))]
    rows += [("address", visible(nat.address))] if nat.address else []
    rows.append(("filtering", _said(nat.filtering, _FILTERING[Filtering.read(nat.filtering)])))
    if nat.mapping != Mapping.NONE.value:
        rows += [
            ("port", _said(port, _PORTS[Preservation.read(port)])),
            ("next port", _said(nat.allocation, _allocation(nat))),
        ]
    if nat.udp_blocked:
        blocked = "seems blocked: nothing comes back; only a relay over TCP or TLS can help"
        rows.append(("UDP", blocked))
    if nat.keepalive:
        often = f"this NAT forgets early: something is sent every {nat.keepalive:g} seconds"
        rows.append(("keepalive", often))
    none = "the registry named none: only direct paths are possible"
    return [*rows, ("relays", visible(", ".join(nat.relays)) or none)]


def _allocation(nat: NatRead) -> str:
    return _ALLOCATION.get(nat.allocation, "").replace("{step}", f"{nat.step:+d}")


def _said(word: str, meaning: str) -> str:
    return visible(f"{word}: {meaning}" if meaning else word)
