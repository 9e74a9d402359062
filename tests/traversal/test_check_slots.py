"""Which attempts may check, and which wait."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.check_slots import (
    AT_ONCE,
    BEGINNINGS,
    KEPT,
    LONGEST_WAIT,
    MAX_CHECKING,
    MAX_WAITING,
    CheckSlots,
)

NOW = 100.0
STRANGERS = MAX_CHECKING - KEPT


class AdmissionTests(SynchronousTestCase):
    """Slots of known peers and of strangers."""

    def setUp(self) -> None:
        self.slots = CheckSlots()

    def ask(self, ufrag: str, has_priority: bool = False, is_first: bool = True) -> bool:
        """Ask for a turn."""
        return self.slots.ask(ufrag, has_priority, is_first, NOW)

    def fill(self) -> None:
        """Let as many strangers check as may."""
        for number in range(STRANGERS):
            self.assertTrue(self.ask(f"stranger {number}"))

    def test_strangers(self) -> None:
        """Strangers have all turns but those that are kept, and a turn has its owner once."""
        self.fill()
        self.assertTrue(self.ask("stranger 0"))
        self.assertFalse(self.ask("late"))
        self.assertIsNone(self.slots.next())

    def test_kept(self) -> None:
        """Known peers have the rest, whatever strangers do."""
        self.fill()
        for number in range(KEPT):
            self.assertTrue(self.ask(f"friend {number}", has_priority=True))
        self.assertFalse(self.ask("one more", has_priority=True))

    def test_friends_alone(self) -> None:
        """Where nobody else is there, known peers have all."""
        for number in range(MAX_CHECKING):
            self.assertTrue(self.ask(f"friend {number}", has_priority=True))
        self.assertFalse(self.ask("stranger"))

    def test_order(self) -> None:
        """Known peers come first, and of a kind whoever waits the longest."""
        self.fill()
        for number in range(KEPT):
            self.ask(f"friend {number}", has_priority=True)
        for ufrag, has_priority, is_first in (
            *(("new", False, True), ("again", False, False), ("new too", False, True)),
            *(("friend again", True, False), ("friend new", True, True)),
        ):
            self.assertFalse(self.ask(ufrag, has_priority, is_first))
        turns = []
        for checking in self.slots.checking:
            self.slots.leave(checking)
            turns.append(self.slots.next())
        self.assertEqual(turns[:5], ["friend new", "friend again", "again", "new", "new too"])

    def test_given_up(self) -> None:
        """Who doesn't want a turn any more has none, waiting or not."""
        self.fill()
        self.ask("late")
        self.slots.leave("late")
        self.slots.leave("stranger 0")
        self.assertIsNone(self.slots.next())

    def test_too_late(self) -> None:
        """A first round waits for LONGEST_WAIT; one that verifies a path as long as it takes."""
        self.fill()
        self.ask("new")
        self.ask("again", is_first=False)
        self.assertEqual(self.slots.get_timer(), NOW + LONGEST_WAIT)
        self.assertEqual(self.slots.expire(NOW + LONGEST_WAIT - 0.01), [])
        self.assertEqual(self.slots.expire(NOW + LONGEST_WAIT), ["new"])
        self.assertIsNone(self.slots.get_timer())
        self.slots.leave("stranger 0")
        self.assertEqual(self.slots.next(), "again")

    def test_room(self) -> None:
        """No more than MAX_WAITING strangers wait; a known peer has always room."""
        self.fill()
        for number in range(MAX_WAITING):
            self.assertTrue(self.slots.has_room(False, NOW))
            self.ask(f"waiting {number}")
        self.assertFalse(self.slots.has_room(False, NOW))
        self.assertTrue(self.slots.has_room(True, NOW))

    def test_rate(self) -> None:
        """Strangers' attempts begin AT_ONCE at once and BEGINNINGS a second, however they end."""
        begun = 0
        for step in range(1000):
            now = NOW + step / 100
            if self.slots.has_room(False, now):
                self.slots.begin(False, now)
                begun += 1
        most = AT_ONCE + 10 * BEGINNINGS
        self.assertTrue(most - 2 <= begun <= most, begun)

    @settings(max_examples=100)
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.booleans(), st.booleans())))
    def test_bounds(self, steps: list[tuple[int, int, bool, bool]]) -> None:
        """Whatever is asked for and given back, the bounds hold, and who fits doesn't wait."""
        self.slots = CheckSlots()
        for action, number, has_priority, is_first in steps:
            ufrag = f"{number} {has_priority}"
            if action:
                self.ask(ufrag, has_priority, is_first)
            else:
                self.slots.leave(ufrag)
                while self.slots.next() is not None:
                    pass
            self.assertLessEqual(len(self.slots.checking), MAX_CHECKING)
            self.assertLessEqual(self.slots.count(False), STRANGERS)
            self.assertIsNone(self.slots.next())
