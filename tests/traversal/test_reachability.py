"""Which addresses may be contacted, by table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.traversal.reachability import (
    is_on_link_only,
    is_on_this_machine,
    is_public_ipv4,
    may_be_checked,
    may_serve,
)
from p2pchat.wire.addresses import Scope

PORT = 3478
GLOBAL = ("203.0.113.7", "8.8.8.8", "2001:db8::7", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::808:808")
PRIVATE = (
    *("10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "100.127.9.9"),
    *("fc00::1", "fd12:3456::1", "::ffff:192.168.1.1", "::10.0.0.1", "64:ff9b::a00:1"),
    *("2002:c0a8:101::1", "2002:6440:1::", "64:ff9b:1:a00:0:100:808:808", "64:ff9b:1::808:808"),
)
LOOPBACK = (
    *("127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::1", "::ffff:0:127.0.0.1"),
)
NOWHERE = (
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
    *("::", "fe80::1", "ff02::1", "fec0::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
)


class CandidateTests(SynchronousTestCase):
    """Where checks go, and which of our addresses a peer is told."""

    def allowed(self, local: bool) -> set[str]:
        """Return the hosts that may be checked."""
        every = (*GLOBAL, *PRIVATE, *LOOPBACK, *NOWHERE)
        return {host for host in every if may_be_checked((host, 9), local)}

    def test_elsewhere(self) -> None:
        """Private addresses too: the other peer may be in our network, but not on this machine."""
        self.assertEqual(self.allowed(False), {*GLOBAL, *PRIVATE})

    def test_local(self) -> None:
        """Where our own registry is on this machine, so may the peer be."""
        self.assertEqual(self.allowed(True), {*GLOBAL, *PRIVATE, *LOOPBACK})

    def test_on_link(self) -> None:
        """Link-local IPv4 addresses where this machine has no others, and nothing more."""
        more = {host for host in NOWHERE if may_be_checked((host, 9), False, True)}
        self.assertEqual(more, {"169.254.169.254"})
        for hosts, expected in (
            (("169.254.3.4", "127.0.0.1"), True),
            (("169.254.3.4", "192.168.1.7"), False),
            (("169.254.3.4", "2001:db8::7"), False),
            (("127.0.0.1",), False),
            ((), False),
        ):
            self.assertIs(is_on_link_only([(host, 9) for host in hosts]), expected, hosts)

    def test_registry(self) -> None:
        """That is said by its URL alone, for a name may lead anywhere."""
        for name in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]"):
            self.assertTrue(is_on_this_machine(f"http://{name}:8080"), name)
        for name in ("192.168.1.1", "203.0.113.7", "example.org", "localhost.example"):
            self.assertFalse(is_on_this_machine(f"https://{name}"), name)

    def test_relayed(self) -> None:
        """A relay of ours serves, and probing meets, public IPv4 addresses only."""
        every = (*GLOBAL, *PRIVATE, *LOOPBACK, *NOWHERE)
        public = {host for host in every if is_public_ipv4((host, 9))}
        self.assertEqual(public, {host for host in GLOBAL if ":" not in host})


class ScopeTests(SynchronousTestCase):
    """How near a server may be."""

    def assert_table(self, registry: Scope, *allowed: tuple[str, ...]) -> None:
        """A registry there may name these hosts, and none of the others."""
        for group in (GLOBAL, PRIVATE, LOOPBACK, NOWHERE):
            for host in group:
                with self.subTest(host=host):
                    self.assertEqual(may_serve((host, PORT), registry), group in allowed)

    def test_global(self) -> None:
        """A registry on the internet names servers on the internet, however it writes them."""
        self.assert_table(Scope.GLOBAL, GLOBAL)

    def test_private(self) -> None:
        """One in our network names servers there too, but none on this machine."""
        self.assert_table(Scope.PRIVATE, GLOBAL, PRIVATE)
        self.assert_table(Scope.UNUSABLE, GLOBAL, PRIVATE)

    def test_loopback(self) -> None:
        """One on this machine names servers anywhere."""
        self.assert_table(Scope.LOOPBACK, GLOBAL, PRIVATE, LOOPBACK)

    def test_name(self) -> None:
        """A name is for whoever resolves it first."""
        for name in ("localhost", "2130706433", "0x7f.1", "127.1", ""):
            self.assertRaises(RemoteProtocolError, may_serve, (name, PORT), Scope.LOOPBACK)


class PortTests(SynchronousTestCase):
    """Where a relay or STUN server listens."""

    def test_ports(self) -> None:
        """On high ports and on 443, and nowhere else below 1024."""
        for port in (443, 1024, 3478, 3479, 3480, 5349, 19302, 65535):
            self.assertTrue(may_serve((GLOBAL[0], port), Scope.GLOBAL), port)
        for port in (-1, 0, 1, 22, 25, 53, 80, 123, 389, 445, 631, 853, 1023, 65536):
            self.assertFalse(may_serve((GLOBAL[0], port), Scope.GLOBAL), port)
