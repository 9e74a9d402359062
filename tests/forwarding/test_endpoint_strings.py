"""Tests of :mod:`p2pchat.forwarding.endpoint_strings`."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.forwarding.endpoint_strings import (
    client_endpoint,
    is_exposed,
    on_loopback,
    server_endpoint,
    shown_address,
)
from p2pchat.peer.peer_address import PeerAddress
from tests.cases import each


class LoopbackTests(SynchronousTestCase):
    """Ports are for this machine unless somebody says more."""

    @each(
        ("tcp:8080", "tcp:8080:interface=127.0.0.1"),
        ("tcp:port=8080", "tcp:port=8080:interface=127.0.0.1"),
        ("tcp6:8080", r"tcp6:8080:interface=\:\:1"),
        ("tcp:8080:backlog=5", "tcp:8080:backlog=5:interface=127.0.0.1"),
        ("tcp:8080:interface=0.0.0.0", "tcp:8080:interface=0.0.0.0"),
        ("tcp:8080:192.0.2.1", "tcp:8080:192.0.2.1"),
        ("tcp:port=8080:192.0.2.1", "tcp:port=8080:192.0.2.1"),
        (r"tcp6:8080:interface=\:\:", r"tcp6:8080:interface=\:\:"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("p2p:web", "p2p:web"),
        ("", ""),
    )
    def test_interface(self, given: str, expected: str) -> None:
        """Loopback is meant where no interface is named, in whatever way."""
        self.assertEqual(on_loopback(given), expected)

    def test_exposed(self) -> None:
        """Only an address of IP outside of loopback is one for other machines."""
        for address, expected in (
            (IPv4Address("TCP", "127.0.0.1", 1), False),
            (IPv6Address("TCP", "::1", 1), False),
            (IPv4Address("TCP", "0.0.0.0", 1), True),
            (IPv6Address("TCP", "::", 1), True),
            (UNIXAddress(b"/run/a"), False),
            (PeerAddress("1b2c", "web"), False),
        ):
            self.assertEqual(is_exposed(address), expected, address)


class ParsingTests(SynchronousTestCase):
    """Strings that people type."""

    def test_endpoints(self) -> None:
        """What Twisted reads is read, without a reactor as well."""
        self.assertIsInstance(server_endpoint(None, "tcp:0"), TCP4ServerEndpoint)
        client_endpoint(None, "tcp:127.0.0.1:1")

    @each("", "tcp", "tcp:x", "bogus:1", "tcp:1:2:3:4:5", "tcp:1:bogus=2", "tcp:\\", "\x1b[2J:1")
    def test_mistakes(self, given: str) -> None:
        """Whatever the parser raises, one sentence says what is wrong and gives an example."""
        for parse, option in ((server_endpoint, "--listen"), (client_endpoint, "--connect")):
            error = self.assertRaises(ConfigurationError, parse, None, given)
            self.assertTrue(str(error).startswith(f"{option}: "), error)
            self.assertIn("is no endpoint (", str(error))
            self.assertIn("; try ", str(error))
            self.assertNotIn("()", str(error))
            self.assertNotIn("\x1b", str(error))


class AddressTests(SynchronousTestCase):
    """Addresses in events."""

    def test_shown(self) -> None:
        """Each kind is written as people write it, and nothing of it moves a cursor."""
        for address, expected in (
            (IPv4Address("TCP", "127.0.0.1", 80), "127.0.0.1:80"),
            (IPv6Address("TCP", "::1", 80), "[::1]:80"),
            (UNIXAddress(b"/run/\x1b"), "/run/\\x1b"),
            (UNIXAddress(None), "this machine"),
            (PeerAddress("1b2c", "web"), "p2p:1b2c:web"),
        ):
            self.assertEqual(shown_address(address), expected)
