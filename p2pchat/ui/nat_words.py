"""What ``/nat`` says: each reading, and what it means for the person in plain words."""

from __future__ import annotations

from p2pchat.peer.events import NatRead
from p2pchat.wire.visible import visible

_FILTERING = {
    "endpoint-independent": "lets in whatever comes: direct paths are easy",
    "address-dependent": "lets in whatever comes from a host that you sent to: direct paths are "
    "easy",
    "address-and-port-dependent": "lets in only whom you sent to, at the very port: usual, and "
    "direct paths work",
    "endpoint-independent-or-address-dependent": "lets in whatever comes from a host that you "
    "sent to: direct paths are easy",
    "unknown": "no answer yet, or the registry has but one STUN address",
}
_PORTS = {
    "preserved": "the NAT keeps your port: with --port N it is N outside, too",
    "changed": "the NAT gives you another port than your own",
    "unknown": "no answer yet",
}
_ALLOCATION = {
    "one": "everybody reaches you at the same port",
    "step": "each destination gets the next port, {step} further: peers are told those to come",
    "random": "nobody can tell it: where the other side is like this, too, only a relay helps",
    "unknown": "no answer yet",
}


def nat_rows(nat: NatRead) -> list[tuple[str, str]]:
    """Return what stands in the two columns."""
    rows = [("mapping", _said(nat.mapping, nat.detail))]
    rows += [("address", visible(nat.address))] if nat.address else []
    rows.append(("filtering", _said(nat.filtering, _FILTERING.get(nat.filtering, ""))))
    if nat.mapping != "none":
        rows += [
            ("port", _said(nat.port_preservation, _PORTS.get(nat.port_preservation, ""))),
            ("next port", _said(nat.allocation, _allocation(nat))),
        ]
    if nat.udp_blocked:
        blocked = "seems blocked: nothing comes back; only a relay over TCP or TLS can help"
        rows.append(("UDP", blocked))
    if nat.keepalive:
        often = f"this NAT forgets early: something is sent every {nat.keepalive:g} seconds"
        rows.append(("keepalive", often))
    none = "the registry named none: what can't be direct won't be"
    return [*rows, ("relays", visible(", ".join(nat.relays)) or none)]


def _allocation(nat: NatRead) -> str:
    return _ALLOCATION.get(nat.allocation, "").replace("{step}", f"{nat.step:+d}")


def _said(word: str, meaning: str) -> str:
    return visible(f"{word}: {meaning}" if meaning else word)
