"""Tests for `tests.simulation.clock`."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.simulation.clock import EventClock


class EventClockTests(SynchronousTestCase):
    """Virtual time goes from event to event."""

    def setUp(self) -> None:
        self.clock = EventClock(1000.0)
        self.seen: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        self.seen.append((name, self.clock.seconds()))

    def test_interface(self) -> None:
        """It provides `IReactorTime`, as the `Clock` it extends."""
        self.assertTrue(verifyObject(IReactorTime, self.clock))

    def test_each_at_its_time(self) -> None:
        """Within one `advance` every call sees its own time, and the clock ends at the sum."""
        self.clock.callLater(2, self.note, "later")
        self.clock.callLater(1, self.note, "sooner")
        self.clock.post(1001.5, self.note, "posted")
        self.clock.advance(10)
        self.assertEqual([("sooner", 1001.0), ("posted", 1001.5), ("later", 1002.0)], self.seen)
        self.assertEqual(1010.0, self.clock.seconds())

    def test_same_time_keeps_order(self) -> None:
        """Calls of the same time run in the order they were made."""
        for name in "abc":
            self.clock.callLater(1, self.note, name)
        self.clock.advance(1)
        self.assertEqual(["a", "b", "c"], [name for name, _ in self.seen])

    def test_calls_made_on_the_way(self) -> None:
        """A call that another makes runs in the same `advance`, if it is due."""
        self.clock.callLater(1, self.clock.callLater, 1, self.note, "second")
        self.clock.advance(2)
        self.assertEqual([("second", 1002.0)], self.seen)

    def test_cancel(self) -> None:
        """A cancelled call never runs, and is not listed."""
        call = self.clock.callLater(1, self.note, "never")
        call.cancel()
        self.clock.advance(2)
        self.assertEqual([], self.seen)
        self.assertEqual([], list(self.clock.getDelayedCalls()))

    def test_reset_and_delay(self) -> None:
        """A call can be moved to earlier and to later, any number of times, and runs once."""
        call = self.clock.callLater(5, self.note, "moved")
        call.reset(2)
        call.delay(4)
        call.reset(3)
        self.assertEqual([call], list(self.clock.getDelayedCalls()))
        self.clock.advance(20)
        self.assertEqual([("moved", 1003.0)], self.seen)

    def test_cancelled_calls_are_cleared(self) -> None:
        """Many cancelled calls don't pile up."""
        for _ in range(10_000):
            self.clock.callLater(60, self.note, "never").cancel()
        self.assertLess(self.clock.pending(), 2500)
