"""
Transport addresses: an IP literal and a port.

Owns the textual form (``192.0.2.1:3478``, ``[2001:db8::1]:3478``) and the classes of address
that matter for choosing what may be sent to.  Host names are refused: resolving is I/O.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from p2pchat.errors import RemoteProtocolError

Address = tuple[str, int]

ANY_IPV6 = "::"  # what a socket that takes everything for this machine is bound to
MAX_ADDRESS_TEXT = 64  # characters; the longest IPv6 literal with brackets and port has 53


class Family(Enum):
    """The version of the Internet Protocol."""

    IPV4 = 4
    IPV6 = 6

    __hash__ = object.__hash__  # that of Enum is Python code, and each datagram looks one up


def family(host: str) -> Family:
    """Tell the family of an IP literal."""
    return Family.IPV6 if ":" in host else Family.IPV4


class Scope(Enum):
    """The reach of an IP address."""

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


_ENDS_IN_IPV4 = tuple(
    IPv6Address(network).packed[:octets]
    for network, octets in (
        *(("::", 12), ("::ffff:0:0:0", 12)),  # RFC 4291 section 2.5.5.1, RFC 2765 section 2.1
        *(("64:ff9b::", 12), ("64:ff9b:1::", 6)),  # RFC 6052 section 2.1, RFC 8215
    )
)


@lru_cache(maxsize=4096)  # about 150 bytes each; every datagram asks for its address
def scope(host: str) -> Scope:
    """
    Classify an IP literal.

    Documentation networks (RFC 5737) count as global: they are public where they are used.

    :raises RemoteProtocolError: ``host`` isn't an IP literal.
    """
    ip = parse_ip(host)
    if isinstance(ip, IPv6Address) and not ip.is_loopback:
        ip = embedded_ipv4(ip) or ip  # ::ffff:127.0.0.1 is reached where 127.0.0.1 is
    if ip.is_loopback:
        return Scope.LOOPBACK
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        return Scope.UNUSABLE
    if isinstance(ip, IPv4Address):
        if int(ip) >> 24 == 0 or int(ip) >> 28 == 0xF:  # RFC 1122 "this network"; reserved
            return Scope.UNUSABLE
        private = any(int(ip) >> shift == net >> shift for net, shift in _PRIVATE_V4)
    elif ip.is_site_local:  # deprecated by RFC 3879, and ambiguous
        return Scope.UNUSABLE
    else:
        private = ip.packed[0] & 0xFE == 0xFC
    return Scope.PRIVATE if private else Scope.GLOBAL


def embedded_ipv4(ip: IPv6Address) -> IPv4Address | None:
    """
    Return the IPv4 address that a packet to this IPv6 one is led to, or ``None``.

    Mapped and compatible (RFC 4291), translated (SIIT, NAT64), 6to4 (RFC 3056) and Teredo
    (RFC 4380) addresses have one.
    """
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if any(ip.packed.startswith(prefix) for prefix in _ENDS_IN_IPV4):
        return IPv4Address(ip.packed[12:])
    return None


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


def readable_ip(value: object) -> str:
    """Return an IP literal as it is usually written, or "" for anything else."""
    try:
        return str(parse_ip(value)) if isinstance(value, str) else ""
    except RemoteProtocolError:
        return ""


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
