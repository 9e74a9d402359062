"""
Addresses that may be contacted, by scope.

Decided here for whatever is named by somebody else.  What counts is the scope of the address
(:func:`p2pchat.wire.addresses.scope`), after every name was resolved, and who named it::

                                                  GLOBAL  PRIVATE  LOOPBACK  UNUSABLE
    host candidates, told and checked             yes     yes      if local  on link
    through a relay of ours, and by probing       IPv4    no       no        no
    STUN server or relay that a registry names
        registry is GLOBAL                        yes     no       no        no
        registry is PRIVATE, or link-local        yes     yes      no        no
        registry is LOOPBACK                      yes     yes      yes       no

``local`` means that our person chose a registry on this machine; then peers may be on it, too.
``on link`` are link-local IPv4 addresses (RFC 3927), where this machine has no others: two machines
on one cable.  Elsewhere something that is no peer listens there, as in data centres.

A registry chooses where its peers' packets and connections go.  So that it can't look around in
the network of a peer by them, its servers must be at most as near as it is itself, and at no port
of another well-known service.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Network

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Address, Family, Scope, family, parse_ip, readable_ip, scope
from p2pchat.wire.origins import host as url_host

# Beside ports from 1024 on, where 3478 to 3480 and 5349 are: what passes firewalls as HTTPS.  Not
# 80 and 53, which STUN servers have here and there: what answers there is nearly always another's.
LOW_PORTS = frozenset({443})
FIRST_HIGH_PORT = 1024  # below are the system ports, RFC 6335 section 6

_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: where it leads, only the network knows
_NEAR_ENOUGH = {
    Scope.GLOBAL: {Scope.GLOBAL},
    Scope.PRIVATE: {Scope.GLOBAL, Scope.PRIVATE},
    Scope.UNUSABLE: {Scope.GLOBAL, Scope.PRIVATE},  # link-local, and so in our network
    Scope.LOOPBACK: {Scope.GLOBAL, Scope.PRIVATE, Scope.LOOPBACK},
}


def may_be_checked(address: Address, local: bool, on_link: bool = False) -> bool:
    """
    Tell whether a candidate of a peer may be sent to, or one of ours be told.

    :param local: whether our person chose a registry on this machine.
    :param on_link: whether this machine :func:`is_on_link_only`.
    """
    where = scope(address[0])
    if where is Scope.UNUSABLE:
        return on_link and _is_link_local(address[0])
    return local or where is not Scope.LOOPBACK


def is_on_link_only(addresses: Iterable[Address]) -> bool:
    """Tell whether a machine with these addresses has link-local ones of IPv4, and no others."""
    outward = [host for host, _ in addresses if scope(host) is not Scope.LOOPBACK]
    return bool(outward) and all(map(_is_link_local, outward))


def _is_link_local(host: str) -> bool:
    return family(host) is Family.IPV4 and parse_ip(host).is_link_local


def is_public_ipv4(address: Address) -> bool:
    """
    Tell whether a relay of ours can reach an address, or a NAT of this address be probed.

    A relay reaches what the internet reaches, strangers' private networks not among it, and our
    relayed addresses are IPv4 ones: both of a pair whose families differ have one (RFC 8656
    section 7.2 gives an IPv4 address, over whatever family it is asked for).
    """
    return scope(address[0]) is Scope.GLOBAL and family(address[0]) is Family.IPV4


def families(addresses: Iterable[Address], local: bool = False) -> frozenset[Family]:
    """
    Return the families that a machine with these addresses reaches; IPv4 if it has none.

    Every machine has loopback addresses of IPv4, and some have link-local ones: they lead nowhere.

    :param local: as in :func:`may_be_checked`.
    """
    usable = [one for one in addresses if may_be_checked(one, local)]
    return frozenset(family(host) for host, _ in usable) or frozenset({Family.IPV4})


def is_on_this_machine(url: str) -> bool:
    """Tell whether the registry that our person chose is on this machine."""
    name = url_host(url).strip("[]")
    try:
        return name == "localhost" or scope(name) is Scope.LOOPBACK
    except RemoteProtocolError:
        return False


def may_serve(address: Address, registry: Scope) -> bool:
    """
    Tell whether a server there may be asked, which a registry of this scope names.

    :raises RemoteProtocolError: the host isn't an IP literal.
    """
    host, port = address
    return _is_usual(port) and _scope(host) in _NEAR_ENOUGH[registry]


def may_be_asked_for(host: str, port: int) -> bool:
    """
    Tell whether our proxy may be asked to connect us to a relay that a registry names.

    What a name leads to there we can't know, so the port alone speaks for it, and a dot: names
    without one are those of the proxy's own network.
    """
    literal = readable_ip(host.strip("[]"))
    is_far = _scope(literal) is Scope.GLOBAL if literal else "." in host.strip(".")
    return _is_usual(port) and is_far


def _is_usual(port: int) -> bool:
    return port in LOW_PORTS or FIRST_HIGH_PORT <= port < 65536


def _scope(host: str) -> Scope:
    ip, found = parse_ip(host), scope(host)
    is_local = found is Scope.GLOBAL and ip.version == 6 and ip in _LOCAL_NAT64
    return Scope.PRIVATE if is_local else found
