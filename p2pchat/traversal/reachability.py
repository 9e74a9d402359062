"""
Which of the servers that a registry names may be sent to: STUN servers and relays.

A registry chooses where its peers' packets and connections go.  So that it can't look around in
the network of a peer by them, its servers must be at most as near as it is itself: one on the
internet names servers on the internet, one in our network those in our network too.  What is
judged is the address that is sent to, after every name was resolved, and its port: that of no
other well-known service.
"""

from __future__ import annotations

from ipaddress import IPv6Network

from p2pchat.wire.addresses import Address, Scope, parse_ip, scope

# Beside ports from 1024 on, where 3478 to 3480 and 5349 are: what passes firewalls as HTTPS.  Not
# 80 and 53, which STUN servers have here and there: what answers there is nearly always another's.
LOW_PORTS = frozenset({443})
FIRST_HIGH_PORT = 1024

_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: where it leads, only the network knows
_NEAR_ENOUGH = {
    Scope.GLOBAL: {Scope.GLOBAL},
    Scope.PRIVATE: {Scope.GLOBAL, Scope.PRIVATE},
    Scope.UNUSABLE: {Scope.GLOBAL, Scope.PRIVATE},  # link-local, and so in our network
    Scope.LOOPBACK: {Scope.GLOBAL, Scope.PRIVATE, Scope.LOOPBACK},
}


def may_serve(address: Address, registry: Scope) -> bool:
    """
    Tell whether a server there may be asked, which a registry of this scope names.

    :raises RemoteProtocolError: the host isn't an IP literal.
    """
    host, port = address
    is_usual = port in LOW_PORTS or FIRST_HIGH_PORT <= port < 65536
    return is_usual and _scope(host) in _NEAR_ENOUGH[registry]


def _scope(host: str) -> Scope:
    ip, found = parse_ip(host), scope(host)
    is_local = found is Scope.GLOBAL and ip.version == 6 and ip in _LOCAL_NAT64
    return Scope.PRIVATE if is_local else found
