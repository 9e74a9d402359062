"""
IPv6 over a lab that stands: addresses on every line, routes, and a home's firewall on each side.

::

    left host - router - r1 - r2 - r3 - router - right host
                               |
                            server

There is no translation: a side's router lets in what answers something from inside (RFC 6092). A
host may be left with IPv6 alone.
"""

from __future__ import annotations

import os

import attrs

from tests.lab.blueprint import enter, run_command
from tests.lab.machines import Host
from tests.lab.topology import Lab

SERVER = "2001:db8:0:1::10"
FIREWALL = """
table ip6 home {
    chain through_the_box {
        type filter hook forward priority filter; policy accept;
        iifname "wan" ct state != { established, related } drop
    }
}
"""


def reason_without_ipv6() -> str:
    """Say why there is no IPv6 here; empty when there is."""
    return "" if os.path.exists("/proc/net/if_inet6") else "this machine has no IPv6"


@attrs.frozen
class Line:
    """The networks of one side: its uplink to the core router, and its home."""

    core: str  # the label of the core router, and of its cable at the middle one
    side: str
    between: str
    uplink: str
    home: str

    @property
    def box(self) -> str:
        """The label of the side's router."""
        return f"{self.side}-nat0"

    @property
    def host(self) -> str:
        """The address of its host."""
        return f"{self.home}2"


LEFT = Line("r1", "left", "2001:db8:0:2::", "2001:db8:0:4::", "2001:db8:a:1::")
RIGHT = Line("r3", "right", "2001:db8:0:3::", "2001:db8:0:5::", "2001:db8:b:1::")


@attrs.frozen
class Overlay:
    """Gives a lab IPv6; both sides must have one box each."""

    lab: Lab

    def build(self) -> None:
        """Address every line and switch the firewalls on."""
        middle = [self._address("2001:db8:0:1::1", "server")]
        for line in (LEFT, RIGHT):
            middle += [
                self._address(f"{line.between}1", line.core),
                f"route add {line.uplink}/64 via {line.between}2",
                f"route add {line.home}/64 via {line.between}2",
            ]
            self._furnish_side(line)
        self._furnish("r2", middle)
        default = "route add default via 2001:db8:0:1::1"
        self._furnish("server", [self._address(SERVER, "wan"), default])

    def _furnish_side(self, line: Line) -> None:
        self._furnish(
            line.core,
            [
                self._address(f"{line.between}2", "core"),
                f"route add default via {line.between}1",
                self._address(f"{line.uplink}1", line.box),
                f"route add {line.home}/64 via {line.uplink}2",
            ],
        )
        self._furnish(
            line.box,
            [
                self._address(f"{line.uplink}2", "wan"),
                f"route add default via {line.uplink}1",
                self._address(f"{line.home}1", "lan"),
            ],
        )
        run_command([*enter(self._name(line.box)), "nft", "-f", "-"], FIREWALL)
        gateway = f"route add default via {line.home}1"
        self._furnish(f"{line.side}-host0", [self._address(line.host, "eth0"), gateway])

    def _furnish(self, label: str, commands: list[str]) -> None:
        inside = enter(self._name(label))
        run_command([*inside, "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1"])
        run_command([*inside, "ip", "-6", "-batch", "-"], "\n".join(commands) + "\n")

    @staticmethod
    def _address(address: str, device: str) -> str:
        return f"address add {address}/64 dev {device} nodad"

    def _name(self, label: str) -> str:
        return self.lab.server.namespace.removesuffix("server") + label


def take(version: int, host: Host) -> None:
    """Take the addresses of one family, 4 or 6, from a host."""
    run_command([*enter(host.namespace), "ip", f"-{version}", "address", "flush", "dev", "eth0"])
