"""Tests of :mod:`p2pchat.traversal.own_addresses`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.host_addresses import HostAddress, Outlook
from p2pchat.traversal.own_addresses import MAX_OWN, Rerouting, RouteWatch, in_order

ETHERNET, WIRELESS = HostAddress("192.168.1.7", "eth0"), HostAddress("192.168.2.7", "wlan0")
VPN = HostAddress("10.8.0.2", "tun0")
LOOPBACK = HostAddress("127.0.0.1", "lo")
DOCKER = HostAddress("172.17.0.1", "docker0", Outlook.INWARD)
UNPLUGGED = HostAddress("192.168.3.7", "eth1", Outlook.NOWHERE)
STABLE = HostAddress("2001:db8::7", "eth0")
TEMPORARY = HostAddress("2001:db8::a1b2", "eth0")
REPLACED = HostAddress("2001:db8::c3d4", "eth0", Outlook.DEPRECATED)
LOCAL6 = HostAddress("fd00::7", "eth0")


def bridges(count: int, outlook: Outlook = Outlook.NOWHERE) -> list[HostAddress]:
    """Return the addresses of that many bridges."""
    return [HostAddress(f"172.18.{n}.1", f"br-{n}", outlook) for n in range(count)]


class OrderTests(SynchronousTestCase):
    """Peers are told of few addresses: those that they can reach come first."""

    def assert_order(
        self, found: list[HostAddress], sources: list[str], wanted: list[HostAddress]
    ) -> None:
        """Check the order of addresses, of which these are sources."""
        self.assertEqual(in_order(found, sources), [one.host for one in wanted])

    def test_routes(self) -> None:
        """Where routes lead out from comes first, in the order in which it matters."""
        self.assert_order(
            [LOOPBACK, ETHERNET, WIRELESS, VPN],
            ["", VPN.host, WIRELESS.host, VPN.host],
            [VPN, WIRELESS, ETHERNET, LOOPBACK],
        )

    def test_bridges(self) -> None:
        """However many containers there are, they hide nothing, and are no use to anybody."""
        for outlook in (Outlook.NOWHERE, Outlook.INWARD):
            found = [*bridges(100, outlook), DOCKER, UNPLUGGED, ETHERNET, VPN]
            self.assert_order(found, [], [ETHERNET, VPN])
            self.assert_order(found, [ETHERNET.host], [ETHERNET, VPN])

    def test_nothing_else(self) -> None:
        """A machine that has nothing else tells what it has; what runs counts for more."""
        self.assert_order([LOOPBACK, DOCKER, UNPLUGGED], [], [LOOPBACK, DOCKER])
        self.assert_order([LOOPBACK, UNPLUGGED], [], [LOOPBACK, UNPLUGGED])
        self.assert_order([], [], [])

    def test_source_on_a_bridge(self) -> None:
        """Where routes lead out over a bridge, its address counts whatever it looks like."""
        self.assert_order([DOCKER, ETHERNET], [DOCKER.host], [DOCKER, ETHERNET])

    def test_many_of_one(self) -> None:
        """Of an interface with dozens of addresses the first has its turn, and then others do."""
        many = [HostAddress(f"203.0.113.{n}", "eth0") for n in range(1, 51)]
        ordered = in_order([*many, WIRELESS, LOCAL6], [])
        self.assertEqual(ordered[:3], [many[0].host, WIRELESS.host, LOCAL6.host])

    def test_ipv6(self) -> None:
        """Of IPv6 the address in use comes first, each network has its turn, old ones are last."""
        self.assert_order(
            [STABLE, REPLACED, TEMPORARY, LOCAL6],
            [TEMPORARY.host],
            [TEMPORARY, STABLE, LOCAL6, REPLACED],
        )

    def test_limit(self) -> None:
        """The source is never cut."""
        many = [HostAddress(f"10.{n}.0.1", f"eth{n}") for n in range(100)]
        ordered = in_order([*many, WIRELESS], [WIRELESS.host])
        self.assertEqual(len(ordered), MAX_OWN)
        self.assertEqual(ordered[0], WIRELESS.host)


class RouteWatchTests(SynchronousTestCase):
    """What counts as another network."""

    def setUp(self) -> None:
        self.watch = RouteWatch()
        self.look([ETHERNET], server=ETHERNET)

    def look(self, found: list[HostAddress], **sources: HostAddress | None) -> Rerouting:
        """Look once more; hosts are reached from these addresses."""
        named = {host: "" if one is None else one.host for host, one in sources.items()}
        return self.watch.look(found, named)

    def test_come_and_go(self) -> None:
        """Whatever else this machine gets or loses is nothing to it."""
        for found in ([ETHERNET, DOCKER], [DOCKER, ETHERNET, VPN], [ETHERNET]):
            self.assertEqual(self.look(found, server=ETHERNET), Rerouting())

    def test_another_interface(self) -> None:
        """A VPN that takes the traffic over, a cable that is plugged in: said once."""
        moved = Rerouting(frozenset({"server"}), is_move=True)
        self.assertEqual(self.look([ETHERNET, VPN], server=VPN), moved)
        self.assertEqual(self.look([ETHERNET, VPN], server=VPN), Rerouting())
        self.assertEqual(self.look([ETHERNET], server=ETHERNET), moved)

    def test_gone(self) -> None:
        """Without a route, and with one again."""
        moved = Rerouting(frozenset({"server"}), is_move=True)
        self.assertEqual(self.look([], server=None), moved)
        self.assertEqual(self.look([], server=None), Rerouting())
        self.assertEqual(self.look([ETHERNET], server=ETHERNET), moved)

    def test_one_family(self) -> None:
        """Routes of IPv6 that come and go mean no other network where IPv4 stays as it is."""
        both = [ETHERNET, STABLE]
        for found in (both, [ETHERNET], both):
            for route in (None, STABLE if STABLE in found else None, None):
                rerouting = self.look(found, server=ETHERNET, other=route)
                self.assertFalse(rerouting.is_move)
        self.look(both, server=ETHERNET, other=STABLE)
        self.assertTrue(self.look([ETHERNET], server=ETHERNET, other=None).is_move)  # it is gone
        self.look(both, server=ETHERNET, other=STABLE)
        self.assertTrue(self.look(both, server=None, other=None).is_move)

    def test_replaced(self) -> None:
        """An IPv6 address that is replaced, and still there, is no other network."""
        self.look([TEMPORARY], server=TEMPORARY)
        found = [REPLACED, STABLE]
        self.watch = RouteWatch()
        self.look([REPLACED], server=REPLACED)
        self.assertEqual(
            self.look(found, server=STABLE), Rerouting(frozenset({"server"}), is_move=False)
        )
        self.assertTrue(self.look([TEMPORARY], server=TEMPORARY).is_move)

    def test_one_of_several(self) -> None:
        """Only those hosts are named that are reached otherwise; new ones have no before."""
        self.look([ETHERNET, WIRELESS], server=ETHERNET, friend=WIRELESS)
        rerouting = self.look([ETHERNET], server=ETHERNET, friend=ETHERNET, other=ETHERNET)
        self.assertEqual(rerouting.hosts, {"friend"})
