"""In which order the addresses of a name are tried."""

from __future__ import annotations

from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.peer.address_turns import (
    FAILED_FOR,
    MAX_PER_FAMILY,
    AddressTurns,
    ResolverInTurn,
    interleaved,
)
from tests.simulation.resolver import HostnameResolver


class InterleavedTests(SynchronousTestCase):
    """Both families."""

    def test_turns(self) -> None:
        """They take turns, the first one first, and each keeps its order."""
        self.assertEqual(
            interleaved(["2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::1"]),
            ["2001:db8::1", "192.0.2.1", "2001:db8::2"],
        )
        self.assertEqual(interleaved([]), [])

    def test_bounded(self) -> None:
        """Of very many addresses a few of each family are tried."""
        many = [f"192.0.2.{n}" for n in range(99)] + [f"2001:db8::{n}" for n in range(99)]
        self.assertEqual(len(interleaved(many)), 2 * MAX_PER_FAMILY)


class TurnsTests(SynchronousTestCase):
    """What failed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = AddressTurns(self.clock.seconds)

    def test_interface(self) -> None:
        """A resolver in turn is one for `HostnameEndpoint`."""
        inner = HostnameResolver(lambda _name: [], self.clock)
        verifyObject(IHostnameResolver, ResolverInTurn(self.turns, inner))

    def test_failed(self) -> None:
        """What failed comes last, what failed longest ago first of it; later it is forgotten."""
        hosts = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        self.turns.failed("192.0.2.1")
        self.assertEqual(self.turns.order(hosts), ["192.0.2.2", "192.0.2.3", "192.0.2.1"])
        self.turns.failed("192.0.2.2")
        self.assertEqual(self.turns.order(hosts), ["192.0.2.3", "192.0.2.1", "192.0.2.2"])
        self.turns.failed("192.0.2.1")
        self.assertEqual(self.turns.order(hosts), ["192.0.2.3", "192.0.2.2", "192.0.2.1"])
        self.clock.advance(FAILED_FOR + 1)
        self.assertEqual(self.turns.order(hosts), hosts)

    def test_every_address(self) -> None:
        """Every address of a name with many gets its turn, when those before it have failed."""
        hosts = [f"192.0.2.{n}" for n in range(20)]
        for host in hosts[:19]:
            self.turns.failed(host)
        self.assertEqual(self.turns.order(hosts)[0], hosts[19])

    def test_bounded(self) -> None:
        """A name that has others each time leaves little behind."""
        for n in range(1000):
            self.turns.failed(f"192.0.{n // 256}.{n % 256}")
        everything = [f"192.0.{n // 256}.{n % 256}" for n in range(1000)]
        self.assertLess(len(self.turns.order(everything)), 64)
