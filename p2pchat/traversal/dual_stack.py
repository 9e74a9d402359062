"""
Gathering in both address families.

Has a :class:`p2pchat.traversal.gathering.Gathering` for each family, with the STUN addresses and
the host addresses of its family.  In a family in which this machine has no address no STUN address
is asked: its silence would say nothing of the network.

Owns what follows from both together.  The NAT that decides on strategies is the IPv4 one, where
IPv4 works; IPv6 has no NAT, or none that hides ports.  UDP counts as blocked when no family gets an
answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs

from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.gathering import (
    MAX_HOST_CANDIDATES,
    CandidatesChanged,
    Gathering,
    GatheringEvent,
)
from p2pchat.traversal.keepalive import Keepalive
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.reachability import families, is_on_link_only
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, Family, family
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate


@attrs.define
class DualGathering:
    """
    Both machines; a child of :class:`p2pchat.traversal.agent.Agent`.

    :ivar host_addresses: where our sockets can be reached on this machine's interfaces, the most
        useful first.
    :ivar is_local: whether our person chose a registry on this machine; then so may peers be.
    :ivar is_translated: whether our network leads to IPv4, which this machine lacks.
    :ivar registry_rtt: returns the seconds of a round trip to the registry, 0 while unknown.
    :ivar outbox: what its parent is to take, in order, of either family.
    """

    host_addresses: tuple[Address, ...]
    _random_bytes: Callable[[int], bytes]
    is_local: bool = False
    is_translated: bool = False
    registry_rtt: Callable[[], float] = lambda: 0.0
    outbox: deque[GatheringEvent] = attrs.Factory(deque)
    _servers: tuple[Address, ...] = ()
    _families: dict[Family, Gathering] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._families = {
            one: Gathering(
                (),
                self._random_bytes,
                self.is_local,
                outbox=self.outbox,
                trips=RoundTrips(self.registry_rtt),
            )
            for one in Family
        }
        self._deal()

    def _deal(self) -> None:
        """Give each family its host addresses."""
        for one, gathering in self._families.items():
            gathering.on_link = self.on_link
            gathering.host_addresses = tuple(
                address for address in self.host_addresses if family(address[0]) is one
            )

    @property
    def on_link(self) -> bool:
        """Whether this machine has link-local addresses alone."""
        return is_on_link_only(self.host_addresses)

    @property
    def keepalive(self) -> Keepalive:
        """How long our NAT, the IPv4 one, keeps an idle mapping."""
        return self._families[Family.IPV4].keepalive

    @property
    def families(self) -> frozenset[Family]:
        """The families in which this machine has an address; IPv4 where none is known."""
        own = families(self.host_addresses, self.is_local)
        return own | {Family.IPV4} if self.is_translated else own

    def set_host_addresses(
        self, addresses: Iterable[Address], now: float, is_translated: bool = False
    ) -> bool:
        """Take where our sockets can be reached now, the most useful first; tells of a change."""
        found, before = tuple(addresses), self.families
        if (found, is_translated) == (self.host_addresses, self.is_translated):
            return False
        changed = set(found) != set(self.host_addresses) or is_translated != self.is_translated
        self.host_addresses, self.is_translated = found, is_translated
        self._deal()
        if self.families != before:
            self.set_servers(self._servers, now)
        if CandidatesChanged() not in self.outbox:
            self.outbox.append(CandidatesChanged())
        return changed

    def network_changed(self, now: float) -> None:
        """Another network, and so another NAT: nothing is known of it."""
        self.keepalive.network_changed(now)
        for gathering in self._families.values():
            gathering.network_changed()

    @property
    def servers(self) -> tuple[Address, ...]:
        """The STUN addresses that we know, whether they can be asked or not."""
        return self._servers

    def set_servers(self, servers: Iterable[Address], now: float) -> None:
        """Ask these STUN addresses from now on; answers of the same ones are kept."""
        self._servers = tuple(servers)
        for one, gathering in self._families.items():
            usable = one in self.families
            gathering.set_servers(
                [server for server in self._servers if usable and family(server[0]) is one], now
            )

    def refresh(self, now: float) -> None:
        """Ask every STUN address again, at once."""
        for gathering in self._families.values():
            gathering.refresh(now)

    def look_again(self, now: float) -> None:
        """Ask again for a call, where a mapping may be gone since the last answer."""
        for gathering in self._families.values():
            gathering.look_again(now)

    def receive_response(self, message: stun.Message, source: Address, now: float) -> bool:
        """Take a response; returns whether it was one of ours."""
        return self._families[family(source[0])].receive_response(message, source, now)

    def handle_timer(self, now: float) -> None:
        """Send what is due."""
        for gathering in self._families.values():
            gathering.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        return earliest(*[gathering.get_timer() for gathering in self._families.values()])

    @property
    def is_blocked(self) -> bool:
        """Whether UDP seems not to get through at all."""
        asked = [one for one in self._families.values() if one.is_asked]
        return bool(asked) and all(gathering.is_blocked for gathering in asked)

    @property
    def is_ipv4_blocked(self) -> bool:
        """Whether UDP seems not to get through to IPv4."""
        ipv4 = self._families[Family.IPV4]
        return ipv4.is_asked and ipv4.is_blocked

    @property
    def is_complete(self) -> bool:
        """Tell whether every STUN address has answered or been given up."""
        return all(gathering.is_complete for gathering in self._families.values())

    @property
    def reflexive_addresses(self) -> tuple[Address, ...]:
        """The mapped addresses, each once, those of IPv4 first."""
        halves = self._families.values()
        return tuple(one for half in halves for one in half.reflexive_addresses)

    def candidates(self) -> tuple[Candidate, ...]:
        """
        Return our candidates, the likeliest of each family first.

        Each family has half of the host candidates, and what the other doesn't need.
        """
        ipv4, ipv6 = self._families[Family.IPV4], self._families[Family.IPV6]
        half = MAX_HOST_CANDIDATES // 2
        of_ipv6 = min(
            len(ipv6.usable_hosts), max(half, MAX_HOST_CANDIDATES - len(ipv4.usable_hosts))
        )
        of_ipv4 = MAX_HOST_CANDIDATES - of_ipv6
        found = (*ipv4.candidates(of_ipv4), *ipv6.candidates(of_ipv6))
        return found[:MAX_CANDIDATES]

    def traits(self) -> NatTraits:
        """Return what is known of our NAT now: that of IPv4, unless only IPv6 gets answers."""
        ipv4, ipv6 = self._families[Family.IPV4], self._families[Family.IPV6]
        only_ipv6 = ipv6.reflexive_addresses and not ipv4.reflexive_addresses
        return (ipv6 if only_ipv6 else ipv4).traits()
