"""
What a lab is made of, gathered as command text and then built with few processes.

Owns: the namespaces it names, their links, addresses, routes and rules. Names are unique to one
blueprint, so that labs side by side never meet and one never touches what another left behind.
Nothing joins the namespaces to the machine's own network.
"""

from __future__ import annotations

import os
import secrets
import subprocess

import attrs

from tests.lab.impairment import ETHERNET_MTU

COMMAND_LIMIT = 30.0  # seconds; any one step of building or taking down

#: A cable's namespace only passes frames on, and says nothing of its own.
SILENT = """\
sysctl -e -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
"""
SETTINGS = """\
sysctl -q -w net.ipv4.ip_forward={forward} net.ipv4.conf.all.rp_filter=0 \
net.ipv4.conf.default.rp_filter=0 net.ipv4.icmp_ratelimit=0
"""


def run_command(argv: list[str], text: str = "") -> str:
    """Run `argv` with `text` on its standard input and return what it prints.

    Raises RuntimeError, with what it said, when it fails or takes longer than COMMAND_LIMIT.
    """
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=COMMAND_LIMIT, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}\n{text}")
    return done.stdout


def enter(namespace: str) -> list[str]:
    """Return the words that go before a command to run it inside `namespace`."""
    return ["ip", "netns", "exec", namespace]


@attrs.define
class Room:
    """One namespace to be: its `ip` commands, its rules, and whether it forwards packets."""

    name: str
    forwards: bool
    commands: list[str] = attrs.Factory(lambda: ["link set lo up"])
    rules: str = ""
    settings: str = ""

    def script(self) -> str:
        """Return the shell script that furnishes the namespace from inside it."""
        return (
            "set -e\n"
            + SETTINGS.format(forward=int(self.forwards))
            + self.settings
            + "ip -batch - <<'END'\n"
            + "\n".join(self.commands)
            + "\nEND\nnft -f - <<'END'\n"
            + self.rules
            + "\nEND\n"
        )


#: An interface: the room, and its name there.
Interface = tuple[Room, str]
#: One end of a cable: the room, the name of the interface there, its address with prefix length.
End = tuple[Room, str, str]


@attrs.define
class Blueprint:
    """Gathers rooms and links; `build` makes them real, `demolish` removes them."""

    prefix: str = attrs.Factory(lambda: f"p2pchat-{os.getpid()}-{secrets.token_hex(3)}")
    cabled: frozenset[str] = frozenset()  # ends that get a cable of their own, as "LABEL:DEVICE"
    cables: dict[str, Room] = attrs.Factory(dict)  # by these ends
    mtu: int = ETHERNET_MTU  # of every interface
    _rooms: dict[str, Room] = attrs.Factory(dict)
    _links: list[str] = attrs.Factory(list)

    def room(self, label: str, forwards: bool = False) -> Room:
        """Add a namespace; `label` is unique within this blueprint."""
        room = Room(f"{self.prefix}-{label}", forwards)
        self._rooms[label] = room
        return room

    def link(self, one: Room, one_device: str, other: Room, other_device: str) -> None:
        """Lay a cable between two rooms and switch both of its ends on."""
        for near, far in (
            ((one, one_device), (other, other_device)),
            ((other, other_device), (one, one_device)),
        ):
            if self._name(*near) in self.cabled:
                self._insert_cable(near, far)
                return
        self._wire(one, one_device, other, other_device)

    def _wire(self, one: Room, one_device: str, other: Room, other_device: str) -> None:
        self._links.append(
            f"link add {one_device} netns {one.name} type veth "
            f"peer name {other_device} netns {other.name}"
        )
        one.commands.append(f"link set {one_device} mtu {self.mtu} up")
        other.commands.append(f"link set {other_device} mtu {self.mtu} up")

    def _insert_cable(self, near: Interface, far: Interface) -> None:
        """Wire two interfaces to the ends of a cable; see `cable`."""
        room = self.cables[self._name(*near)] = self.room(f"cable{len(self.cables)}")
        room.settings = SILENT
        self._wire(*near, room, "near")
        self._wire(room, "far", *far)
        for end, device in (near, far):
            end.commands.append(f"link set {device} gso_max_segs 1")

    def _name(self, room: Room, device: str) -> str:
        return f"{room.name.removeprefix(self.prefix + '-')}:{device}"

    def join(self, one: End, other: End) -> None:
        """Lay a cable and give each of its ends an address."""
        self.link(one[0], one[1], other[0], other[1])
        for room, device, address in (one, other):
            room.commands.append(f"address add {address} dev {device}")

    def build(self) -> None:
        """Make every room and link; raises RuntimeError, and leaves the rubble to `demolish`."""
        names = [f"netns add {room.name}" for room in self._rooms.values()]
        run_command(["ip", "-batch", "-"], "\n".join(names + self._links) + "\n")
        for room in self._rooms.values():
            run_command([*enter(room.name), "sh", "-s"], room.script())

    def demolish(self) -> None:
        """Remove every room that exists; links go with their rooms."""
        standing = set(run_command(["ip", "netns", "list"]).split())
        doomed = [room.name for room in self._rooms.values() if room.name in standing]
        run_command(["ip", "-batch", "-"], "".join(f"netns del {name}\n" for name in doomed))
