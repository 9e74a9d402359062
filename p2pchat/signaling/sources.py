"""
Whom the limits by address count as one: an IPv4 address, or an IPv6 /64, the least that one
subscriber is given (RFC 6177).
"""

from __future__ import annotations

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import parse_ip


def source_of(name: str) -> str:
    """Return the source that an address belongs to; any other name is one of its own."""
    if ":" not in name:
        return name
    try:
        return parse_ip(name).packed[:8].hex()
    except RemoteProtocolError:
        return name
