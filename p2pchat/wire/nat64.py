"""
IPv4 addresses as IPv6 ones that a NAT64 translates (RFC 6052), and the prefix that it does so with.

Octets of the IPv4 address, v, behind a prefix of each length (RFC 6052 section 2.2); octet 8, u, is
zero, and so is what follows the address::

    octet     0   1   2   3   4   5   6   7   8   9  10  11  12  13  14  15
    32 bits  |prefix       | v   v   v   v | u |
    40 bits  |prefix           | v   v   v | u | v |
    48 bits  |prefix               | v   v | u | v   v |
    56 bits  |prefix                   | v | u | v   v   v |
    64 bits  |prefix                       | u | v   v   v   v |
    96 bits  |prefix                                       | v   v   v   v |

Refuses prefixes that lead to no network: loopback, link-local, multicast, IPv4-mapped.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import attrs

from p2pchat.wire.addresses import Family, Scope, family, parse_ip, scope

WELL_KNOWN_NAME = "ipv4only.arpa"  # RFC 7050 section 8.2: it has two IPv4 addresses, no IPv6 one
WELL_KNOWN_ADDRESSES = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))

_WELL_KNOWN_PREFIX = IPv6Address("64:ff9b::").packed[:12]  # RFC 6052 section 2.1
_OCTETS = {  # of the IPv4 address, by the octets of the prefix
    12: (12, 13, 14, 15),
    8: (9, 10, 11, 12),
    7: (7, 9, 10, 11),
    6: (6, 7, 9, 10),
    5: (5, 6, 7, 9),
    4: (4, 5, 6, 7),
}
_NETWORKS = (
    *map(IPv6Network, ("2000::/3", "fc00::/7")),
    *map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")),  # RFC 6052, RFC 8215
)
_REMEMBERED = 1024  # addresses; a peer has to do with a few dozen


@attrs.frozen
class Nat64Prefix:
    """
    The prefix of one NAT64.

    :ivar octets: the prefix itself; 4 to 8, or 12.
    """

    octets: bytes

    def __str__(self) -> str:
        return f"{IPv6Address(self.octets.ljust(16, bytes(1)))}/{len(self.octets) * 8}"

    def to_ipv6(self, host: str) -> str:
        """
        Return where an IPv4 address is reached; what can't be, unchanged.

        The well-known prefix leads to the internet alone (RFC 6052 section 3.1).
        """
        return _to_ipv6(self.octets, host)

    def to_ipv4(self, host: str) -> str:
        """Return the IPv4 address that an IPv6 one leads to; unchanged if it leads to none."""
        return _to_ipv4(self.octets, host)


@lru_cache(_REMEMBERED)
def _to_ipv6(prefix: bytes, host: str) -> str:
    where = scope(host)
    is_led = where is Scope.GLOBAL or (where is Scope.PRIVATE and prefix != _WELL_KNOWN_PREFIX)
    if family(host) is Family.IPV6 or not is_led:
        return host
    packed = bytearray(prefix.ljust(16, bytes(1)))
    for octet, value in zip(_OCTETS[len(prefix)], parse_ip(host).packed, strict=True):
        packed[octet] = value
    return str(IPv6Address(bytes(packed)))


@lru_cache(_REMEMBERED)
def _to_ipv4(prefix: bytes, host: str) -> str:
    if family(host) is Family.IPV4:
        return host
    packed = parse_ip(host).packed
    if not packed.startswith(prefix):
        return host
    found = str(IPv4Address(bytes(packed[octet] for octet in _OCTETS[len(prefix)])))
    return found if _to_ipv6(prefix, found) == str(IPv6Address(packed)) else host


def prefix_in(hosts: Iterable[str]) -> Nat64Prefix | None:
    """
    Return the prefix that a network's name servers put before a well-known IPv4 address.

    :param hosts: the addresses that they give WELL_KNOWN_NAME (RFC 7050 section 3).
    """
    for host in hosts:
        ip = parse_ip(host)
        if isinstance(ip, IPv6Address) and any(ip in network for network in _NETWORKS):
            for length in _OCTETS:
                octets = ip.packed[:length]
                if any(
                    _to_ipv6(octets, str(address)) == str(ip) for address in WELL_KNOWN_ADDRESSES
                ):
                    return Nat64Prefix(octets)
    return None
