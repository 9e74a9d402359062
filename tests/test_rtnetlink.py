"""Tests of :mod:`p2pchat.rtnetlink`, against tables as the kernel writes them."""

from __future__ import annotations

import socket
from struct import pack

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.host_addresses import HostAddress, Outlook, outlook_of
from p2pchat.rtnetlink import addresses_in, read_addresses

UP, RUNNING = 0x1, 0x40
NAME, MASTER, LINK_INFO, KIND, ADDRESS, LOCAL = 3, 10, 18, 1, 1, 2


def message(kind: int, body: bytes) -> bytes:
    """Return a netlink message."""
    return pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body + b"\0" * (-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute."""
    return pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def link(
    number: int, name: str, kind: str = "", master: int = 0, flags: int = UP | RUNNING
) -> bytes:
    """Return an interface."""
    found = attribute(NAME, name.encode() + b"\0")
    if kind:
        found += attribute(LINK_INFO | 0x8000, attribute(KIND, kind.encode()))
    if master:
        found += attribute(MASTER, pack("=I", master))
    return message(16, pack("=BxHiII", 0, 1, number, flags, 0) + found)


def address(number: int, host: str, flags: int = 0, scope: int = 0, remote: str = "") -> bytes:
    """Return an address of an interface; ``remote`` is the other end of a tunnel."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = attribute(ADDRESS, socket.inet_pton(family, remote or host))
    if remote:
        found += attribute(LOCAL, socket.inet_pton(family, host))
    return message(20, pack("=BBBBI", family, 24, flags, scope, number) + found)


DONE = message(3, pack("=I", 0))


class TableTests(SynchronousTestCase):
    """Addresses, and where their interfaces lead."""

    def outlooks(self, *links: bytes) -> dict[str, Outlook]:
        """Return where each interface leads, by its name."""
        numbers = range(1, len(links) + 1)
        table = b"".join(address(number, f"10.0.0.{number}") for number in numbers)
        found = addresses_in(b"".join(links) + DONE, table + DONE)
        return {one.interface: one.outlook for one in found}

    def test_interfaces(self) -> None:
        """What is off, or has no carrier, leads nowhere."""
        self.assertEqual(
            self.outlooks(link(1, "eth0"), link(2, "eth1", flags=UP), link(3, "tun0", "tun")),
            {"eth0": Outlook.OUT, "eth1": Outlook.NOWHERE, "tun0": Outlook.OUT},
        )

    def test_bridges(self) -> None:
        """A bridge leads where its ports that run do."""
        found = self.outlooks(
            link(1, "empty", "bridge"),
            link(2, "stopped", "bridge"),
            link(3, "docker0", "bridge"),
            link(4, "br0", "bridge"),
            link(5, "veth1", "veth", 2, UP),
            link(6, "veth2", "veth", 3),
            link(7, "vnet3", "tun", 4),
            link(8, "eth0", master=4),
        )
        self.assertEqual(
            [found[name] for name in ("empty", "stopped", "docker0", "br0")],
            [Outlook.NOWHERE, Outlook.NOWHERE, Outlook.INWARD, Outlook.OUT],
        )

    def test_addresses(self) -> None:
        """IPv4 comes first; of a tunnel our end counts, and of IPv6 what can be used."""
        table = [
            *(address(1, "2001:db8::1"), address(1, "2001:db8::2", 0x20)),
            *(address(1, "2001:db8::3", 0x40), address(1, "2001:db8::4", 0x08)),
            *(address(1, "fe80::1", scope=253), address(1, "10.8.0.2", remote="10.8.0.1")),
            address(9, "10.9.9.9"),
        ]
        self.assertEqual(
            addresses_in(link(1, "tun0") + DONE, b"".join(table) + DONE),
            [
                HostAddress("10.8.0.2", "tun0"),
                HostAddress("2001:db8::1", "tun0"),
                HostAddress("2001:db8::2", "tun0", Outlook.DEPRECATED),
            ],
        )

    def test_cut_off(self) -> None:
        """What is shorter than it says is left out, and ends nothing."""
        table = address(1, "10.0.0.1") + address(1, "10.0.0.2")
        for length in range(len(table)):
            addresses_in(link(1, "eth0"), table[:length])
        self.assertEqual(addresses_in(b"", table), [])
        self.assertEqual(addresses_in(link(1, "eth0"), b"\0" * 64), [])

    def test_this_machine(self) -> None:
        """The kernel tells of loopback at least."""
        if not hasattr(socket, "AF_NETLINK"):
            raise SkipTest("this system has no netlink")
        self.assertIn(HostAddress("127.0.0.1", "lo"), read_addresses())


class NameTests(SynchronousTestCase):
    """Where the system tells no more than names."""

    def test_names(self) -> None:
        """Those of containers and virtual machines are known."""
        for name in ("docker0", "br-0123456789ab", "virbr0", "vmnet8", "vEthernet (WSL)"):
            self.assertIs(outlook_of(name), Outlook.INWARD, name)
        for name in ("eth0", "br0", "wlan0", "en0", "utun3", "Ethernet 2", "wg0"):
            self.assertIs(outlook_of(name), Outlook.OUT, name)
