"""
Addresses of this machine, and what their interfaces say of who can reach them.

A value, below everything that reads the system's tables or makes candidates of them.
"""

from __future__ import annotations

from enum import Enum

import attrs

INWARD_NAMES = (
    *("br-", "bridge", "cni", "docker", "lxcbr", "podman", "vboxnet", "virbr", "vmnet"),
    "vEthernet",  # Hyper-V and WSL, on Windows
)


class Outlook(Enum):
    """Outlook of an address: where its interface leads."""

    OUT = "out"  # out of this machine, as far as is known
    DEPRECATED = "deprecated"  # out; but the address is being replaced (RFC 4862 section 5.5.4)
    INWARD = "inward"  # to containers and virtual machines on this machine
    NOWHERE = "nowhere"  # it is off, has no carrier, or is a bridge without a running port


@attrs.frozen
class HostAddress:
    """
    An address of this machine.

    :ivar host: the IP literal.
    :ivar interface: the name of its interface, "" where that isn't known.
    """

    host: str
    interface: str = ""
    outlook: Outlook = Outlook.OUT

    @property
    def leads_out(self) -> bool:
        """Whether others may reach it."""
        return self.outlook in {Outlook.OUT, Outlook.DEPRECATED}


def outlook_of(name: str) -> Outlook:
    """Return what the name of an interface says, where the system tells no more of it."""
    return Outlook.INWARD if name.startswith(INWARD_NAMES) else Outlook.OUT
