"""Prekeys from week to week: how long one opens what was sealed to it."""

from __future__ import annotations

from hashlib import sha256
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.identity.prekey_ring import (
    AHEAD,
    BATCH,
    DAY,
    KEPT,
    LIFETIME,
    MAX_ONE_TIME,
    ONE_TIMES,
    PREKEYS,
    ROTATION,
    Change,
    PrekeyRing,
)
from p2pchat.identity.prekeys import key_id

NOW = 1_800_000_000.0


class RingCase(SynchronousTestCase):
    """A ring, and what is kept of it."""

    def setUp(self) -> None:
        numbers = count()
        self.random_bytes = lambda size: (sha256(str(next(numbers)).encode()).digest() * 3)[:size]
        self.ring = PrekeyRing(self.random_bytes)
        self.kept: dict[str, dict[str, bytes]] = {PREKEYS: {}, ONE_TIMES: {}}

    def keep(self, changes: list[Change]) -> list[Change]:
        """Do what a store does."""
        for kind, name, value in map(attributes, changes):
            if value is None:
                del self.kept[kind][name]
            else:
                self.kept[kind][name] = value
        return changes

    def turn(self, days: float, surely: float | None = None) -> bytes:
        """Let the ring do what is due so many days later; returns the id of what is shown."""
        later = NOW + days * DAY
        self.keep(self.ring.turn(later, later if surely is None else NOW + surely * DAY))
        return key_id(self.ring.public)

    def again(self) -> PrekeyRing:
        """Return the ring of the next run."""
        made = PrekeyRing(self.random_bytes)
        made.restore(self.kept[PREKEYS], self.kept[ONE_TIMES])
        return made


def attributes(change: Change) -> tuple[str, str, bytes | None]:
    """Return what a change has."""
    return change.kind, change.name, change.value


class RotationTests(RingCase):
    """A prekey is shown for a week, and kept for as long as envelopes wait."""

    def test_first(self) -> None:
        """Nothing is shown before the first turn."""
        self.assertEqual((self.ring.public, self.ring.ends_at), (b"", 0.0))
        self.assertEqual(self.ring.new_one_time(), ([], []))
        self.turn(0)
        self.assertEqual(self.ring.ends_at, NOW + LIFETIME)

    def test_week(self) -> None:
        """It stays for a week, then another is shown."""
        first = self.turn(0)
        self.assertEqual(self.turn(6.9), first)
        self.assertNotEqual(self.turn(ROTATION / DAY), first)
        self.assertIsNotNone(self.ring.prekey(first))

    def test_deleted(self) -> None:
        """Fourteen days later it is gone, with its one-time keys, from the store too."""
        first = self.turn(0)
        public, changes = self.ring.new_one_time()
        self.keep(changes)
        self.turn(7)
        self.turn(20.9)
        self.assertIsNotNone(self.ring.one_time(key_id(public[0])))
        self.turn(7 + KEPT / DAY)
        self.assertIsNone(self.ring.prekey(first))
        self.assertIsNone(self.ring.one_time(key_id(public[0])))
        self.assertNotIn(first.hex(), self.kept[PREKEYS])
        self.assertEqual(self.kept[ONE_TIMES], {})

    def test_month(self) -> None:
        """Who comes back after a month opens what waits, and shows another."""
        first = self.turn(0)
        self.assertNotEqual(self.turn(30), first)
        self.assertIsNotNone(self.ring.prekey(first))

    def test_restart(self) -> None:
        """The next run has the same keys, whatever order they were kept in."""
        self.turn(0)
        self.turn(7)
        public, changes = self.ring.new_one_time()
        self.keep(changes)
        again = self.again()
        self.assertEqual(again.public, self.ring.public)
        self.assertEqual(again.ends_at, self.ring.ends_at)
        self.assertEqual(again.turn(NOW + 8 * DAY, NOW + 8 * DAY), [])
        seeds = [(one.one_time(key_id(public[0]))) for one in (again, self.ring)]
        self.assertEqual(seeds[0], seeds[1])

    def test_damaged(self) -> None:
        """What can't be understood is refused, with a sentence."""
        for prekeys, one_time in (({"x": b"short"}, {}), ({"x": bytes(20)}, {}), ({}, {"x": b""})):
            with self.assertRaises(ConfigurationError):
                PrekeyRing(self.random_bytes).restore(prekeys, one_time)


class WrongClockTests(RingCase):
    """A clock that is wrong costs no envelope."""

    def test_ahead(self) -> None:
        """What was made by a clock that was ahead is replaced, and still opens what waits."""
        first = self.turn(400)
        self.assertNotEqual(self.turn(0), first)
        self.assertIsNotNone(self.ring.prekey(first))
        self.assertLessEqual(self.ring.ends_at, NOW + LIFETIME)

    def test_leap(self) -> None:
        """One clock that leaps ahead deletes nothing while another doesn't agree."""
        first = self.turn(0)
        second = self.turn(400, surely=0.0)
        self.turn(401, surely=1.0)
        self.assertIsNotNone(self.ring.prekey(first))
        self.assertIsNotNone(self.ring.prekey(second))

    def test_back(self) -> None:
        """What was replaced by a clock that was ahead is kept for 14 days from now on."""
        first = self.turn(0)
        self.turn(400)
        self.turn(1)
        self.turn(14)
        self.assertIsNotNone(self.ring.prekey(first))
        self.turn(1 + KEPT / DAY)
        self.assertIsNone(self.ring.prekey(first))

    def test_little(self) -> None:
        """A clock that is set back a little changes nothing."""
        first = self.turn(0)
        self.assertEqual(self.turn(-AHEAD / DAY / 2), first)


class OneTimeTests(RingCase):
    """One-time keys are used once, and bounded."""

    def test_used(self) -> None:
        """One that was used is gone, from the store too; a second time there is nothing to do."""
        self.turn(0)
        public, changes = self.ring.new_one_time()
        self.keep(changes)
        self.assertEqual(len(set(public)), BATCH)
        name = key_id(public[7])
        self.keep(self.ring.used(name))
        self.assertIsNone(self.ring.one_time(name))
        self.assertEqual(len(self.kept[ONE_TIMES]), BATCH - 1)
        self.assertEqual(self.ring.used(name), [])

    def test_bounded(self) -> None:
        """Whoever empties batch after batch brings about so many that wait, and no more."""
        self.turn(0)
        made = [len(self.ring.new_one_time()[0]) for _ in range(MAX_ONE_TIME // BATCH + 5)]
        self.assertEqual(sum(made), MAX_ONE_TIME)
        self.assertEqual(made[-5:], [0] * 5)
