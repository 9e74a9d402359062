"""
This machine's addresses, in the order in which peers are told of them, and its routes.

Containers, virtual machines and VPNs give a machine dozens of addresses, and a peer takes few.  So
they are put in order by what routes and interfaces say::

    1  what leaves for STUN servers, for the internet and for paths in use, leaves from here
    2  others of interfaces that lead out; of one network of one interface the first before others
    3  of those the deprecated ones
    4  loopback
    -  what leads inward, to containers on this machine, or nowhere: only where there is nothing
       else.  A peer in there tells its own address, which we reach.

Routes are looked up again and again (:class:`RouteWatch`).  Whatever comes and goes, this machine
is where it was as long as they say the same; that one family gets or loses its routes, as IPv6 does
where a router's advertisements come and go, is no move while the other keeps its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from p2pchat.host_addresses import HostAddress, Outlook
from p2pchat.traversal.send_budget import host_key

MAX_OWN = 64  # addresses; more of one machine say nothing more of where it is
MAX_WATCHED = 256  # hosts whose routes are looked up at a time, about 10 microseconds each
# Where everybody is, to whom no other route leads: nothing is sent there (RFC 5737, RFC 3849).
ANYWHERE = ("192.0.2.1", "2001:db8::1")

_LAST = (Outlook.INWARD, Outlook.NOWHERE)


def in_order(found: Iterable[HostAddress], sources: Iterable[str]) -> list[str]:
    """
    Return the addresses to go by, the most useful first, MAX_OWN at most.

    :param found: all of this machine.
    :param sources: those that routes lead out from, the most important first; "" are none.
    """
    by_host = {one.host: one for one in found}
    first = [one for one in dict.fromkeys(sources) if one]
    others = [one for host, one in by_host.items() if host not in first]
    ordered = first + _spread([one for one in others if one.leads_out])
    for outlook in _LAST:
        if all(map(_is_loopback, ordered)):
            ordered += _spread([one for one in others if one.outlook is outlook])
    return ordered[:MAX_OWN]


def _spread(found: Iterable[HostAddress]) -> list[str]:
    """Order addresses so that each network of each interface has its turn."""
    seen: Counter[tuple[str, str]] = Counter()
    ranked = []
    for one in found:
        network = one.interface, host_key(one.host) if ":" in one.host else ""
        is_deprecated = one.outlook is Outlook.DEPRECATED
        ranked.append((_is_loopback(one.host), is_deprecated, seen[network], one.host))
        seen[network] += 1
    return [host for *_, host in sorted(ranked, key=lambda one: one[:3])]


@attrs.frozen
class Rerouting:
    """
    Change of the routes.

    :ivar hosts: those that are reached from another address of ours than before.
    :ivar is_move: whether this machine is in another network: not merely a new address replaced
        an old one, which is still there, on the same interface (RFC 8981).
    """

    hosts: frozenset[str] = frozenset()
    is_move: bool = False


@attrs.define
class RouteWatch:
    """Memory of what routes said at the last look."""

    _sources: Mapping[str, str] = attrs.Factory(dict)  # by where they lead to
    _interfaces: Mapping[str, str] = attrs.Factory(dict)  # by address of ours

    def look(self, found: Iterable[HostAddress], sources: Mapping[str, str]) -> Rerouting:
        """
        Tell what has changed since the last look.

        :param found: all addresses of this machine.
        :param sources: from which of them each host is reached, "" from none.
        """
        interfaces, before = {one.host: one.interface for one in found}, self._sources
        changed = [host for host in sources if before.get(host, sources[host]) != sources[host]]
        stays = any(source and before.get(host) == source for host, source in sources.items())
        is_move = any(
            before[host] not in interfaces
            or self._interfaces.get(before[host]) != interfaces.get(sources[host])
            for host in changed
            if not (stays and self._comes_or_goes(before[host], sources[host], interfaces))
        )
        self._sources, self._interfaces = sources, interfaces
        return Rerouting(frozenset(changed), is_move)

    @staticmethod
    def _comes_or_goes(before: str, after: str, interfaces: Mapping[str, str]) -> bool:
        """Tell whether there is a route where there was none, or none, though its address stays."""
        return not before or (not after and before in interfaces)


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")
