"""What an object refers to, however far away: secrets that should be gone, and qh3's core."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType
from typing import Any

from qh3._hazmat import QuicConnectionCore

from p2pchat.session import quic_secrets


def reachable(start: object) -> list[Any]:
    """Return the objects that one refers to, however far away; of classes and modules nothing."""
    found: dict[int, Any] = {}
    left: list[object] = [start]
    while left:
        one = left.pop()
        if id(one) not in found and not isinstance(one, type | ModuleType | FunctionType):
            found[id(one)] = one
            left += gc.get_referents(one)
    return list(found.values())


def core(owner: object) -> QuicConnectionCore:
    """Return the packet core of qh3 in a connection or link."""
    (found,) = (one for one in reachable(owner) if isinstance(one, QuicConnectionCore))
    return found


def makes(kept: object, binding: bytes) -> bool:
    """Tell whether the channel binding follows from an object."""
    match kept:
        case bytes() | bytearray():
            return quic_secrets.channel_binding(bytes(kept)) == binding
        case str() if len(kept) in {64, 96} and set(kept) <= set("0123456789abcdef"):
            return quic_secrets.channel_binding(bytes.fromhex(kept)) == binding
    return False
