"""
Networks and the nodes attached to them; how a datagram finds its way.

A network is the public internet or the inside of one NAT.  It delivers to the nodes that have
an address on it; anything else goes to its gateway, the NAT, and from there onto the network
outside.  Without a gateway (on the public internet) it is swallowed in silence, as are private
addresses of anybody else's network.

A datagram is never an object: it travels as the arguments ``data, source, destination, ttl``.
It crosses the link of every node it leaves or enters, and the link of every network it crosses;
the draws are made when it is sent.  Its TTL is lowered by the network's routers
(`Network.hops`) and by each NAT, and at 0 the datagram is dropped before it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.link import Link

if TYPE_CHECKING:
    from tests.simulation.internet import Internet
    from tests.simulation.nat import Nat
    from tests.simulation.tcp_socket import ListeningSocket

Address = tuple[str, int]

DEFAULT_TTL = 64  # Linux, net.ipv4.ip_default_ttl


class Node:
    """
    Something with addresses on a network: a host, or the outside of a NAT.

    :ivar online: False cuts the node off, in silence, both ways.
    :ivar link: the node's own access link, crossed going out and coming in; None is perfect.
    :ivar inward: the one that is crossed coming in, if it is another.
    """

    def __init__(self, internet: Internet, network: Network) -> None:
        self.internet = internet
        self.network = network
        self.online = True
        self.link: Link | None = None
        self.inward: Link | None = None

    def receive(self, data: bytes, source: Address, destination: Address, ttl: int) -> None:
        """Take a datagram that arrives from the network."""
        raise NotImplementedError

    def listener(self, endpoint: Address) -> ListeningSocket | None:
        """Return the TCP socket that listens here."""
        return None

    def refuses_strangers(self) -> bool:
        """Tell whether a SYN that nobody listens for is answered by a reset, or by silence."""
        return True

    def emit(
        self, data: bytes, source: Address, destination: Address, ttl: int, delay: float
    ) -> None:
        """Put a datagram on the network, `delay` seconds from now plus what the link takes."""
        if self.link is None:
            self.network.carry(data, source, destination, ttl, delay)
            return
        transits = self.link.transits(self.internet.random) if self.link.passes(data) else ()
        if not transits:
            self.internet.note(source, destination, len(data), "lost")
        for transit in transits:
            self.network.carry(data, source, destination, ttl, delay + transit)


class Network:
    """
    The public internet, or the inside of one NAT.

    :ivar link: between any two nodes.
    :ivar between: other links, by the addresses of the two nodes; for datagrams only.
    :ivar hops: routers between any two nodes.
    :ivar gateway: the NAT that everything unknown is sent through.
    """

    def __init__(self, internet: Internet, prefix: str, link: Link, hops: int = 0) -> None:
        self.internet = internet
        self.link = link
        self.between: dict[frozenset[str], Link] = {}
        self.hops = hops
        self.gateway: Nat | None = None
        self.nodes: dict[str, Node] = {}
        self._prefix = prefix
        self._last = 0

    def free_address(self) -> str:
        """Return an address of this network that nobody has."""
        while True:
            self._last += 1
            address = f"{self._prefix}.{self._last >> 8}.{self._last & 255}"
            if self._last & 255 not in (0, 255) and address not in self.nodes:
                return address

    def attach(self, node: Node, addresses: Sequence[str]) -> None:
        """Give the node these addresses."""
        taken = [address for address in addresses if address in self.nodes]
        if taken:
            raise ValueError(f"{taken[0]} is taken on this network")
        self.nodes.update(dict.fromkeys(addresses, node))

    def detach(self, addresses: Sequence[str]) -> None:
        """Take these addresses away."""
        for address in addresses:
            del self.nodes[address]

    def carry(
        self, data: bytes, source: Address, destination: Address, ttl: int, delay: float
    ) -> None:
        """Take a datagram from a node of this network to where it goes."""
        node = self.nodes.get(destination[0])
        if node is not None:
            if ttl > self.hops:
                self.deliver(node, data, source, destination, ttl - self.hops, delay)
            else:
                self.internet.note(source, destination, len(data), "TTL exceeded")
        elif self.gateway is not None:
            self.gateway.forward(data, source, destination, ttl, delay)
        else:
            self.internet.note(source, destination, len(data), "no route")

    def deliver(  # noqa: PLR0917 - a datagram is its arguments
        self,
        node: Node,
        data: bytes,
        source: Address,
        destination: Address,
        ttl: int,
        delay: float,
    ) -> None:
        """Let a datagram arrive at a node of this network, when the links have let it through."""
        internet = self.internet
        link = self.between.get(frozenset((source[0], destination[0])), self.link)
        transits: Sequence[float] = link.transits(internet.random) if link.passes(data) else ()
        last = node.inward or node.link
        if last is not None and not last.passes(data):
            transits = ()
        elif last is not None:
            transits = [t + more for t in transits for more in last.transits(internet.random)]
        if not transits:
            internet.note(source, destination, len(data), "lost")
        now = internet.clock.rightNow
        for transit in transits:
            when = now + delay + transit
            internet.clock.post(when, node.receive, data, source, destination, ttl)
