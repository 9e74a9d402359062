"""
A small internet on one Linux machine, made of network namespaces and real kernel NATs.

::

    left host - NAT box - r1 - r2 - r3 - NAT box - right host
                               |
                            server, at two public addresses

The left side may be a carrier with several homes, as far from each other as from the carrier::

    host - home's NAT box - carrier's NAT box - r1
    host - home's NAT box ---/

A side may have a spare way out, for hosts that move: other NAT boxes on the same core router, with
another public address and another private network inside.

From a left host's own NAT box to a right one are three routers, so a datagram sent with a TTL of 4
leaves its own NAT, even a double one, and never reaches the other. Public addresses are those of
RFC 5737. A stranger's private address (RFC 1918, RFC 6598) leads nowhere: the boxes and r2 swallow
it in silence, as the internet does. The kinds of NAT are in `rulesets`.

Owns the namespaces and every process started in them: `Lab.close` ends both, at exit at the latest.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

import attrs

from tests.lab.blueprint import Blueprint, Room
from tests.lab.cable import Cable
from tests.lab.impairment import ETHERNET_MTU, Impairment
from tests.lab.machines import Attachment, Host, NatBox
from tests.lab.rulesets import NAT_KINDS, box_ruleset

PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
CARRIER_INSIDE = IPv4Network("100.64.10.0/24")  # RFC 6598
SERVER_ADDRESSES = ("203.0.113.10", "203.0.113.11")
LEFT_CABLE, RIGHT_CABLE = "left-host0:eth0", "right-host0:eth0"  # of the first hosts
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


@attrs.frozen
class Site:
    """
    One edge of the internet: NAT boxes, outermost first, and the hosts behind the last; and the
    boxes of its spare way out, if there is one.
    """

    nat: tuple[NatBox, ...]
    hosts: tuple[Host, ...]
    spare: tuple[NatBox, ...] = ()


@attrs.frozen
class AddressPlan:
    """The networks of one side: its line to the core, its public hosts, its private networks."""

    uplink: IPv4Network
    public: IPv4Network
    home: IPv4Network
    middle: IPv4Network


#: Of each side: the plan of its ordinary way out, and of its spare one.
LEFT = (
    AddressPlan(
        uplink=IPv4Network("192.0.2.0/30"),
        public=IPv4Network("192.0.2.64/26"),
        home=IPv4Network("192.168.10.0/24"),
        middle=IPv4Network("10.10.0.0/24"),
    ),
    AddressPlan(
        uplink=IPv4Network("192.0.2.4/30"),
        public=IPv4Network("192.0.2.128/26"),
        home=IPv4Network("192.168.30.0/24"),
        middle=IPv4Network("10.30.0.0/24"),
    ),
)
RIGHT = (
    AddressPlan(
        uplink=IPv4Network("198.51.100.0/30"),
        public=IPv4Network("198.51.100.64/26"),
        home=IPv4Network("10.20.0.0/24"),
        middle=IPv4Network("192.168.120.0/24"),
    ),
    AddressPlan(
        uplink=IPv4Network("198.51.100.4/30"),
        public=IPv4Network("198.51.100.128/26"),
        home=IPv4Network("10.40.0.0/24"),
        middle=IPv4Network("192.168.140.0/24"),
    ),
)


@attrs.define
class Lab:
    """Builds the internet drawn above and holds its hosts; use `build`, then `close`."""

    server: Host = attrs.field(init=False)
    left_site: Site = attrs.field(init=False)
    right_site: Site = attrs.field(init=False)
    blueprint: Blueprint = attrs.Factory(Blueprint)
    cables: dict[str, Cable] = attrs.Factory(dict)  # those asked for, by their names

    @property
    def left(self) -> Host:
        """The first host on the left."""
        return self.left_site.hosts[0]

    @property
    def right(self) -> Host:
        """The first host on the right."""
        return self.right_site.hosts[0]

    def build(
        self,
        left: str,
        right: str = "open",
        hosts: int = 1,
        spare: str = "",
        *,
        homes: Sequence[str] = (),
        cables: Iterable[str] = (),
        mtu: int = ETHERNET_MTU,
    ) -> Lab:
        """
        Build it with NATs of these kinds and `hosts` hosts behind each; returns the lab.

        `spare` is the kind of the spare way out that either side gets. With `homes`, the left NAT
        is a carrier's, and behind it each home has a NAT of its own, of that kind, and a host.
        Each of `cables` can be impaired (see `cable`). All interfaces have this MTU, and cables are
        as wide.
        """
        atexit.register(self.close)
        self.blueprint.cabled, self.blueprint.mtu = frozenset(cables), mtu
        try:
            self._draw(left, right, hosts, spare, homes)
            self.blueprint.build()
            self._lay_cables()
        except BaseException:
            self.close()
            raise
        return self

    def reboot_nats(self) -> None:
        """Forget every mapping of every box."""
        for site in (self.left_site, self.right_site):
            for box in (*site.nat, *site.spare):
                box.reboot()

    def close(self) -> None:
        """End all processes and remove all namespaces; harmless when done twice."""
        atexit.unregister(self.close)
        for host in self._hosts():
            host.end_processes()
        for cable in self.cables.values():
            cable.close()
        self.blueprint.demolish()

    def _lay_cables(self) -> None:
        for name, room in self.blueprint.cables.items():
            self.cables[name] = Cable.lay(room.name)
        for cable in self.cables.values():
            cable.await_ready()
            if self.blueprint.mtu != ETHERNET_MTU:
                cable.change(Impairment(mtu=self.blueprint.mtu))

    def _hosts(self) -> list[Host]:
        sites = [getattr(self, side, None) for side in ("left_site", "right_site")]
        hosts = [host for site in sites if site is not None for host in site.hosts]
        server = getattr(self, "server", None)
        return hosts if server is None else [*hosts, server]

    def _draw(self, left: str, right: str, hosts: int, spare: str, homes: Sequence[str]) -> None:
        first, middle, last = (self.blueprint.room(f"r{n}", forwards=True) for n in (1, 2, 3))
        join = self.blueprint.join
        join((middle, "r1", "203.0.113.129/30"), (first, "core", "203.0.113.130/30"))
        join((middle, "r3", "203.0.113.133/30"), (last, "core", "203.0.113.134/30"))
        first.commands.append("route add default via 203.0.113.129")
        last.commands.append("route add default via 203.0.113.133")
        middle.commands.append("route add blackhole default")
        for plans, via in ((LEFT, "203.0.113.130"), (RIGHT, "203.0.113.134")):
            nets = [net for plan in plans for net in (plan.uplink, plan.public)]
            middle.commands += [f"route add {net} via {via}" for net in nets]
        self.server = self._draw_server(middle)
        spares = [spare] if spare else []
        left_edge = SiteDrawing(self.blueprint, "left", LEFT, first)
        self.left_site = (
            left_edge.draw_homes(left, homes) if homes else left_edge.draw([left, *spares], hosts)
        )
        self.right_site = SiteDrawing(self.blueprint, "right", RIGHT, last).draw(
            [right, *spares], hosts
        )

    def _draw_server(self, router: Room) -> Host:
        room = self.blueprint.room("server")
        ends = (router, "server", "203.0.113.9/29"), (room, "wan", f"{SERVER_ADDRESSES[0]}/29")
        self.blueprint.join(*ends)
        room.commands += [
            f"address add {SERVER_ADDRESSES[1]}/29 dev wan",
            "route add default via 203.0.113.9",
        ]
        return Host(room.name, SERVER_ADDRESSES)


@attrs.frozen
class WayOut:
    """The boxes from the core inward, and the room and network that hosts are plugged in to."""

    nat: tuple[NatBox, ...]
    switch: Room
    lan: IPv4Network


@attrs.define
class SiteDrawing:
    """Draws one side: boxes in a row from the core `router` inward, then a bridge with hosts."""

    _blueprint: Blueprint
    _side: str
    _plans: Sequence[AddressPlan]
    _router: Room

    def draw(self, kinds: Sequence[str], hosts: int) -> Site:
        """Add a site to the blueprint, its spare way out of the second kind, and return it."""
        drawn = zip(("nat", "spare"), self._plans, kinds, strict=False)
        ways = [self._draw_way_out(label, plan, kind) for label, plan, kind in drawn]
        inside = [self._draw_host(n, ways) for n in range(hosts)]
        return Site(ways[0].nat, tuple(inside), ways[1].nat if len(ways) > 1 else ())

    def draw_homes(self, carrier: str, homes: Sequence[str]) -> Site:
        """Add a carrier's box, and behind it a box of each of these kinds with a host."""
        uplink, inside = self._plans[0].uplink, CARRIER_INSIDE
        room = self._draw_box(f"{self._side}-carrier", self._router, uplink)
        room.rules = box_ruleset(carrier, str(inside[2]), str(uplink[2]))
        self._draw_bridge(room, inside)
        outer = NatBox(room.name, carrier, str(uplink[2]), str(inside[2]))
        ways = [self._draw_home(n, kind, room, outer) for n, kind in enumerate(homes)]
        hosts = [self._draw_host(n, [way]) for n, way in enumerate(ways)]
        return Site((outer, *(way.nat[1] for way in ways)), tuple(hosts))

    def _draw_home(self, n: int, kind: str, carrier: Room, outer: NatBox) -> WayOut:
        """Plug a home's box in to the carrier's switch."""
        lan, address = self._plans[n].home, CARRIER_INSIDE[2 + n]
        room = self._blueprint.room(f"{self._side}-home{n}", forwards=True)
        self._blueprint.link(room, "wan", carrier, f"home{n}")
        carrier.commands.append(f"link set home{n} master lan")
        room.commands.append(f"address add {address}/{CARRIER_INSIDE.prefixlen} dev wan")
        room.commands += self._routes(CARRIER_INSIDE)
        inside = str(lan[2 + n])
        room.rules = box_ruleset(kind, inside, str(address))
        self._draw_bridge(room, lan)
        return WayOut((outer, NatBox(room.name, kind, str(address), inside)), room, lan)

    def _draw_way_out(self, label: str, plan: AddressPlan, kind: str) -> WayOut:
        kinds = NAT_KINDS.get(kind, (kind,))
        lan = plan.public if kind == "open" else plan.home
        networks = [plan.uplink, *[plan.middle] * (len(kinds) - 1), lan]
        upstream, boxes = self._router, []
        for depth, box_kind in enumerate(kinds):
            wan, inner = networks[depth], networks[depth + 1]
            upstream = self._draw_box(f"{self._side}-{label}{depth}", upstream, wan)
            upstream.rules = box_ruleset(box_kind, str(inner[2]), str(wan[2]))
            boxes.append(NatBox(upstream.name, box_kind, str(wan[2]), str(inner[2])))
        if kind == "open":
            self._router.commands.append(f"route add {lan} via {plan.uplink[2]}")
        self._draw_bridge(upstream, lan)
        return WayOut(tuple(boxes), upstream, lan)

    def _draw_box(self, label: str, upstream: Room, wan: IPv4Network) -> Room:
        """Hang a box on `upstream`: the upstream end has the network's address 1, the box 2."""
        room = self._blueprint.room(label, forwards=True)
        bits = wan.prefixlen
        near, far = (upstream, label, f"{wan[1]}/{bits}"), (room, "wan", f"{wan[2]}/{bits}")
        self._blueprint.join(near, far)
        room.commands += self._routes(wan)
        return room

    def _routes(self, wan: IPv4Network) -> list[str]:
        """Return the commands that lead a box's way to the first host of its outer network."""
        blackholes = (f"route add blackhole {private}" for private in PRIVATE_NETWORKS)
        return [f"route add default via {wan[1]}", *blackholes]

    def _draw_bridge(self, box: Room, lan: IPv4Network) -> None:
        box.commands += [
            "link add lan type bridge",
            f"address add {lan[1]}/{lan.prefixlen} dev lan",
            "link set lan up",
        ]

    def _draw_host(self, n: int, ways: list[WayOut]) -> Host:
        room = self._blueprint.room(f"{self._side}-host{n}")
        attachments = [self._attach(room, f"eth{i}", n, way) for i, way in enumerate(ways)]
        room.commands += attachments[0].joining()
        address = str(ways[0].lan[2 + n])
        return Host(room.name, (address,), ways[0].nat, tuple(attachments))

    def _attach(self, room: Room, device: str, n: int, way: WayOut) -> Attachment:
        """Plug a host in to the switch of one way out."""
        self._blueprint.link(room, device, way.switch, f"port{n}")
        way.switch.commands.append(f"link set port{n} master lan")
        address = f"{way.lan[2 + n]}/{way.lan.prefixlen}"
        return Attachment(device, address, str(way.lan[1]), way.nat)
