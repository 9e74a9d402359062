"""
Proxies on a box, for networks from which nothing else leads out (`NatBox.let_out_only_proxies`).

Names are looked up where the proxy is. Each owns its process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs

from tests.lab.machines import Host
from tests.lab.relay import AWAIT
from tests.lab.service import Service

HTTP_PROXY, SOCKS_PROXY = "tinyproxy", "microsocks"  # programs
HTTP_PORT, SOCKS_PORT = 3128, 1080
START_LIMIT = 10.0  # seconds

#: Without `ConnectPort` it connects to all.
TINYPROXY = """\
Port {port}
Listen {address}
Timeout 600
MaxClients 100
LogFile "{log}"
"""


@attrs.define(eq=False)
class Proxy(Service):
    """
    What every proxy has.

    :ivar host: the box that it runs on.
    :ivar address: the box's own one inside.
    :ivar credentials: a user and a password that it asks for; without, it serves everybody.
    """

    host: Host
    address: str
    credentials: tuple[str, str] | None = None

    def url_of(self, scheme: str, port: int) -> str:
        """Return where it is, credentials included."""
        login = f"{':'.join(self.credentials)}@" if self.credentials else ""
        return f"{scheme}://{login}{self.address}:{port}"

    def await_port(self, port: int) -> None:
        """Wait until it listens."""
        argv = [sys.executable, "-I", "-S", "-c", AWAIT, self.address, str(port), str(START_LIMIT)]
        if said := self.host.run(argv, START_LIMIT + 10):
            raise AssertionError(f"a proxy doesn't answer: {said}\n{self.log_tail()}")


@attrs.define(eq=False)
class HttpProxy(Proxy):
    """
    tinyproxy: HTTP requests, and CONNECT.

    :ivar ports: those that CONNECT may lead to; without, all.
    """

    ports: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        """What `https_proxy` and the like would say."""
        return self.url_of("http", HTTP_PORT)

    def start(self) -> None:
        """Start it and wait until it listens; after `kill`, start it again."""
        lines = TINYPROXY.format(port=HTTP_PORT, address=self.address, log=self.log_file)
        lines += "".join(f"ConnectPort {port}\n" for port in self.ports)
        if self.credentials:
            lines += f"BasicAuth {' '.join(self.credentials)}\n"
        configuration = Path(self.directory, "tinyproxy.conf")
        configuration.write_text(lines)
        silent = subprocess.DEVNULL
        self.run([HTTP_PROXY, "-d", "-c", str(configuration)], stdout=silent, stderr=silent)
        self.await_port(HTTP_PORT)


@attrs.define(eq=False)
class SocksProxy(Proxy):
    """microsocks: SOCKS5 (RFC 1928), TCP alone."""

    @property
    def url(self) -> str:
        """What `ALL_PROXY` would say; the h is for names that the proxy looks up."""
        return self.url_of("socks5h", SOCKS_PORT)

    def start(self) -> None:
        """Start it and wait until it listens; after `kill`, start it again."""
        options = ["-i", self.address, "-p", str(SOCKS_PORT)]
        if self.credentials:
            options += ["-u", self.credentials[0], "-P", self.credentials[1]]
        silent = subprocess.DEVNULL
        self.run([SOCKS_PROXY, *options], stdout=silent, stderr=silent)
        self.await_port(SOCKS_PORT)
