"""Tests of :mod:`p2pchat.runtime`."""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address

import attrs
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.runtime import (
    KEEPALIVE,
    MAX_SEGMENT,
    UNACKNOWLEDGED,
    MonotonicClock,
    ask_after_silence,
    cancel,
    give_up_unacknowledged,
    interface_addresses,
    limit_segments,
    listen_udp,
    real_runtime,
    steady,
    steady_seconds,
)
from p2pchat.wire.addresses import ANY_IPV6
from tests.cases import each
from tests.simulation.internet import Internet


class MonotonicClockTests(SynchronousTestCase):
    """Timers of a reactor, beside a clock of the system's."""

    def setUp(self) -> None:
        self.reactor = Clock()
        self.clock = MonotonicClock(self.reactor)

    def test_interface(self) -> None:
        """It is a clock to whoever wants one."""
        self.assertTrue(verifyObject(IReactorTime, self.clock))

    def test_timers(self) -> None:
        """Calls are the reactor's."""
        called: list[int] = []
        self.clock.callLater(2.0, called.append, 1)
        self.assertEqual(self.clock.getDelayedCalls(), self.reactor.getDelayedCalls())
        self.reactor.advance(2.0)
        self.assertEqual(called, [1])

    def test_steady(self) -> None:
        """What the reactor takes for the time doesn't move it."""
        before = self.clock.seconds()
        self.reactor.advance(3600.0)
        self.assertLess(self.clock.seconds() - before, 60)
        self.assertGreaterEqual(self.clock.seconds(), before)


class WallReactor(Clock):
    """A reactor that goes by the wall clock, as Twisted's do, and doesn't run."""

    seconds = staticmethod(time.time)


class SteadyTests(SynchronousTestCase):
    """Reactors that count by the wall clock."""

    def test_reactor(self) -> None:
        """The reactor of a real program counts by the steady clock, and goes on from the time."""
        steady(reactor)
        self.assertIsNot(reactor.seconds, time.time)
        before, began = reactor.seconds(), steady_seconds()
        self.assertApproximates(before, time.time(), 60.0)  # nobody sets clocks in this test
        self.assertApproximates(reactor.seconds() - before, steady_seconds() - began, 1.0)

    def test_once(self) -> None:
        """Whoever asks again changes nothing."""
        made = WallReactor()
        MonotonicClock(made)
        seconds = made.seconds
        real_runtime(made)
        self.assertIs(made.seconds, seconds)

    def test_other_clocks(self) -> None:
        """A reactor with a clock of its own, as those of tests, keeps it."""
        clock = Clock()
        clock.advance(5.0)
        steady(clock)
        self.assertEqual(clock.seconds(), 5.0)

    def test_waiting_calls(self) -> None:
        """Calls that waited already are due when they were, and are reset by the steady clock."""
        made = WallReactor()
        call = made.callLater(100.0, list)
        due = call.getTime()
        steady(made)
        self.assertEqual(call.getTime(), due)
        call.reset(50.0)
        self.assertApproximates(call.getTime() - made.seconds(), 50.0, 1.0)

    def test_suspend(self) -> None:
        """The clock counts while the machine is suspended, where the system has such a clock."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            self.assertApproximates(steady_seconds(), now, 1.0)


class CancelTests(SynchronousTestCase):
    """Delayed calls that may be gone."""

    def test_cancel(self) -> None:
        """What is still to come is cancelled; what came, what was cancelled, and none, is left."""
        clock, called = Clock(), list[int]()
        coming, came = clock.callLater(2, called.append, 1), clock.callLater(1, called.append, 2)
        clock.advance(1)
        for call in (coming, coming, came, None):
            cancel(call)
        clock.advance(9)
        self.assertEqual(called, [2])


class SegmentTests(SynchronousTestCase):
    """TCP over paths that lose large segments."""

    @each("client", "server")
    def test_both_ways(self, limited: str) -> None:
        """Whichever end limits its segments, neither sends larger ones."""
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen()
            limit_segments(client if limited == "client" else server)
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            with accepted:
                for one in (client, accepted):
                    size = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
                    self.assertLessEqual(size, MAX_SEGMENT)

    def test_refused(self) -> None:
        """Where there is no socket, or one that knows no segments, nothing happens."""
        with socket.socket(type=socket.SOCK_DGRAM) as wrong:
            for one in (wrong, None):
                self.assertIsNone(limit_segments(one))  # type: ignore[func-returns-value]


class RuntimeTests(SynchronousTestCase):
    """The surroundings of a real program."""

    def test_random_name(self) -> None:
        """A name is 128 bits of what random bytes there are."""
        runtime = attrs.evolve(real_runtime(Clock()), random_bytes=lambda size: b"\xa7" * size)
        self.assertEqual(runtime.random_name(), "a7" * 16)

    def test_addresses(self) -> None:
        """Addresses are literals without a zone, those of IPv4 first, loopback among them."""
        found = [one.host for one in interface_addresses()]
        versions = [ip_address(one).version for one in found]
        self.assertEqual(versions, sorted(versions))
        self.assertIn("127.0.0.1", found)

    def test_taken(self) -> None:
        """In the simulated internet, too, a UDP port of IPv6 that is taken is refused."""
        reactor = Internet(1).host().reactor
        listen_udp(reactor, 5000, DatagramProtocol(), ANY_IPV6)
        self.assertRaises(
            CannotListenError, listen_udp, reactor, 5000, DatagramProtocol(), ANY_IPV6
        )


class SilenceTests(SynchronousTestCase):
    """TCP connections whose other end may be gone."""

    def test_asked_after(self) -> None:
        """The system asks after silence, soon enough for a call that comes then."""
        with socket.socket() as opened:
            ask_after_silence(opened)
            self.assertTrue(opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            for name, value in KEEPALIVE.items():
                option = getattr(socket, name)
                self.assertEqual(opened.getsockopt(socket.IPPROTO_TCP, option), value)
        self.assertLessEqual(KEEPALIVE["TCP_KEEPIDLE"], 10)

    def test_unacknowledged(self) -> None:
        """What a client acknowledges nothing of ends, on each connection of a port."""
        with socket.create_server(("127.0.0.1", 0)) as port:
            give_up_unacknowledged(port)
            with socket.create_connection(port.getsockname()):
                accepted, _ = port.accept()
                with accepted:
                    limit = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                    self.assertEqual(limit, 1000 * UNACKNOWLEDGED)
