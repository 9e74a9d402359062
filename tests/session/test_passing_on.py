"""Entries that the other side lacks, on their way from the store."""

from __future__ import annotations

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.passing_on import LookUp, PassingOn
from p2pchat.session.stored import EntryRange
from p2pchat.wire.entries import NOTHING

AUTHOR, LOG, OTHER = b"a" * 16, b"l" * 16, b"o" * 16
ROOM = 10_000


class PassingOnTests(SynchronousTestCase):
    """What is asked of the store, and what goes out."""

    def setUp(self) -> None:
        self.passing = PassingOn()

    def begin(self, first: int, last: int, before: bytes = NOTHING, log: bytes = LOG) -> None:
        """Pass a range on."""
        self.passing.begin(EntryRange(AUTHOR, log, first, last), before)

    def wanted(self, *expected: int) -> EntryRange:
        """Return what is asked of the store."""
        wanted = self.passing.next_wanted()
        assert wanted is not None
        self.assertEqual((wanted.first, wanted.last), expected)
        return wanted

    def frames(self) -> list[bytes]:
        """Return the entries that go out."""
        found = []
        while frame := self.passing.next_frame(ROOM):
            found.append(frame[5:])
        return found

    def test_in_portions(self) -> None:
        """The next ones are asked for when the last ones went out, and each once."""
        self.begin(3, 6)
        wanted = self.wanted(3, 6)
        self.assertIsNone(self.passing.next_wanted())
        self.assertEqual(self.passing.take(wanted, [b"3", b"4"]), LookUp.FOUND)
        self.assertIsNone(self.passing.next_wanted())
        self.assertTrue(self.passing.holds_back(LOG))
        self.assertEqual(self.frames(), [b"3", b"4"])
        self.passing.take(self.wanted(5, 6), [b"5", b"6"])
        self.assertEqual(self.frames(), [b"5", b"6"])
        self.assertIsNone(self.passing.next_wanted())
        self.assertFalse(self.passing.holds_back(LOG))

    def test_room(self) -> None:
        """A frame waits for its room."""
        self.begin(1, 1)
        self.passing.take(self.wanted(1, 1), [b"x" * 100])
        self.assertEqual(self.passing.next_frame(104), b"")
        self.assertEqual(len(self.passing.next_frame(105)), 105)

    def test_compared(self) -> None:
        """The entry before is compared, and isn't sent."""
        self.begin(3, 4, sha256(b"2").digest())
        self.assertEqual(self.passing.take(self.wanted(2, 4), [b"2", b"3", b"4"]), LookUp.FOUND)
        self.assertEqual(self.frames(), [b"3", b"4"])

    def test_forked(self) -> None:
        """Where the other side has another one, nothing is passed on."""
        self.begin(3, 4, sha256(b"another").digest())
        self.assertEqual(self.passing.take(self.wanted(2, 4), [b"2", b"3"]), LookUp.FORKED)
        self.assertEqual(self.frames(), [])
        self.assertIsNone(self.passing.next_wanted())

    def test_gone(self) -> None:
        """What the store doesn't have any more, or can't read now, isn't waited for."""
        for raws, result in (([], LookUp.GONE), (None, LookUp.FOUND)):
            self.begin(3, 4)
            self.assertEqual(self.passing.take(self.wanted(3, 4), raws), result)
            self.assertFalse(self.passing.holds_back(LOG))

    def test_dropped(self) -> None:
        """What a log was to give is dropped; another's goes on, and a late answer is nothing."""
        self.begin(1, 9)
        self.begin(7, 8, log=OTHER)
        late = self.wanted(1, 9)
        self.passing.drop(LOG)
        wanted = self.wanted(7, 8)
        self.passing.take(late, [b"1"])
        self.assertEqual(self.frames(), [])
        self.passing.take(wanted, [b"7", b"8"])
        self.assertEqual(self.frames(), [b"7", b"8"])
