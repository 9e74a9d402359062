"""Host names to addresses of both families."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat.peer.names import MAX_ADDRESSES, MAX_UNDER_WAY, RESOLVE_TIMEOUT, Names
from tests.simulation.internet import Internet
from tests.simulation.resolver import HostResolution
from tests.simulation.world import runtime_on


@implementer(IHostnameResolver)
class SlowResolver:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[IResolutionReceiver] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Keep who asks."""
        self.waiting.append(resolutionReceiver)
        return HostResolution(hostName)


class ResolveTests(SynchronousTestCase):
    """On a host of a simulated internet."""

    def setUp(self) -> None:
        self.internet = Internet(1)
        self.host = self.internet.host()
        self.names = Names(runtime_on(self.host, Random(1)))

    def addresses(self, name: str) -> list[str]:
        """Resolve a name."""
        found = self.names.addresses(name)
        self.internet.run(0.1)
        return self.successResultOf(found)

    def test_families(self) -> None:
        """A name has what it has, the IPv4 address first."""
        self.internet.dns.update({"both.test": "192.0.2.1", "four.test": "192.0.2.4"})
        self.internet.dns6.update({"both.test": "2001:db8::1", "six.test": "2001:db8::6"})
        self.assertEqual(self.addresses("both.test"), ["192.0.2.1", "2001:db8::1"])
        self.assertEqual(self.addresses("four.test"), ["192.0.2.4"])
        self.assertEqual(self.addresses("six.test"), ["2001:db8::6"])
        self.assertEqual(self.addresses("none.test"), [])

    def test_literals(self) -> None:
        """An IP literal is its own address, in its canonical form."""
        self.assertEqual(self.addresses("192.0.2.1"), ["192.0.2.1"])
        self.assertEqual(self.addresses("2001:DB8:0::1"), ["2001:db8::1"])

    def test_silence(self) -> None:
        """A resolver that doesn't answer costs RESOLVE_TIMEOUT, and its late answer nothing."""
        resolver = SlowResolver()
        verifyObject(IHostnameResolver, resolver)
        self.host.reactor.installNameResolver(resolver)
        found = self.names.addresses("slow.test")
        self.internet.run(RESOLVE_TIMEOUT - 0.1)
        self.assertNoResult(found)
        self.internet.run(0.2)
        self.assertEqual(self.successResultOf(found), [])
        resolver.waiting[0].resolutionComplete()

    def test_many_addresses(self) -> None:
        """All that a name has are found, those of IPv4 first; of very many, MAX_ADDRESSES."""
        resolver = SlowResolver()
        self.host.reactor.installNameResolver(resolver)
        for count, expected in ((3, 6), (100, MAX_ADDRESSES)):
            found = self.names.addresses("many.test")
            for number in range(count):
                for host in (f"2001:db8::{number}", f"192.0.2.{number}", f"192.0.2.{number}"):
                    kind = IPv6Address if ":" in host else IPv4Address
                    resolver.waiting[-1].addressResolved(kind("TCP", host, 0))
            resolver.waiting[-1].resolutionComplete()
            hosts = self.successResultOf(found)
            self.assertEqual(len(hosts), expected)
            self.assertEqual(hosts, sorted(hosts, key=lambda host: ":" in host))

    def test_slow(self) -> None:
        """A resolver that doesn't answer isn't asked without end; it is again when it has."""
        resolver = SlowResolver()
        self.host.reactor.installNameResolver(resolver)
        for number in range(100):
            self.names.addresses(f"n{number}.test")
            self.internet.run(RESOLVE_TIMEOUT)
        self.assertEqual(len(resolver.waiting), MAX_UNDER_WAY)
        for receiver in resolver.waiting:
            receiver.resolutionComplete()
        self.names.addresses("again.test")
        self.assertEqual(len(resolver.waiting), MAX_UNDER_WAY + 1)
