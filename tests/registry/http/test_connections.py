"""The table of connections."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.http.connections import (
    HEAD_DEADLINE,
    STALL,
    UNLIMITED,
    ConnectionAdmission,
    ConnectionPhase,
    ConnectionTable,
    Slot,
)


@attrs.define(eq=False)
class Line:
    """A connection that only remembers."""

    dropped: bool = False
    drained: bool = False

    def drop(self) -> None:
        """Remember it."""
        self.dropped = True

    def drain(self) -> None:
        """Remember it."""
        self.drained = True


class TableCase(SynchronousTestCase):
    """A small table."""

    def setUp(self) -> None:
        self.table = ConnectionTable(Limits(3, 2))
        self.lines: list[Line] = []

    def add(self, source: str = "a") -> Slot:
        """Add a connection."""
        self.lines.append(Line())
        return self.table.add(self.lines[-1], source, 0.0)


class RoomTests(TableCase):
    """Who is let in."""

    def test_source(self) -> None:
        """A source has its share, and gets it back."""
        places = [self.add(), self.add()]
        self.assertIs(self.table.admit("a"), ConnectionAdmission.TOO_MANY)
        self.assertIs(self.table.admit("b"), ConnectionAdmission.ADMITTED)
        for _ in range(2):
            self.table.remove(places[0])  # the second time is nothing
        self.assertIs(self.table.admit("a"), ConnectionAdmission.ADMITTED)
        self.add()
        self.assertIs(self.table.admit("a"), ConnectionAdmission.TOO_MANY)

    def test_anybody(self) -> None:
        """What may come from anybody has no share, but its slot."""
        for _ in range(3):
            self.table.asked(self.add(UNLIMITED))
        self.assertIs(self.table.admit(UNLIMITED), ConnectionAdmission.FULL)

    def test_full(self) -> None:
        """A full table drops one that has asked nothing; if there is none, it is full."""
        places = [self.add(str(number)) for number in range(3)]
        self.table.asked(places[0])
        self.assertIs(self.table.admit("x"), ConnectionAdmission.ADMITTED)
        self.assertEqual([one.dropped for one in self.lines], [False, True, False])
        self.table.asked(self.add("x"))
        self.table.asked(places[2])
        self.assertIs(self.table.admit("y"), ConnectionAdmission.FULL)
        self.assertEqual(len(self.table), 3)


class DeadlineTests(TableCase):
    """For how long."""

    def dropped(self, now: float) -> bool:
        """Sweep; return whether the first one was dropped."""
        self.table.sweep(now)
        return self.lines[0].dropped

    def test_phases(self) -> None:
        """Each phase has its time from when it began."""
        for phase in (ConnectionPhase.HEAD, ConnectionPhase.BODY, ConnectionPhase.IDLE):
            self.lines = []
            self.add(phase.name).enter(phase, 100.0)
            self.assertFalse(self.dropped(99.9 + phase.value))
            self.assertTrue(self.dropped(100.0 + phase.value))
            self.assertEqual(len(self.table), 0)

    def test_new(self) -> None:
        """One that was just opened has the time of a head."""
        self.add()
        self.assertFalse(self.dropped(HEAD_DEADLINE - 0.1))
        self.assertTrue(self.dropped(HEAD_DEADLINE))

    def test_answering(self) -> None:
        """What is being answered has no deadline, unless it takes nothing."""
        slot = self.add()
        slot.enter(ConnectionPhase.ANSWERING, 0.0)
        self.assertFalse(self.dropped(1e9))
        slot.stalled = 1e9
        self.assertFalse(self.dropped(1e9 + STALL - 1))
        self.assertTrue(self.dropped(1e9 + STALL))


class DrainTests(TableCase):
    """When the registry stops."""

    def test_drain(self) -> None:
        """Every connection is told once, and each still has its deadline."""
        self.add()
        gone = self.add()
        self.table.remove(gone)
        self.assertFalse(self.table.is_draining)
        self.table.drain()
        self.assertTrue(self.table.is_draining)
        self.assertEqual([one.drained for one in self.lines], [True, False])
        self.table.sweep(HEAD_DEADLINE)
        self.assertTrue(self.lines[0].dropped)
