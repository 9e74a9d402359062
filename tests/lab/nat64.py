"""
A network with IPv6 alone, as mobile carriers have it: a NAT64 (tayga) leads to IPv4.

::

    left host, IPv6 alone - box: DNS64, NAT64, then the box's own NAT of IPv4 - r1

The NAT64 gives the host an address of POOL, and the box translates that one as those of any home.
It may come late, and be replaced by one with another prefix (`Nat64.replace`). Owns
the translator's process and the name server's.
"""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv6Network
from pathlib import Path

import attrs

from tests.lab.blueprint import enter, run_command
from tests.lab.machines import Host
from tests.lab.name_server import Zone
from tests.lab.names import IPV4_ONLY, Names
from tests.lab.service import Service

PROGRAM = "tayga"
POOL, TRANSLATOR, OUTSIDE = "192.168.255.0/24", "192.168.255.1", "192.168.255.254"
HOME = "2001:db8:a:1::"
PREFIX = "2001:db8:64:64::"  # of 96 bits; the well-known one is for global IPv4 addresses only

CONFIGURATION = f"""\
tun-device nat64
ipv4-addr {TRANSLATOR}
dynamic-pool {POOL}
"""


@attrs.define(eq=False)
class Nat64(Service):
    """
    The network of the host that stands behind a box.

    :ivar host: the box, as a machine to run programs on.
    :ivar inside: who is left with IPv6 alone.
    :ivar zone: what names there are.
    """

    host: Host
    inside: Host
    zone: Zone
    prefix: str = PREFIX
    names: Names = attrs.field(init=False)

    def start(self, translates: bool = True) -> None:
        """
        Build it; raises RuntimeError where the machine can't.

        :param translates: whether there is a NAT64 at first.
        """
        self.names = Names(self.host, self.zone)
        self._furnish()
        self.names.start()
        self.names.serve(self.inside, f"{HOME}1")
        if translates:
            self._translate()

    def replace(self, prefix: str = PREFIX) -> None:
        """Get a NAT64 with this prefix, in place of the one that there is."""
        if self.was_started:
            self.kill()
            run_command([*enter(self.host.namespace), *self._argv, "--rmtun"])
        self.prefix = prefix
        self._translate()

    @property
    def _argv(self) -> list[str]:
        return [PROGRAM, "-c", str(Path(self.directory, "tayga.conf"))]

    def _translate(self) -> None:
        configuration = f"{CONFIGURATION}prefix {self.prefix}/96\ndata-dir {self.directory}\n"
        Path(self.directory, "tayga.conf").write_text(configuration)
        box = enter(self.host.namespace)
        run_command([*box, *self._argv, "--mktun"])
        commands = [
            "link set nat64 up",
            f"address add {OUTSIDE}/32 dev nat64",
            f"route add {POOL} dev nat64",
            f"route add {IPv6Network(self.prefix + '/96')} dev nat64",
        ]
        run_command([*box, "ip", "-batch", "-"], "\n".join(commands) + "\n")
        silent = subprocess.DEVNULL
        self.run([*self._argv, "--nodetach"], stdin=silent, stdout=silent, stderr=silent)
        self.names.kill()
        self.names.zone, self.names.prefix = {**IPV4_ONLY, **self.zone}, self.prefix
        self.names.start()

    def close(self) -> None:
        """End both processes."""
        Service.close(self)
        self.names.close()

    def _furnish(self) -> None:
        box, inside = enter(self.host.namespace), enter(self.inside.namespace)
        run_command([*box, "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1"])
        run_command([*box, "ip", "address", "add", f"{HOME}1/64", "dev", "lan", "nodad"])
        device = self.inside.attachments[0].device
        commands = [
            f"-4 address flush dev {device}",
            f"address add {HOME}2/64 dev {device} nodad",
            f"route add default via {HOME}1",
        ]
        for command in commands:
            run_command([*inside, "ip", *command.split()])


def reason_without_nat64() -> str:
    """Say why there is no NAT64 here; empty when there can be."""
    return "" if shutil.which(PROGRAM) else f"not installed: {PROGRAM}"
