"""
The address of a client, where a load balancer or another proxy stands before the registry.

::

    client ──▶ proxy, trusted ──▶ registry         X-Forwarded-For: what the client said, client

``X-Forwarded-For`` is believed only from the networks of ``--trusted-proxy``; each proxy appends
the address that it was called from.  So the client is the rightmost address there that isn't a
trusted proxy itself; whatever stands left of it is hearsay.

Where there is no such address (the header is missing, or garbled at that place) the request is
the proxy's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

from p2pchat.errors import ConfigurationError

FORWARDED = b"x-forwarded-for"
MAX_HOPS = 16  # entries that are read, from the right
MAX_NETWORKS = 64


@attrs.frozen
class TrustedProxies:
    """The networks of the proxies that are believed; by default none."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """
        Read ``ADDRESS[/BITS],...``; an empty text names none.

        :raises ConfigurationError: one isn't a network.
        """
        words = [word.strip() for word in text.split(",")] if text else []
        if len(words) > MAX_NETWORKS:
            raise ConfigurationError(f"{len(words)} networks, {MAX_NETWORKS} at most")
        try:
            return cls(tuple(ip_network(word) for word in words))
        except ValueError as error:
            raise ConfigurationError(f"{error}; try 192.0.2.1 or 192.0.2.0/24") from None

    def __contains__(self, host: str) -> bool:
        ip = _parsed(host)
        return ip is not None and any(ip in network for network in self.networks)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """
        Return the address of the client.

        :param peer: the address of the TCP connection.
        :param forwarded: the values of X-Forwarded-For, in their order.
        """
        if not self.networks or peer not in self:
            return peer
        nearest = peer
        for hop in reversed(",".join(forwarded).rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
            address = _address(hop)
            if address is None:
                return nearest
            if address not in self:
                return address
            nearest = address
        return nearest


def _address(text: str) -> str | None:
    """Read one entry, in its canonical form; some proxies add brackets, or the port."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    ip = _parsed(host)
    return None if ip is None else str(getattr(ip, "ipv4_mapped", None) or ip)


def _parsed(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
