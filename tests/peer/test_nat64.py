"""When the prefix of a NAT64 is looked for, and what becomes of it."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.nat64 import RENEW_AFTER, RETRY_AFTER, Nat64Discovery
from p2pchat.wire.nat64 import WELL_KNOWN_NAME
from tests.cases import each
from tests.simulation.internet import Internet
from tests.simulation.world import runtime_on

SHOWN, OTHER = "2001:db8:64:64::c000:aa", "2001:db8:65:65::c000:ab"
ALONE = ("127.0.0.1", "::1", "169.254.7.7", "2001:db8:1::7")


class DiscoveryTests(SynchronousTestCase):
    """:class:`Nat64Discovery`."""

    def setUp(self) -> None:
        self.internet = Internet(1)
        self.runtime = runtime_on(self.internet.host(), Random(1))
        self.asked: list[Deferred[list[str]]] = []
        self.changes: list[str] = []
        self.discovery = Nat64Discovery(
            self.runtime, self.ask, lambda _: self.changes.append(str(self.runtime.nat64.prefix))
        )

    def ask(self, name: str) -> Deferred[list[str]]:
        """Note a question."""
        self.assertEqual(name, WELL_KNOWN_NAME)
        self.asked.append(Deferred())
        return self.asked[-1]

    def test_found(self) -> None:
        """The prefix is asked for once, told of, and used in both directions."""
        self.discovery.look(ALONE)
        self.discovery.look(ALONE)
        self.assertEqual(len(self.asked), 1)
        self.asked[0].callback(["192.0.0.170", SHOWN])
        self.discovery.look(ALONE)
        self.assertEqual((len(self.asked), self.changes), (1, ["2001:db8:64:64::/96"]))
        nat64 = self.runtime.nat64
        self.assertEqual(nat64.outward(("192.0.2.1", 9)), ("2001:db8:64:64::c000:201", 9))
        self.assertEqual(nat64.inward(("2001:db8:64:64::c000:201", 9)), ("192.0.2.1", 9))
        self.assertEqual(nat64.outward(("name.example", 9)), ("name.example", 9))

    @each((), ("127.0.0.1",), ("::1",), ("10.1.1.1", "2001:db8:1::7"), ("fe80::1", "127.0.0.1"))
    def test_not_asked(self, *hosts: str) -> None:
        """With an IPv4 address, or no IPv6 one, there is nothing to ask."""
        self.discovery.look(hosts)
        self.assertEqual(self.asked, [])

    def test_retries(self) -> None:
        """Where no prefix shows, the name is asked for again, ever more rarely."""
        waits = []
        for _ in range(8):
            began = self.runtime.clock.seconds()
            self.internet.run(0.0)
            while not self.asked:
                self.discovery.look(ALONE)
                self.internet.run(0.5)
            waits.append(self.runtime.clock.seconds() - began)
            self.asked.pop().callback([])
        expected = [0.5, *(wait + 0.5 for wait in RETRY_AFTER), *[RETRY_AFTER[-1] + 0.5] * 2]
        for wait, least in zip(waits, expected, strict=True):
            self.assertTrue(least - 0.5 <= wait <= least + 0.5, waits)

    def test_late_nat64(self) -> None:
        """Whoever has reason to asks at once, and not while an answer is awaited."""
        self.discovery.look(ALONE)
        self.discovery.look_at_once()
        self.assertEqual(len(self.asked), 1)
        self.asked.pop().callback([])
        self.discovery.look_at_once()
        self.asked.pop().callback([SHOWN])
        self.assertEqual(self.changes, ["2001:db8:64:64::/96"])

    def test_replaced(self) -> None:
        """A known prefix is asked for again now and then, and at once where nothing answers."""
        self.discovery.look(ALONE)
        self.asked.pop().callback([SHOWN])
        self.discovery.look(ALONE, in_doubt=True)
        self.asked.pop().callback(["192.0.0.170"])  # as before
        self.internet.run(RETRY_AFTER[0])
        self.discovery.look(ALONE, in_doubt=True)
        self.asked.pop().callback([OTHER])
        self.discovery.look(ALONE)
        self.assertEqual(self.changes, ["2001:db8:64:64::/96", "2001:db8:65:65::/96"])
        self.assertEqual(self.asked, [])
        self.internet.run(RENEW_AFTER)
        self.discovery.look(ALONE)
        self.asked.pop().callback([])
        self.assertEqual(len(self.changes), 2)

    def test_known(self) -> None:
        """Whoever needs IPv4 can wait until it shows whether there is a NAT64."""
        self.successResultOf(self.runtime.nat64.known())
        for answer in ([SHOWN], []):
            self.discovery.look(("10.1.1.1",))
            self.discovery.look(ALONE)
            waiting = self.runtime.nat64.known()
            self.assertNoResult(waiting)
            self.asked.pop().callback(answer)
            self.successResultOf(waiting)
        self.discovery.look((*ALONE, "2001:db8:2::7"))
        waiting = self.runtime.nat64.known()
        self.discovery.look(("10.1.1.1",))
        self.successResultOf(waiting)

    def test_ipv4_comes(self) -> None:
        """With an IPv4 address of our own the prefix is forgotten, and that is told."""
        self.discovery.look(ALONE)
        self.asked[0].callback([SHOWN])
        self.discovery.look((*ALONE, "10.1.1.1"))
        self.assertEqual(self.changes, ["2001:db8:64:64::/96", "None"])
        self.assertEqual(self.runtime.nat64.outward(("192.0.2.1", 9)), ("192.0.2.1", 9))

    def test_late(self) -> None:
        """An answer from the network that we were in before is dropped."""
        self.discovery.look(ALONE)
        self.discovery.look((*ALONE, "10.1.1.1"))
        self.asked[0].callback([SHOWN])
        self.assertEqual(self.changes, [])
