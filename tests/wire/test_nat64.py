"""The translation between IPv4 and IPv6 addresses, and the prefix that shows."""

from __future__ import annotations

from ipaddress import IPv6Network

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.wire.nat64 import Nat64Prefix, prefix_in
from tests.cases import each

EXAMPLES = (  # RFC 6052 section 2.4, of 192.0.2.33
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::c000:221"),
    ("64:ff9b::/96", "64:ff9b::c000:221"),
)
OURS = Nat64Prefix(bytes.fromhex("20010db8012203440000 0000".replace(" ", "")))
WELL_KNOWN = Nat64Prefix(bytes.fromhex("0064ff9b0000000000000000"))


def prefix_of(text: str) -> Nat64Prefix:
    """Return the prefix that is written so."""
    network = IPv6Network(text)
    return Nat64Prefix(network.network_address.packed[: network.prefixlen // 8])


class TranslationTests(SynchronousTestCase):
    """:class:`Nat64Prefix`."""

    @each(*EXAMPLES)
    def test_examples(self, prefix: str, ipv6: str) -> None:
        """The addresses of RFC 6052 section 2.4 are made, and read."""
        self.assertEqual(prefix_of(prefix).to_ipv6("192.0.2.33"), ipv6)
        self.assertEqual(prefix_of(prefix).to_ipv4(ipv6), "192.0.2.33")

    @each("2001:db8::1", "2001:db8:122:344:1::c000:221", "192.0.2.1", "::1")
    def test_others(self, host: str) -> None:
        """What no IPv4 address is behind stays as it is."""
        self.assertEqual(OURS.to_ipv4(host), host)

    @each("127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "2001:db8::1")
    def test_not_led(self, host: str) -> None:
        """What no other network has is sent nowhere else, and nothing is taken for it."""
        self.assertEqual(OURS.to_ipv6(host), host)
        loopback = "2001:db8:122:344::7f00:1"
        self.assertEqual(OURS.to_ipv4(loopback), loopback)

    def test_private(self) -> None:
        """The well-known prefix leads to no private network, a network's own one may."""
        self.assertEqual(WELL_KNOWN.to_ipv6("10.0.0.1"), "10.0.0.1")
        self.assertEqual(OURS.to_ipv6("10.0.0.1"), "2001:db8:122:344::a00:1")

    def test_text(self) -> None:
        """A prefix is shown as it is usually written."""
        self.assertEqual(str(OURS), "2001:db8:122:344::/96")


class DiscoveryTests(SynchronousTestCase):
    """:func:`prefix_in`."""

    @each(*(prefix for prefix, _ in EXAMPLES))
    def test_found(self, prefix: str) -> None:
        """A prefix of each length shows in what the name servers say of the well-known name."""
        for well_known in ("192.0.0.170", "192.0.0.171"):
            shown = prefix_of(prefix).to_ipv6(well_known)
            found = prefix_in(["192.0.0.170", shown])
            assert found is not None
            self.assertEqual(found.to_ipv6("192.0.2.33"), prefix_of(prefix).to_ipv6("192.0.2.33"))

    @each("::ffff:192.0.0.170", "::192.0.0.170", "fe80::192.0.0.170", "ff0e::192.0.0.170")
    def test_leads_nowhere(self, host: str) -> None:
        """A prefix of no network is refused."""
        self.assertIsNone(prefix_in([host]))

    def test_none(self) -> None:
        """Where the name has no IPv6 address, or another one, there is no NAT64."""
        self.assertIsNone(prefix_in([]))
        self.assertIsNone(prefix_in(["192.0.0.170", "2001:db8::1"]))
