"""
Transport addresses: an IP literal and a port.

Owns the textual form (``192.0.2.1:3478``, ``[2001:db8::1]:3478``) and the classes of address
that matter for choosing what may be sent to.  Host names are refused: resolving is I/O.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address

from p2pchat.errors import RemoteProtocolError

Address = tuple[str, int]

ANY_IPV6 = "::"  # what a socket that takes everything for this machine is bound to
MAX_ADDRESS_TEXT = 64  # characters; the longest IPv6 literal with brackets and port has 53


class Family(Enum):
    """The version of the Internet Protocol."""

    IPV4 = 4
    IPV6 = 6


def family(host: str) -> Family:
    """Tell the family of an IP literal."""
    return Family.IPV6 if ":" in host else Family.IPV4


class Scope(Enum):
    """How far an IP address means anything."""

    UNUSABLE = "unusable"  # unspecified, multicast, broadcast, link-local
    LOOPBACK = "loopback"
    PRIVATE = "private"  # RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193
    GLOBAL = "global"


_PRIVATE_V4 = tuple(
    (int(IPv4Address(network)), 32 - bits)
    for network, bits in (
        ("10.0.0.0", 8),
        ("172.16.0.0", 12),
        ("192.168.0.0", 16),
        ("100.64.0.0", 10),
    )
)


def scope(host: str) -> Scope:
    """
    Classify an IP literal.

    Documentation networks (RFC 5737) count as global: they are public where they are used.

    :raises RemoteProtocolError: ``host`` isn't an IP literal.
    """
    ip = parse_ip(host)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped  # ::ffff:127.0.0.1 is reached where 127.0.0.1 is
    if ip.is_loopback:
        return Scope.LOOPBACK
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local or host == "255.255.255.255":
        return Scope.UNUSABLE
    if isinstance(ip, IPv4Address):
        if int(ip) >> 24 in {0} or int(ip) >> 28 == 0xF:  # RFC 1122 "this network", reserved
            return Scope.UNUSABLE
        private = any(int(ip) >> shift == net >> shift for net, shift in _PRIVATE_V4)
    else:
        private = ip.packed[0] & 0xFE == 0xFC
    return Scope.PRIVATE if private else Scope.GLOBAL


def parse_ip(host: str) -> IPv4Address | IPv6Address:
    """
    Read an IP literal without a zone.

    :raises RemoteProtocolError: it isn't one.
    """
    try:
        ip = ip_address(host)
    except ValueError:
        raise RemoteProtocolError(f"{host[:MAX_ADDRESS_TEXT]!r} is not an IP address") from None
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        raise RemoteProtocolError("an IPv6 zone means nothing to another host")
    return ip


def format_address(address: Address) -> str:
    """Write an address as ``host:port``, IPv6 hosts in brackets."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: object) -> Address:
    """
    Read ``host:port``.

    :raises RemoteProtocolError: not a string, not an IP literal, or no port from 1 to 65535.
    """
    if not isinstance(text, str) or len(text) > MAX_ADDRESS_TEXT:
        raise RemoteProtocolError("an address must be a string such as '192.0.2.1:3478'")
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise RemoteProtocolError(f"{text!r}: an IPv6 address needs brackets")
    if not colon or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise RemoteProtocolError(f"{text!r}: no port from 1 to 65535")
    return str(parse_ip(host)), int(port)
