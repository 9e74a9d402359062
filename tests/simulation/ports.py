"""
The ports of one host and one protocol, and who is bound to them.

An interface of ``0.0.0.0`` stands for every IPv4 address of the host, ``::`` for every IPv6 one;
the families have ports of their own, as with IPV6_V6ONLY.  Port 0 asks for any free ephemeral
port.  Fails with the `OSError` the kernel would raise.
"""

from __future__ import annotations

from errno import EADDRINUSE
from random import Random
from typing import Generic, TypeVar

import attrs

from tests.simulation.network import Address

ANY_INTERFACE = "0.0.0.0"
ANY_IPV6 = "::"
FIRST_EPHEMERAL = 32768  # Linux, net.ipv4.ip_local_port_range
LAST_EPHEMERAL = 60999

Owner = TypeVar("Owner")


def any_interface(address: str) -> str:
    """Return the name of all interfaces in the family of an address."""
    return ANY_IPV6 if ":" in address else ANY_INTERFACE


@attrs.define(eq=False)
class PortTable(Generic[Owner]):
    """Who has which (interface, port)."""

    _random: Random
    bound: dict[Address, Owner] = attrs.Factory(dict)

    def holder(self, endpoint: Address) -> Owner | None:
        """Return who receives what is sent to this endpoint."""
        return self.bound.get(endpoint) or self.bound.get((any_interface(endpoint[0]), endpoint[1]))

    def bind(self, interface: str, port: int, owner: Owner) -> Address:
        """Bind a port, and return the endpoint; EADDRINUSE if it is taken."""
        if not port:
            port = self._free_port(interface)
        elif self._is_taken(interface, port):
            raise OSError(EADDRINUSE, "Address already in use")
        self.bound[interface, port] = owner
        return interface, port

    def release(self, endpoint: Address) -> None:
        """Free a port, if it is bound."""
        self.bound.pop(endpoint, None)

    def _free_port(self, interface: str) -> int:
        for _ in range(100 * (LAST_EPHEMERAL - FIRST_EPHEMERAL)):
            port = self._random.randint(FIRST_EPHEMERAL, LAST_EPHEMERAL)
            if not self._is_taken(interface, port):
                return port
        raise OSError(EADDRINUSE, "no ephemeral port is free")

    def _is_taken(self, interface: str, port: int) -> bool:
        everywhere = any_interface(interface)
        if interface != everywhere:
            return (interface, port) in self.bound or (everywhere, port) in self.bound
        return any(
            taken == port and any_interface(where) == everywhere for where, taken in self.bound
        )
