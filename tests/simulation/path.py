"""
The way of one TCP connection through the simulated internet.

A path is found once, when the connection is begun, from the client outwards: through its NATs,
to the node that has the destination's address on the first network where somebody has it.  It
then says at any moment whether segments get through, and how long one takes.  Links lose
segments as they lose datagrams; `tests.simulation.stream` sends those again.

Through a NAT only outbound connections work: there are no port forwards, and no hairpinning
for TCP.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import attrs

from tests.simulation.link import Link
from tests.simulation.network import Address, Network, Node

if TYPE_CHECKING:
    from tests.simulation.host import Host


@attrs.define(eq=False)
class Path:
    """
    The nodes and networks between the two ends, both included.

    :ivar source: the client's endpoint as the server sees it.
    :ivar target: who has the destination's address; None if nobody does.
    :ivar severed: a NAT on the way has forgotten the connection.
    """

    random: Random
    source: Address
    target: Node | None = None
    severed: bool = False
    nodes: list[Node] = attrs.Factory(list)
    networks: list[Network] = attrs.Factory(list)

    def is_up(self) -> bool:
        """Tell whether segments under way arrive."""
        return not self.severed and all(node.online for node in self.nodes)

    def delay(self) -> float | None:
        """Draw the seconds that a segment takes; None when it is lost."""
        if not self.is_up():
            return None
        total = 0.0
        for link in self._links():
            transits = link.transits(self.random)
            if not transits:
                return None
            total += transits[0]
        return total

    def _links(self) -> list[Link]:
        links = [node.link for node in self.nodes if node.link is not None]
        return links + [network.link for network in self.networks]


def find_path(client: Host, source: Address, destination: str) -> Path:
    """Trace the way from a client's socket to an address, opening the NATs on it."""
    destination = client.led_to(destination)
    path = Path(client.internet.random, source, nodes=[client])
    network: Network = client.network if ":" not in destination else client.internet.public
    while True:
        path.networks.append(network)
        path.target = network.nodes.get(destination)
        nat = network.gateway
        if path.target is not None or nat is None:
            break
        path.source = (nat.address, nat.open_stream(path, path.source[1]))
        path.nodes.append(nat)
        if nat.address == destination:
            path.target = nat
            return path
        network = nat.network
    if path.target is not None:
        path.nodes.append(path.target)
    return path


def loopback(client: Node, source: Address) -> Path:
    """Return the path of a host to itself, which no cut can break."""
    return Path(client.internet.random, source, client)
