"""The driver of a machine: one timer, and peace when the machine is quiet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.driver import GRANULARITY, Driver
from p2pchat.traversal.routes import PORTION, Datagram

ADDRESS = ("192.0.2.1", 1)


@attrs.define(eq=False)
class Script:
    """
    A machine that does what the test says, and notes when it was called.

    :ivar due: what `get_timer` says.
    :ivar on_timer: what happens when the timer comes, beside that `due` is forgotten.
    """

    due: float | None = None
    on_timer: Callable[[float], None] | None = None
    calls: list[float] = attrs.Factory(list)
    received: list[tuple[bytes, tuple[str, int], float]] = attrs.Factory(list)
    events: deque[object] = attrs.Factory(deque)
    outgoing: list[Datagram] = attrs.Factory(list)

    def receive_datagram(self, data: bytes, addr: tuple[str, int], now: float) -> None:
        """See `p2pchat.interfaces.IMachine`."""
        self.received.append((data, addr, now))

    def handle_timer(self, now: float) -> None:
        """See `p2pchat.interfaces.IMachine`."""
        self.calls.append(now)
        if self.on_timer is None:
            self.due = None
        else:
            self.on_timer(now)

    def get_timer(self) -> float | None:
        """See `p2pchat.interfaces.IMachine`."""
        return self.due

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """See `p2pchat.interfaces.IMachine`."""
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def next_event(self) -> object | None:
        """See `p2pchat.interfaces.IMachine`."""
        return self.events.popleft() if self.events else None


class DriverTests(SynchronousTestCase):
    """A scripted machine on a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.machine = Script()
        self.sent: list[Datagram] = []
        self.told: list[object] = []
        self.react: Callable[[object], object] = self.told.append
        self.driver = Driver(self.machine, self.clock, self.sent.extend, self.take_event)

    def take_event(self, event: object) -> None:
        """React as the test wants just now."""
        self.react(event)

    def test_datagram(self) -> None:
        """A datagram reaches the machine with the time; what it answers goes out."""
        self.machine.outgoing = [Datagram(b"answer", ADDRESS)]
        self.machine.events.extend(["one", "two"])
        with self.driver as now:
            self.machine.receive_datagram(b"question", ADDRESS, now)
        self.assertEqual(self.machine.received, [(b"question", ADDRESS, 100.0)])
        self.assertEqual(self.sent, [Datagram(b"answer", ADDRESS)])
        self.assertEqual(self.told, ["one", "two"])

    def test_one_timer(self) -> None:
        """However often it steps, one call waits, at the machine's last wish."""
        for due in (105.0, 101.0, 103.0):
            self.machine.due = due
            self.driver.step()
            (call,) = self.clock.getDelayedCalls()
            self.assertAlmostEqual(call.getTime(), due)
        self.machine.due = None
        self.driver.step()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_due(self) -> None:
        """The machine is called when it wanted to be, not before, and asked again."""
        self.machine.due = 100.25
        self.machine.on_timer = lambda now: setattr(self.machine, "due", now + 0.75)
        self.driver.step()
        self.clock.pump([0.125] * 12)
        self.assertEqual(len(self.machine.calls), 2)
        for call, wish in zip(self.machine.calls, (100.25, 101.0), strict=True):
            self.assertAlmostEqual(call, wish)

    def test_never_early(self) -> None:
        """A clock whose sums fall a hair short doesn't call the machine before its time."""
        self.machine.due = 0.1 + 0.2 + 100
        self.driver.step()
        self.clock.advance(0.3 - 1e-12)
        self.clock.advance(1e-9)
        (called,) = self.machine.calls
        self.assertGreaterEqual(called, 0.1 + 0.2 + 100)

    def test_no_spinning(self) -> None:
        """A machine that always wants to be called at once is, and others get their turn."""
        self.machine.on_timer = lambda now: setattr(self.machine, "due", 0.0)
        self.machine.due = 0.0
        self.driver.step()
        self.assertEqual(self.machine.calls, [])
        for _ in range(50):
            self.clock.advance(GRANULARITY / 10)
        self.assertLessEqual(len(self.machine.calls), 6)
        self.assertGreaterEqual(len(self.machine.calls), 4)

    def test_reentrancy(self) -> None:
        """An event that leads back here is served in the same step, in order, without recursion."""
        depth, deepest = [0], [0]

        def react(event: object) -> None:
            depth[0] += 1
            deepest[0] = max(deepest[0], depth[0])
            self.told.append(event)
            if isinstance(event, int) and event < 500:
                self.machine.events.append(event + 1)
                self.machine.outgoing.append(Datagram(bytes(1), ADDRESS))
                with self.driver as now:
                    self.machine.receive_datagram(b"more", ADDRESS, now)
            depth[0] -= 1

        self.react = react
        self.machine.events.append(0)
        self.driver.step()
        self.assertEqual(self.told, list(range(501)))
        self.assertEqual((len(self.sent), deepest[0]), (500, 1))

    def test_refused(self) -> None:
        """What the machine refuses raises, and what it did before is taken all the same."""

        def refuse() -> None:
            with self.driver:
                self.machine.events.append("before")
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, refuse)
        self.assertEqual(self.told, ["before"])

    def test_events_first(self) -> None:
        """Events are handed on before the datagrams of their step: they may open a socket."""
        order: list[object] = []
        self.driver = Driver(self.machine, self.clock, order.extend, order.append)
        self.machine.events.append("open")
        self.machine.outgoing = [Datagram(b"x", ADDRESS)]
        self.driver.step()
        self.assertEqual(order, ["open", Datagram(b"x", ADDRESS)])

    def test_replies(self) -> None:
        """What an event leads to goes out together with what the input itself brought about."""
        sent: list[list[Datagram]] = []
        acknowledgement, reply = Datagram(b"ack", ADDRESS), Datagram(b"reply", ADDRESS)

        def react(_event: object) -> None:
            with self.driver:
                self.machine.outgoing.append(reply)

        self.driver = Driver(self.machine, self.clock, lambda one: sent.append(list(one)), react)
        with self.driver:
            self.machine.outgoing.append(acknowledgement)
            self.machine.events.append("question")
        self.assertEqual(sent, [[acknowledgement, reply]])

    def test_portions(self) -> None:
        """A machine that gives PORTION datagrams is asked for more, once these are on their way."""
        sent: list[int] = []
        waiting = [Datagram(b"x", ADDRESS)] * (2 * PORTION + 1)

        def next_portion(datagrams: Sequence[Datagram]) -> None:
            sent.append(len(datagrams))
            self.machine.outgoing = waiting[sum(sent) :][:PORTION]

        self.driver = Driver(self.machine, self.clock, next_portion, self.take_event)
        self.machine.outgoing = waiting[:PORTION]
        self.driver.step()
        self.assertEqual(sent, [PORTION, PORTION, 1])

    def test_stop(self) -> None:
        """A stopped driver has no timer and arms none."""
        self.machine.due = 101.0
        self.driver.step()
        self.driver.stop()
        self.driver.step()
        self.driver.stop()
        self.clock.advance(10)
        self.assertEqual((self.machine.calls, self.clock.getDelayedCalls()), ([], []))

    def test_stop_inside(self) -> None:
        """Stopped by what an event leads to, it tells no more events and sends nothing."""

        def react(event: object) -> None:
            self.told.append(event)
            self.driver.stop()

        self.react = react
        self.machine.events.extend(["first", "second"])
        self.machine.outgoing = [Datagram(b"x", ADDRESS)]
        self.machine.due = 101.0
        self.driver.step()
        self.assertEqual((self.told, self.sent, self.clock.getDelayedCalls()), (["first"], [], []))

    def test_failure(self) -> None:
        """A listener that fails spoils one step, and not the next."""

        def fail(_event: object) -> None:
            raise ZeroDivisionError

        self.react = fail
        self.machine.events.append("bad")
        self.assertRaises(ZeroDivisionError, self.driver.step)
        self.react = self.told.append
        self.machine.events.append("good")
        self.driver.step()
        self.assertEqual(self.told, ["good"])
