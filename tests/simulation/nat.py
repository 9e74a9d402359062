"""
A NAT: one address outside, a network inside (`Nat.inside`), behaviours of RFC 4787.

UDP out: a mapping is found or made, the filter is opened, the datagram goes on from the public
endpoint.  UDP in: the mapping of the public port names the internal endpoint, if its filter
admits the sender.  A TTL that ends at this NAT leaves no trace in it, as on Linux, where
routing comes before source translation.  TCP is outbound only: see `tests.simulation.path`.

`firewall=False` is a Linux box that lets strangers' packets reach the box itself: what the
filter refuses begins a flow with the box, and gives the public port away as far as that
stranger is concerned: a later datagram from inside to the same stranger gets another port.

NATs nest (`behind`).  There is no paired pooling, since there is one public address, and
ports are never overloaded: one public port serves one mapping.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tests.simulation.allocation import Allocation, PreservingAllocation, RandomAllocation
from tests.simulation.behaviour import Behaviour, NatKind, key
from tests.simulation.link import LOCAL_NETWORK
from tests.simulation.mapping import MANY_WISHES, Filtering, Mapping, MappingTable, Strangers
from tests.simulation.network import Address, Network, Node

if TYPE_CHECKING:
    from tests.simulation.internet import Internet
    from tests.simulation.path import Path

EXPIRY = 120.0  # seconds; the least that RFC 4787 REQ-5 allows


class Nat(Node):
    """
    One NAT; `inside` names the first half of the addresses behind it, such as ``100.64``.

    :ivar inside: the network behind it; its link may be changed.
    :ivar mappings: what it maps; `mappings.allocation` and `mappings.expiry` may be changed.
    :ivar udp: whether UDP passes at all; TCP does.
    :ivar hairpinning: whether hosts inside reach each other by public endpoints.
    """

    inside: Network

    def __init__(
        self,
        internet: Internet,
        address: str | None = None,
        *,
        mapping: Behaviour = Behaviour.ENDPOINT_INDEPENDENT,
        filtering: Behaviour = Behaviour.ADDRESS_AND_PORT_DEPENDENT,
        expiry: float = EXPIRY,
        port_preservation: bool = False,
        hairpinning: bool = False,
        behind: Nat | None = None,
        firewall: bool = True,
        allocation: Allocation | None = None,
        udp: bool = True,
        inside: str | None = None,
    ) -> None:
        super().__init__(internet, behind.inside if behind else internet.public)
        allocation = allocation or (
            PreservingAllocation() if port_preservation else RandomAllocation()
        )
        self.hairpinning = hairpinning
        self.firewall = firewall
        self.udp = udp
        self.mappings = MappingTable(mapping, expiry, allocation, internet.random)
        self.filtering = Filtering(filtering, expiry)
        self.strangers = Strangers()
        inside = inside or f"10.{len(internet.nats) % 255 + 1}"
        self.inside = Network(internet, inside, LOCAL_NETWORK)
        self.inside.gateway = self
        self._streams: dict[int, Path] = {}
        self._address = address or self.network.free_address()
        self.network.attach(self, [self._address])
        internet.nats.append(self)

    @property
    def kind(self) -> NatKind:
        """Which of the nine kinds this is."""
        return NatKind(self.mappings.behaviour, self.filtering.behaviour)

    @property
    def address(self) -> str:
        """The public address.  Changing it forgets every mapping, as Linux masquerading does."""
        return self._address

    @address.setter
    def address(self, address: str) -> None:
        self.network.attach(self, [address])
        self.network.detach([self._address])
        self._address = address
        self.reboot()

    def reboot(self) -> None:
        """Forget everything, and break the TCP connections that run through here."""
        self.mappings.clear()
        self.filtering.clear()
        self.strangers.clear()
        for path in self._streams.values():
            path.severed = True
        self._streams.clear()

    def forward(
        self, data: bytes, source: Address, destination: Address, ttl: int, delay: float
    ) -> None:
        """Take a datagram from inside to the network outside."""
        refusal = self._refusal(ttl)
        mapping = None if refusal else self._map(source, destination)
        if mapping is None:
            self.internet.note(source, destination, len(data), refusal or "no port left")
            return
        self.filtering.permit(source, destination, mapping.refreshed)
        public = (self._address, mapping.port)
        if destination[0] != self._address:
            self.emit(data, public, destination, ttl - 1, delay)
        elif self.hairpinning:
            self.receive(data, public, destination, ttl)
        else:
            self.internet.note(public, destination, len(data), "no hairpinning")

    def receive(self, data: bytes, source: Address, destination: Address, ttl: int) -> None:
        """Take a datagram that has reached the public address."""
        internal = self._admit(source, destination[1]) if self.online else None
        refusal = self._refusal(ttl) or ("filtered" if internal is None else None)
        node = self.inside.nodes.get(internal[0]) if internal else None
        if refusal or internal is None or node is None:
            self.internet.note(source, destination, len(data), refusal or "no such host")
        else:
            self.inside.deliver(node, data, source, internal, ttl - 1, 0.0)

    def refuses_strangers(self) -> bool:
        """See `Node`: a firewall is silent."""
        return not self.firewall

    def open_stream(self, path: Path, port: int) -> int:
        """Return the public port of a TCP connection that leaves through here."""
        wishes = self.mappings.allocation.wishes(port, self.internet.random)
        public = next(
            (wish for wish in islice(wishes, MANY_WISHES) if wish not in self._streams), port
        )
        self._streams[public] = path
        return public

    def describe(self) -> list[str]:
        """Return lines for a person who looks for a mistake."""
        state = "" if self.online else " OFFLINE"
        title = f"NAT {self._address}{state}: {self.kind}, firewall {self.firewall}"
        return [title, *("  " + m for m in self.mappings.describe(self.internet.clock.rightNow))]

    def _refusal(self, ttl: int) -> str | None:
        if not self.online:
            return "offline"
        if not self.udp:
            return "UDP blocked"
        return "TTL exceeded" if ttl <= 1 else None

    def _map(self, internal: Address, remote: Address) -> Mapping | None:
        now = self.internet.clock.rightNow
        mapping = None
        if not self.firewall:
            diverted = key(Behaviour.ADDRESS_AND_PORT_DEPENDENT, internal, remote)
            mapping = self.mappings.find(diverted, now)
        if mapping is None:
            usual = key(self.mappings.behaviour, internal, remote)
            mapping = self.mappings.find(usual, now) or self.mappings.create(usual, internal, now)
        if mapping is not None:
            mapping.refreshed = now
            if not self.firewall and self.strangers.holds(remote, mapping.port, now):
                return self._divert(internal, remote, now)
        return mapping

    def _divert(self, internal: Address, remote: Address, now: float) -> Mapping | None:
        """The stranger was here first: map to another port, for this remote endpoint only."""
        return self.mappings.create(
            key(Behaviour.ADDRESS_AND_PORT_DEPENDENT, internal, remote),
            internal,
            now,
            refused=lambda port: self.strangers.holds(remote, port, now),
        )

    def _admit(self, remote: Address, port: int) -> Address | None:
        now = self.internet.clock.rightNow
        given_away = not self.firewall and self.strangers.holds(remote, port, now)
        if not given_away:
            mapping = self.mappings.holder(port, now)
            if mapping and self.filtering.admits(mapping.internal, remote, now):
                return mapping.internal
        if not self.firewall:
            self.strangers.note(remote, port, now)
        return None
