"""
More interfaces than the one that leads out: bridges, as containers and virtual machines bring them.

They stand before the real one in every list of the system, as where that came up later: Wi-Fi, a
dock, a VPN. Each has addresses of its own, and the same ones on every host where it is told so, as
Docker's are. A bridge with a neighbour has a carrier, as one where a container runs.
"""

from __future__ import annotations

import attrs

from tests.lab.blueprint import enter, run_command
from tests.lab.machines import Host


@attrs.frozen
class Bridges:
    """
    Some bridges.

    :ivar count: how many.
    :ivar network: the second byte of their networks: 172.17.N.0/24, fd17:N::/64.
    :ivar ipv6: whether they have IPv6 addresses too, unique local ones.
    :ivar neighbours: whether something is plugged in to each.
    """

    count: int = 20
    network: int = 17
    ipv6: bool = False
    neighbours: bool = False

    def commands(self) -> list[str]:
        """Return the `ip` commands that make them."""
        found = []
        for n in range(self.count):
            found += [
                f"link add br-{n} type bridge",
                f"address add 172.{self.network}.{n}.1/24 dev br-{n}",
            ]
            if self.ipv6:
                found.append(f"address add fd{self.network}:{n}::1/64 dev br-{n} nodad")
            # A bridge has a carrier while it is new, and after that while a neighbour has one.
            found += [
                f"link set br-{n} up",
                f"link add veth{n} type veth peer name guest{n}",
                f"link set veth{n} master br-{n}",
                f"link set veth{n} up",
                f"link set guest{n} up",
            ]
        return found

    def leaving(self) -> list[str]:
        """Return the `ip` commands that take their neighbours away, if they have none."""
        return [] if self.neighbours else [f"link delete veth{n}" for n in range(self.count)]


def add_bridges(host: Host, bridges: Bridges) -> None:
    """Give a host these bridges, before the interface in use."""
    attachment, box = host.attachments[0], host.nat[-1].namespace
    # An interface keeps its index in another namespace, and gets a new one where it is taken.
    _ip(host.namespace, [f"link set {attachment.device} netns {box}"])
    _ip(host.namespace, bridges.commands())
    _ip(box, [f"link set {attachment.device} netns {host.namespace}"])
    back = [f"link set {attachment.device} up", *attachment.joining()]
    _ip(host.namespace, [*back, *bridges.leaving()])


def remove_bridge(host: Host, n: int) -> None:
    """Take one away, as the end of a container does."""
    _ip(host.namespace, [f"link delete br-{n}"])


def _ip(namespace: str, commands: list[str]) -> None:
    run_command([*enter(namespace), "ip", "-batch", "-"], "\n".join(commands) + "\n")
