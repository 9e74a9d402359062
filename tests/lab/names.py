"""
Names in a lab: a name server, and hosts that ask it.

Owns the process, and what says to hosts whom to ask: a file that is laid over the machine's own
`/etc/resolv.conf` for processes that start in their namespaces from then on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import attrs

from tests.lab.machines import Host
from tests.lab.name_server import Zone
from tests.lab.service import Service

PROGRAM = str(Path(__file__).with_name("name_server.py"))
OVERLAYS = Path("/etc/netns")  # see ip-netns(8)
#: The name by which a NAT64 is found (RFC 7050): it has IPv4 addresses alone.
IPV4_ONLY: Zone = {"ipv4only.arpa": ["192.0.0.170", "192.0.0.171"]}


@attrs.define(eq=False)
class Names(Service):
    """A name server on a host or a box; see `name_server` for the zone and the prefix."""

    zone: Zone
    prefix: str = ""
    _overlays: list[Path] = attrs.Factory(list)

    def start(self) -> None:
        """Start it and wait until it answers; after `kill`, start it again."""
        argv = [sys.executable, "-I", "-S", PROGRAM, json.dumps(self.zone), self.prefix]
        process = self.run(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "a name server doesn't start"

    def serve(self, host: Host, *addresses: str) -> None:
        """Let programs that start on a host from now on ask at these addresses, in this order."""
        folder = OVERLAYS / host.namespace
        folder.mkdir(parents=True, exist_ok=True)
        self._overlays.append(folder)
        lines = [f"nameserver {address}\n" for address in addresses]
        (folder / "resolv.conf").write_text("".join(lines))

    def close(self) -> None:
        """End it, and let nobody ask it any more."""
        Service.close(self)
        for folder in self._overlays:
            shutil.rmtree(folder, ignore_errors=True)
