"""How much of services is under way, and what chat has of that."""

from __future__ import annotations

from functools import partial
from random import Random
from statistics import median

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.bulk_allowance import (
    FIRST,
    LEAST,
    MEASURING,
    MOST,
    REMEASURE,
    TARGET,
    BulkAllowance,
)
from p2pchat.session.service_stream import ServiceStream, StreamState
from tests.session.pair import Pair
from tests.session.serving import Program
from tests.traversal.fake_wire import Link

DATAGRAM = 1200  # bytes
MODEM = 125_000.0  # bytes a second: 1 Mbit/s
MOST_BYTES = 1472  # of a datagram, as with Ethernet
LATENCY = 0.02  # seconds
DEEP = 3.0  # seconds of queue
SETTLING = 8.0  # seconds; longer datagrams are tried in them, once
PACE = 0.5  # seconds between lines


@attrs.define
class Sender:
    """Whose allowance is always used up, and acknowledged after a round trip."""

    allowance: BulkAllowance = attrs.Factory(BulkAllowance)
    now: float = 100.0

    def send(self, rtt: float, trips: int = 1) -> None:
        """Let all of it be acknowledged, some times."""
        for _ in range(trips):
            self.now += rtt
            in_flight = int(self.allowance.size)
            for _ in range(in_flight // DATAGRAM):
                self.allowance.acknowledged(DATAGRAM, in_flight, rtt, self.now)

    def send_at(self, rate: float, base: float, trips: int) -> float:
        """Let a path of a rate, in bytes a second, take it; returns the last seconds of queue."""
        queue = 0.0
        self.allowance.acknowledged(DATAGRAM, DATAGRAM, base, self.now)  # of what was said before
        for _ in range(trips):
            queue = max(0.0, self.allowance.size / rate - base)
            self.send(base + queue)
        return queue


class AllowanceTests(SynchronousTestCase):
    """The machine alone."""

    def test_begins(self) -> None:
        """It doubles with each round trip while there is no queue, up to its bound."""
        sender = Sender()
        sender.send(0.05, 4)
        self.assertGreater(sender.allowance.size, 8 * FIRST)
        sender.send(0.05, 20)
        self.assertEqual(sender.allowance.size, MOST)

    def test_near(self) -> None:
        """On a local network and in one host, where round trips vary by some ms, it grows too."""
        random, sender = Random(1), Sender()
        for _ in range(40):
            sender.send(random.uniform(0.0002, 0.006))
        self.assertEqual(sender.allowance.size, MOST)

    def test_queue(self) -> None:
        """The queue stays between 30 and 60 ms, however fast the path is."""
        for rate in (MODEM, 20 * MODEM, 400 * MODEM):
            queue = Sender().send_at(rate, 0.04, 400)
            self.assertTrue(0.02 < queue < 0.06, (rate, queue))

    def test_jitter(self) -> None:
        """A few slow round trips among others change little."""
        random, sender = Random(1), Sender()
        sender.send(0.02, 5)
        before = sender.allowance.size
        for _ in range(2000):
            rtt = 0.02 + random.random() ** 4 * 0.05
            sender.allowance.acknowledged(DATAGRAM, int(before), rtt, sender.now)
        self.assertGreaterEqual(sender.allowance.size, before)

    def test_least(self) -> None:
        """The longest queue leaves some datagrams."""
        sender = Sender()
        sender.send(0.02)
        sender.send(1.0, 8)
        self.assertEqual(sender.allowance.size, LEAST)

    def test_unused(self) -> None:
        """What nobody uses doesn't grow for ever."""
        allowance = BulkAllowance()
        for _ in range(1000):
            allowance.acknowledged(DATAGRAM, DATAGRAM, 0.02, 100.0)
        self.assertLess(allowance.size, 2 * FIRST)

    def test_slower_path(self) -> None:
        """A path that has become slower for good is measured anew, with little under way."""
        sender = Sender()
        sender.send(0.02, 10)
        sender.send(0.2, 20)
        self.assertEqual(sender.allowance.size, LEAST)
        sender.now += REMEASURE
        sender.send(0.2, MEASURING + 20)
        self.assertGreater(sender.allowance.size, 4 * LEAST)

    def test_shared(self) -> None:
        """Two links over one path both get a good part of it, whichever began first."""
        base, rate = 0.03, 8 * MODEM
        first, second = Sender(), Sender()
        first.send_at(rate, base, 100)
        second.now, came = first.now, [0.0, 0.0]
        while second.now < 200.0:
            sizes = first.allowance.size, second.allowance.size
            trip = max(base, sum(sizes) / rate)
            first.send(trip)
            second.send(trip)
            came = [before + size for before, size in zip(came, sizes, strict=True)]
            self.assertLess(trip, base + 8 * TARGET)
        self.assertGreater(min(came), max(came) / 4)

    def test_nothing(self) -> None:
        """Without an acknowledgement or a time, nothing is known."""
        allowance = BulkAllowance()
        allowance.acknowledged(0, 0, 0.1, 100.0)
        allowance.acknowledged(DATAGRAM, DATAGRAM, 0.0, 100.0)
        self.assertEqual(allowance.size, FIRST)


class ModemTests(SynchronousTestCase):
    """A stream of bulk and chat over a slow modem, whose queue holds seconds."""

    def pour(self) -> tuple[ServiceStream, Program]:
        """Let Alice begin to send on a stream to Bob, without end."""
        self.pair, ours, theirs = Pair(), Program(), Program({"bulk"})
        self.pair.join(Link(LATENCY, most=MOST_BYTES, rate=MODEM, queue=DEEP))
        self.pair.connect()
        self.pair.alice.serve, self.pair.bob.serve = ours.look, theirs.look
        stream = self.pair.alice.endpoint.open_stream(self.pair.alice.other, "bulk")
        self.pair.run_until(lambda: stream.state is StreamState.OPEN)
        stream.write(bytes(8_000_000))
        return stream, theirs

    def lines(self, count: int) -> list[float]:
        """Let lines be said now and then; returns the seconds after which each was there."""
        took = []
        for number in range(count):
            name = self.pair.say(self.pair.alice, f"line {number}")
            took.append(self.pair.run_until(partial(self.is_there, name)))
            self.pair.run(PACE)
        return took

    def is_there(self, name: str) -> bool:
        """Tell whether a line came to Bob."""
        return any(one.id == name for one in self.pair.bob.events(events.MessageReceived))

    def test_chat(self) -> None:
        """A line waits less than 100 ms for bulk, which has nine tenths of the modem."""
        stream, theirs = self.pour()
        self.pair.run(SETTLING)
        start, before = self.pair.wire.now, len(theirs.data(theirs.theirs()[0]))
        took = sorted(self.lines(20))
        came = len(theirs.data(theirs.theirs()[0])) - before
        self.assertLess(median(took), LATENCY + 0.1)
        self.assertLess(took[-1], LATENCY + 0.15)
        self.assertGreater(came / (self.pair.wire.now - start), 0.9 * MODEM)
        self.assertGreater(stream.pending, 0)
