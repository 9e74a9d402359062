"""
A small internet on one Linux machine, made of network namespaces and real kernel NATs.

::

    left host - NAT box - r1 - r2 - r3 - NAT box - right host
                               |
                            server, at two public addresses

From a left host's own NAT box to a right one are three routers, so a datagram sent with a TTL of 4
leaves its own NAT, even a double one, and never reaches the other. Public addresses are those of
RFC 5737. A stranger's private address (RFC 1918) leads nowhere: the boxes and r2 swallow it in
silence, as the internet does. The kinds of NAT are in `rulesets`.

Owns the namespaces and every process started in them: `Lab.close` ends both, at exit at the latest.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

import attrs

from tests.lab.blueprint import Blueprint, Room, enter, run_command
from tests.lab.rulesets import NAT_KINDS, box_ruleset, nat_ruleset, weather_ruleset

PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
SERVER_ADDRESSES = ("203.0.113.10", "203.0.113.11")
SHORT_TTL = 4  # hops; enough to leave any NAT here, too few to reach another's


def reason_to_skip() -> str:
    """Say why lab trials cannot run here; empty when they can."""
    if os.environ.get("P2PCHAT_LAB") != "1":
        return "lab trials run only with P2PCHAT_LAB=1"
    if not sys.platform.startswith("linux"):
        return "the lab is made of Linux network namespaces"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    missing = [tool for tool in ("ip", "nft", "conntrack") if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@attrs.define
class NatBox:
    """One NAT box: its `kind` of translation, its outward `address`, and its troubles."""

    namespace: str
    kind: str
    address: str
    _inside: str
    _cut: bool = False
    _loss: float = 0.0

    def reboot(self) -> None:
        """Forget every mapping and every contact."""
        rules = f"delete table ip nat\n{nat_ruleset(self.kind, self._inside)}"
        run_command([*enter(self.namespace), "nft", "-f", "-"], rules)
        run_command([*enter(self.namespace), "conntrack", "-F"])

    def block(self) -> None:
        """Cut the uplink: nothing enters or leaves, and nobody is told."""
        self._cut = True
        self._set_weather()

    def unblock(self) -> None:
        """Join the uplink again."""
        self._cut = False
        self._set_weather()

    def set_loss(self, fraction: float) -> None:
        """Lose this fraction of packets at random, each way."""
        self._loss = fraction
        self._set_weather()

    def arrivals(self) -> int:
        """Return how many UDP datagrams have reached the box from outside, wanted or not."""
        listing = run_command(
            [*enter(self.namespace), "nft", "-j", "list", "counter", "ip", "uplink", "arrivals"]
        )
        objects = json.loads(listing)["nftables"]
        return next(int(found["counter"]["packets"]) for found in objects if "counter" in found)

    def _set_weather(self) -> None:
        rules = weather_ruleset(self._cut, self._loss)
        run_command([*enter(self.namespace), "nft", "-f", "-"], rules)


@attrs.define
class Host:
    """A machine to run programs on; `nat` lists the boxes before it, outermost first."""

    namespace: str
    addresses: tuple[str, ...]
    nat: tuple[NatBox, ...] = ()
    _started: list[subprocess.Popen[Any]] = attrs.Factory(list)

    @property
    def address(self) -> str:
        """The host's own (first) address, as it sees itself."""
        return self.addresses[0]

    @property
    def public_address(self) -> str:
        """The address that the internet sees this host at."""
        translating = [box.address for box in self.nat if box.kind != "open"]
        return translating[0] if translating else self.address

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program here, as `subprocess.Popen` would; it ends with the lab."""
        process = subprocess.Popen([*enter(self.namespace), *argv], **options)
        self._started.append(process)
        return process

    def run(self, argv: Sequence[str], timeout: float, **options: Any) -> str:
        """Run a program to its end here and return its output, standard error included."""
        done = subprocess.run(
            [*enter(self.namespace), *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        return str(done.stdout)

    def end_processes(self) -> None:
        """Kill whatever still runs of what was started here."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._started.clear()


@attrs.frozen
class Site:
    """One edge of the internet: NAT boxes, outermost first, and the hosts behind the last."""

    nat: tuple[NatBox, ...]
    hosts: tuple[Host, ...]


@attrs.frozen
class AddressPlan:
    """The networks of one side: its line to the core, its public hosts, its private networks."""

    uplink: IPv4Network
    public: IPv4Network
    home: IPv4Network
    middle: IPv4Network


LEFT = AddressPlan(
    uplink=IPv4Network("192.0.2.0/30"),
    public=IPv4Network("192.0.2.64/26"),
    home=IPv4Network("192.168.10.0/24"),
    middle=IPv4Network("10.10.0.0/24"),
)
RIGHT = AddressPlan(
    uplink=IPv4Network("198.51.100.0/30"),
    public=IPv4Network("198.51.100.64/26"),
    home=IPv4Network("10.20.0.0/24"),
    middle=IPv4Network("192.168.120.0/24"),
)


@attrs.define
class Lab:
    """Builds the internet drawn above and holds its hosts; use `build`, then `close`."""

    server: Host = attrs.field(init=False)
    left_site: Site = attrs.field(init=False)
    right_site: Site = attrs.field(init=False)
    _blueprint: Blueprint = attrs.Factory(Blueprint)

    @property
    def left(self) -> Host:
        """The first host on the left."""
        return self.left_site.hosts[0]

    @property
    def right(self) -> Host:
        """The first host on the right."""
        return self.right_site.hosts[0]

    def build(self, left: str, right: str = "open", hosts: int = 1) -> Lab:
        """Build it with NATs of these kinds and `hosts` hosts behind each; returns the lab."""
        atexit.register(self.close)
        try:
            self._draw(left, right, hosts)
            self._blueprint.build()
        except BaseException:
            self.close()
            raise
        return self

    def reboot_nats(self) -> None:
        """Forget every mapping of every box."""
        for box in (*self.left_site.nat, *self.right_site.nat):
            box.reboot()

    def close(self) -> None:
        """End all processes and remove all namespaces; harmless when done twice."""
        atexit.unregister(self.close)
        for host in self._hosts():
            host.end_processes()
        self._blueprint.demolish()

    def _hosts(self) -> list[Host]:
        sites = [getattr(self, side, None) for side in ("left_site", "right_site")]
        hosts = [host for site in sites if site is not None for host in site.hosts]
        server = getattr(self, "server", None)
        return hosts if server is None else [*hosts, server]

    def _draw(self, left: str, right: str, hosts: int) -> None:
        first, middle, last = (self._blueprint.room(f"r{n}", forwards=True) for n in (1, 2, 3))
        join = self._blueprint.join
        join((middle, "r1", "203.0.113.129/30"), (first, "core", "203.0.113.130/30"))
        join((middle, "r3", "203.0.113.133/30"), (last, "core", "203.0.113.134/30"))
        first.commands.append("route add default via 203.0.113.129")
        last.commands.append("route add default via 203.0.113.133")
        middle.commands.append("route add blackhole default")
        for plan, via in ((LEFT, "203.0.113.130"), (RIGHT, "203.0.113.134")):
            middle.commands += [f"route add {net} via {via}" for net in (plan.uplink, plan.public)]
        self.server = self._draw_server(middle)
        self.left_site = SiteDrawing(self._blueprint, "left", LEFT, first).draw(left, hosts)
        self.right_site = SiteDrawing(self._blueprint, "right", RIGHT, last).draw(right, hosts)

    def _draw_server(self, router: Room) -> Host:
        room = self._blueprint.room("server")
        ends = (router, "server", "203.0.113.9/29"), (room, "wan", f"{SERVER_ADDRESSES[0]}/29")
        self._blueprint.join(*ends)
        room.commands += [
            f"address add {SERVER_ADDRESSES[1]}/29 dev wan",
            "route add default via 203.0.113.9",
        ]
        return Host(room.name, SERVER_ADDRESSES)


@attrs.define
class SiteDrawing:
    """Draws one side: boxes in a row from the core `router` inward, then a bridge with hosts."""

    _blueprint: Blueprint
    _side: str
    _plan: AddressPlan
    _router: Room

    def draw(self, kind: str, hosts: int) -> Site:
        """Add a site of this kind to the blueprint and return what it will be."""
        kinds = NAT_KINDS[kind]
        lan = self._plan.public if kind == "open" else self._plan.home
        networks = [self._plan.uplink, *[self._plan.middle] * (len(kinds) - 1), lan]
        upstream, rooms, boxes = self._router, [], []
        for depth, box_kind in enumerate(kinds):
            wan, inner = networks[depth], networks[depth + 1]
            upstream = self._draw_box(f"{self._side}-nat{depth}", upstream, wan)
            upstream.rules = box_ruleset(box_kind, str(inner[2]))
            rooms.append(upstream)
            boxes.append(NatBox(upstream.name, box_kind, str(wan[2]), str(inner[2])))
        if kind == "open":
            self._router.commands.append(f"route add {lan} via {self._plan.uplink[2]}")
        self._draw_bridge(rooms[-1], lan)
        inside = [self._draw_host(rooms[-1], lan, n, tuple(boxes)) for n in range(hosts)]
        return Site(tuple(boxes), tuple(inside))

    def _draw_box(self, label: str, upstream: Room, wan: IPv4Network) -> Room:
        """Hang a box on `upstream`: the upstream end has the network's address 1, the box 2."""
        room = self._blueprint.room(label, forwards=True)
        bits = wan.prefixlen
        near, far = (upstream, label, f"{wan[1]}/{bits}"), (room, "wan", f"{wan[2]}/{bits}")
        self._blueprint.join(near, far)
        room.commands += [
            f"route add default via {wan[1]}",
            *(f"route add blackhole {private}" for private in PRIVATE_NETWORKS),
        ]
        return room

    def _draw_bridge(self, box: Room, lan: IPv4Network) -> None:
        box.commands += [
            "link add lan type bridge",
            f"address add {lan[1]}/{lan.prefixlen} dev lan",
            "link set lan up",
        ]

    def _draw_host(self, box: Room, lan: IPv4Network, n: int, nat: tuple[NatBox, ...]) -> Host:
        room = self._blueprint.room(f"{self._side}-host{n}")
        self._blueprint.link(room, "eth0", box, f"port{n}")
        box.commands.append(f"link set port{n} master lan")
        address = lan[2 + n]
        room.commands += [
            f"address add {address}/{lan.prefixlen} dev eth0",
            f"route add default via {lan[1]}",
        ]
        return Host(room.name, (str(address),), nat)
