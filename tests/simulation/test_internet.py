"""Tests for the simulated internet without NATs: links, time, traces."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.internet import Internet, NeverHappened, Record
from tests.simulation.link import PERFECT, SEVERED, Link
from tests.simulation.network import Address
from tests.simulation.recorder import Recorder

A, B = "203.0.113.10", "198.51.100.20"


class TwoHosts(SynchronousTestCase):
    """Two public hosts, a socket on each."""

    def setUp(self) -> None:
        self.internet = Internet(seed=1, link=Link(latency=0.05))
        self.a, self.b = self.internet.host(A), self.internet.host(B)
        self.at_a, self.at_b = Recorder.on(self.a, 1000), Recorder.on(self.b, 2000)

    def send(self, data: bytes = b"x", ttl: int | None = None) -> list[tuple[bytes, Address]]:
        """Send from A to B, and return what B has in the end."""
        self.at_a.send(data, (B, 2000), ttl)
        self.internet.run(1)
        return self.at_b.received


class DeliveryTests(TwoHosts):
    """Datagrams arrive where they should, when they should."""

    def test_arrives(self) -> None:
        """A datagram arrives after the latency of the link, with its source."""
        self.at_a.send(b"hello", (B, 2000))
        elapsed = self.internet.run_until(lambda: self.at_b.received)
        self.assertAlmostEqual(0.05, elapsed)
        self.assertEqual([(b"hello", (A, 1000))], self.at_b.received)

    def test_access_link_adds(self) -> None:
        """The link of a host is crossed on top, at both ends."""
        self.a.link = self.b.link = Link(latency=0.1)
        self.at_a.send(b"hello", (B, 2000))
        self.assertAlmostEqual(0.25, self.internet.run_until(lambda: self.at_b.received))

    def test_nobody_there(self) -> None:
        """No socket, and no host: both are silence."""
        self.at_a.send(b"x", (B, 2001))
        self.at_a.send(b"x", ("192.0.2.1", 2000))
        self.internet.run(1)
        self.assertEqual({"no socket": 1, "no route": 1}, dict(self.internet.fates))

    def test_offline(self) -> None:
        """Neither what an offline host sends, nor what is sent to it, arrives; until it is back."""
        self.b.online = False
        self.assertEqual([], self.send())
        self.a.online, self.b.online = False, True
        self.assertEqual([], self.send())
        self.a.online = True
        self.assertEqual(1, len(self.send()))

    def test_severed_link(self) -> None:
        """A link that loses everything cuts a host off as well."""
        self.b.link = SEVERED
        self.assertEqual([], self.send())
        self.b.link = None
        self.assertEqual(1, len(self.send()))

    def test_ttl(self) -> None:
        """Three routers stand between two public hosts: a TTL of 3 is too little, 4 enough."""
        self.assertEqual([], self.send(ttl=3))
        self.assertEqual(1, len(self.send(ttl=4)))
        self.internet.public.hops = 10
        self.assertEqual(1, len(self.send(ttl=10)))
        self.assertEqual({"TTL exceeded": 2, "delivered": 1}, dict(self.internet.fates))

    def test_several_addresses(self) -> None:
        """A host with two addresses answers on both; each socket sends from its own."""
        server = self.internet.host("192.0.2.1", also=["192.0.2.2"])
        second = Recorder.on(server, 3478, interface="192.0.2.2")
        self.at_a.send(b"to second", ("192.0.2.2", 3478))
        self.at_a.send(b"to first", ("192.0.2.1", 3478))
        second.send(b"from second", (A, 1000))
        self.internet.run(1)
        self.assertEqual([b"to second"], [data for data, _ in second.received])
        self.assertEqual([("192.0.2.2", 3478)], self.at_a.sources)

    def test_move(self) -> None:
        """A host that moves is reached, and heard, at its new address only."""
        self.b.move("192.0.2.9")
        self.assertEqual([], self.send())
        self.at_b.send(b"moved", (A, 1000))
        self.internet.run(1)
        self.assertEqual([("192.0.2.9", 2000)], self.at_a.sources)

    def test_loopback(self) -> None:
        """A host reaches itself, at 127.0.0.1 and at its own address, online or not."""
        self.a.online = False
        self.at_a.send(b"x", ("127.0.0.1", 1000))
        self.at_a.send(b"x", (A, 1000))
        self.internet.run(0)
        self.assertEqual([("127.0.0.1", 1000), (A, 1000)], self.at_a.sources)


class WeatherTests(SynchronousTestCase):
    """The draws of a link have the probabilities it promises."""

    def transits(self, link: Link) -> list[tuple[float, ...]]:
        random = Random(5)
        return [link.transits(random) for _ in range(20_000)]

    def test_loss(self) -> None:
        """One in ten is lost."""
        lost = sum(1 for copies in self.transits(Link(loss=0.1)) if not copies)
        self.assertApproximates(2000, lost, 150)

    def test_duplicates(self) -> None:
        """One in ten comes twice."""
        doubled = sum(1 for copies in self.transits(Link(duplicate=0.1)) if len(copies) == 2)
        self.assertApproximates(2000, doubled, 150)

    def test_latency(self) -> None:
        """Latency is spread evenly between its bounds."""
        drawn = [copies[0] for copies in self.transits(Link(latency=(0.1, 0.3)))]
        self.assertTrue(0.1 <= min(drawn) < 0.101 and 0.299 < max(drawn) <= 0.3)
        self.assertApproximates(0.2, sum(drawn) / len(drawn), 0.002)

    def test_jitter_reorders(self) -> None:
        """Datagrams closer together than the spread of the latency overtake one another."""
        internet = Internet(seed=3, link=Link(latency=(0.01, 0.05)))
        sender, target = Recorder.on(internet.host(A)), Recorder.on(internet.host(B), 2000)
        sent = [bytes([number]) for number in range(100)]
        for data in sent:
            sender.send(data, (B, 2000))
        internet.run(1)
        arrived = [data for data, _ in target.received]
        self.assertEqual(sent, sorted(arrived))
        self.assertNotEqual(sent, arrived)


class TimeTests(TwoHosts):
    """Time passes from event to event."""

    def test_starts_above_zero(self) -> None:
        """The clock starts far from 0."""
        self.assertEqual(1000.0, self.internet.clock.seconds())

    def test_run_until_returns_elapsed(self) -> None:
        """`run_until` stops at the event that makes the predicate true."""
        self.internet.clock.callLater(3, self.at_b.received.append, (b"", ("", 0)))
        self.assertAlmostEqual(3, self.internet.run_until(lambda: self.at_b.received, 60))

    def test_run_until_fails(self) -> None:
        """What never happens is an assertion error that names it, the time, and the state."""
        error = self.assertRaises(
            NeverHappened, self.internet.run_until, lambda: False, 7, "the impossible"
        )
        self.assertIn("from 1000.000 to 1007.000: the impossible", str(error))
        self.assertIn(f"host {A}", str(error))
        self.assertIsInstance(error, AssertionError)


class DeterminismTests(SynchronousTestCase):
    """One seed decides everything."""

    def trace(self, seed: int) -> list[Record]:
        internet = Internet(seed, link=Link(latency=(0.01, 0.2), loss=0.2, duplicate=0.1))
        internet.trace = []
        nat = internet.nat()
        inside, outside = Recorder.on(internet.host(behind=nat)), Recorder.on(internet.host(B), 7)
        for number in range(200):
            inside.send(b"x" * number, (B, 7))
            internet.run(0.01)
            for source in outside.sources[-1:]:
                outside.send(b"answer", source)
        return internet.trace

    def test_same_seed(self) -> None:
        """The same seed gives the identical trace."""
        self.assertEqual(self.trace(42), self.trace(42))
        self.assertGreater(len(self.trace(42)), 300)

    def test_other_seed(self) -> None:
        """Another seed gives another trace."""
        self.assertNotEqual(self.trace(42), self.trace(43))

    def test_describe(self) -> None:
        """A person is shown hosts, NATs, mappings, and the last datagrams."""
        internet = Internet(1, link=PERFECT)
        internet.trace = []
        inside = Recorder.on(internet.host(behind=internet.nat("203.0.113.1")), 5000)
        internet.host(B)
        inside.send(b"12345", (B, 9))
        internet.run(1)
        description = internet.describe()
        for expected in ("seed 1", "NAT 203.0.113.1", ":5000 -> port", "5 bytes, no socket"):
            self.assertIn(expected, description)
