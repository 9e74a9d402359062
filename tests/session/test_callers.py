"""Who may ring, and how often."""

from __future__ import annotations

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.callers import (
    CALLER_BURST,
    CALLER_INTERVAL,
    LONGEST_PAUSE,
    MAX_CALLERS,
    MAX_STRANGERS,
    RING_PAUSE,
    STRANGERS_BURST,
    Callers,
    Ring,
)

BOB, MALLORY = "bob", "mallory"


class CallersTests(SynchronousTestCase):
    """Strangers cost little, and stand in nobody's way."""

    def setUp(self) -> None:
        self.callers = Callers()

    def rings(self, peer_id: str, times: list[float], is_contact: bool = False) -> list[Ring]:
        """Return what became of calls at these times."""
        return [self.callers.called(peer_id, is_contact, now) for now in times]

    def test_again_and_again(self) -> None:
        """Twelve calls a second ring once, wait quietly a few times, and then are ignored."""
        found = self.rings(MALLORY, [number / 12 for number in range(240)])
        self.assertEqual(found[0], Ring.LOUD)
        self.assertEqual(found.count(Ring.LOUD), 1)
        taken = len(found) - found.count(Ring.IGNORED)
        self.assertLessEqual(taken, CALLER_BURST + 20 / CALLER_INTERVAL + 1)

    def test_waiting(self) -> None:
        """Further offers of a call that waits are taken a few times, and change no ring."""
        self.rings(MALLORY, [0.0])
        taken = [self.callers.repeated(MALLORY, 0.1) for _ in range(20)]
        self.assertEqual(taken.count(Ring.NONE), CALLER_BURST - 1)

    def test_strangers_wait(self) -> None:
        """MAX_STRANGERS may wait, and then one more for each that doesn't any longer."""
        waiting = [f"key {number}" for number in range(MAX_STRANGERS)]
        for peer_id in waiting:
            self.assertIsNot(self.callers.called(peer_id, False, 0.0), Ring.BUSY)
            self.callers.waits(peer_id, partial(waiting.__contains__, peer_id))
        self.assertEqual(self.rings(MALLORY, [1.0]), [Ring.BUSY])
        self.assertEqual(self.rings(BOB, [1.0], is_contact=True), [Ring.LOUD])
        waiting.pop()
        self.assertNotIn(Ring.BUSY, self.rings(MALLORY, [2.0]))

    def test_pauses_grow(self) -> None:
        """A stranger who calls every minute rings ever more seldom."""
        times = [60.0 * minute for minute in range(24 * 60)]
        self.assertLess(self.rings(MALLORY, times).count(Ring.LOUD), 6 + 24 * 3600 / LONGEST_PAUSE)

    def test_contact(self) -> None:
        """A contact rings once a minute, however long it goes on."""
        times = [30.0 * number for number in range(60)]
        expected = 30 * 60 / RING_PAUSE
        self.assertEqual(self.rings(BOB, times, is_contact=True).count(Ring.LOUD), expected)

    def test_accepted(self) -> None:
        """Who was accepted rings again at once."""
        self.rings(BOB, [0.0])
        self.callers.accepted(BOB)
        self.assertEqual(self.rings(BOB, [1.0]), [Ring.LOUD])

    def test_flood_of_keys(self) -> None:
        """A thousand strangers ring a few times; a contact rings in the midst of them."""
        found = [self.callers.called(f"key {n}", False, n / 100) for n in range(1000)]
        self.assertLessEqual(found.count(Ring.LOUD), STRANGERS_BURST + 3)
        self.assertEqual(self.rings(BOB, [10.0], is_contact=True), [Ring.LOUD])

    def test_hours(self) -> None:
        """A fresh key every second, for hours, rings less and less."""
        hour = [self.callers.called(f"key {n}", False, float(n)) for n in range(3600)]
        self.assertLess(hour.count(Ring.LOUD), 35)
        next_hour = [self.callers.called(f"more {n}", False, 3600.0 + n) for n in range(3600)]
        self.assertLess(next_hour.count(Ring.LOUD), 14)

    def test_replies(self) -> None:
        """Of replies to strangers there are few, at first and every second after."""
        replies = [self.callers.may_reply(number / 100) for number in range(1000)]
        self.assertLessEqual(replies.count(True), STRANGERS_BURST + 3)

    def test_memory(self) -> None:
        """Who called longest ago is forgotten."""
        self.rings(MALLORY, [0.0])
        for number in range(MAX_CALLERS):
            self.callers.called(f"key {number}", True, 1.0)
        self.assertEqual(self.callers.called(MALLORY, True, 2.0), Ring.LOUD)
