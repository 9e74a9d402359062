"""Transport addresses: what an IP address is good for, and one way of writing it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import (
    Address,
    Scope,
    format_address,
    parse_address,
    parse_ip,
    scope,
)

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(1, 65535)

SCOPES = {
    Scope.UNUSABLE: (
        *("0.0.0.0", "0.1.2.3", "169.254.1.1", "224.0.0.1", "239.255.255.255"),
        *("240.0.0.1", "255.255.255.255", "::", "ff02::1", "fe80::1", "fec0::1"),
        *("::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255"),
    ),
    Scope.LOOPBACK: ("127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"),
    Scope.PRIVATE: (
        *("10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"),
        *("192.168.255.255", "100.64.0.0", "100.127.255.255", "fc00::", "fdff::1"),
        "::ffff:10.0.0.1",
    ),
    Scope.GLOBAL: (
        *("1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0"),
        *("192.167.255.255", "192.169.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1"),
        *("2001:db8::1", "2606:4700::1111", "fbff::", "fe00::", "::ffff:203.0.113.1"),
    ),
}


FORBIDDEN_V4 = tuple(
    map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"))
)
FORBIDDEN_V6 = tuple(map(IPv6Network, ("::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8")))
forbidden_v4 = st.sampled_from(FORBIDDEN_V4).flatmap(lambda net: st.ip_addresses(network=net))
forbidden_v6 = st.sampled_from(FORBIDDEN_V6).flatmap(lambda net: st.ip_addresses(network=net))


def dressed(ip: IPv4Address) -> dict[str, IPv6Address]:
    """Return the IPv6 addresses whose packets end at an IPv4 one."""
    last = int(ip)
    return {
        "mapped": IPv6Address(0xFFFF << 32 | last),
        "compatible": IPv6Address(last),
        "SIIT": IPv6Address(0xFFFF << 48 | last),
        "NAT64": IPv6Address(int(IPv6Address("64:ff9b::")) | last),
        "local NAT64": IPv6Address(int(IPv6Address("64:ff9b:1::")) | last),
        "6to4": IPv6Address(0x2002 << 112 | last << 80 | 1),
        "Teredo": IPv6Address(0x20010000 << 96 | 0x01010101 << 64 | (last ^ 0xFFFFFFFF)),
    }


class ForbiddenTests(SynchronousTestCase):
    """
    What an offer may list as it likes: nothing is sent there.

    Unspecified, loopback, link-local, multicast, reserved and broadcast addresses, in either
    family and in each other's clothes.  Loopback has a scope of its own, for a registry there.
    """

    def assert_never_sent_to(self, host: str) -> None:
        """The address isn't usable, and no candidate with it plausible."""
        self.assertIn(scope(host), {Scope.UNUSABLE, Scope.LOOPBACK}, host)

    @settings(max_examples=300)
    @given(forbidden_v4 | forbidden_v6)
    def test_bare(self, ip: IPv4Address | IPv6Address) -> None:
        """As they are."""
        self.assert_never_sent_to(str(ip))

    @settings(max_examples=300)
    @given(forbidden_v4)
    def test_dressed(self, ip: IPv4Address) -> None:
        """Inside IPv6 addresses of every kind that leads to IPv4, however they are written."""
        for address in dressed(ip).values():
            self.assert_never_sent_to(str(address))
            self.assert_never_sent_to(address.exploded)

    @settings(max_examples=300)
    @given(st.ip_addresses(v=4))
    def test_any(self, ip: IPv4Address) -> None:
        """Every IPv4 address means the same in all clothes."""
        here = [net for net in FORBIDDEN_V4 if ip in net]
        self.assertEqual(scope(str(ip)) in {Scope.UNUSABLE, Scope.LOOPBACK}, bool(here))
        for kind, address in dressed(ip).items():
            if int(address) > 1:  # ::1 and :: are what they are
                self.assertIs(scope(str(address)), scope(str(ip)), kind)


class ScopeTests(SynchronousTestCase):
    """How far an address means anything."""

    def test_table(self) -> None:
        """Both ends of each private network, their neighbours, and what is never sent to."""
        for expected, members in SCOPES.items():
            for host in members:
                with self.subTest(host=host):
                    self.assertIs(scope(host), expected)

    def test_names(self) -> None:
        """A name is refused: resolving is I/O; so is a zone, which means nothing elsewhere."""
        for host in ("localhost", "example.org", "", "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "::1%1"):
            with self.subTest(host=host):
                self.assertRaises(RemoteProtocolError, scope, host)

    @given(st.ip_addresses(v=4))
    def test_mapped(self, ip: object) -> None:
        """An IPv4 address in IPv6 clothes means what it means without them."""
        self.assertIs(scope(f"::ffff:{ip}"), scope(str(ip)))


class AddressTests(SynchronousTestCase):
    """Reading and writing ``host:port``."""

    @given(hosts, ports)
    def test_round_trip(self, host: str, port: int) -> None:
        """What is written is read, IPv6 in brackets."""
        address: Address = (host, port)
        text = format_address(address)
        self.assertEqual(text.startswith("["), ":" in host)
        self.assertEqual(parse_address(text), address)

    def test_canonical(self) -> None:
        """An IPv6 address has one form, however it came."""
        self.assertEqual(parse_address("[2001:DB8:0::1]:1"), ("2001:db8::1", 1))

    def test_refused(self) -> None:
        """No port, a port out of range, an IPv6 address without brackets, no string."""
        for text in (
            *("192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:-1"),
            *("192.0.2.1:+1", "192.0.2.1: 1", "192.0.2.1:\u0661", ":1", "2001:db8::1:1", "::1:1"),
            *("[::1]", "[::1:1", "[]:1", "[fe80::1%eth0]:1", "a.example:1", ""),
            *(None, 1, ["192.0.2.1:1"], ("192.0.2.1", 1), "192.0.2.1:" + "9" * 5000),
        ):
            with self.subTest(text=text):
                self.assertRaises(RemoteProtocolError, parse_address, text)

    @settings(max_examples=200)
    @given(st.text(max_size=70), hosts, st.text(max_size=8))
    def test_any_text(self, text: str, host: str, port: str) -> None:
        """Any text raises only our error; what passes is an address that can be written."""
        for one in (text, f"{host}:{port}", f"[{text}]:{port}", f"{text}:1"):
            try:
                found = parse_address(one)
            except RemoteProtocolError:
                continue
            self.assertEqual(parse_address(format_address(found)), found)
            self.assertEqual(str(parse_ip(found[0])), found[0])
