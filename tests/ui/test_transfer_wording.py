"""Tests of transfers of files in words."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.settings import TransferInfo
from p2pchat.ui import results
from p2pchat.ui.transfer_wording import amount, duration
from p2pchat.ui.wording import Wording
from tests.cases import each
from tests.ui.fake_node import CAROL

OFFER = events.FilesOffered(
    *(CAROL, "carol", "ab" * 16, 3, "film.mkv", False, 1, 5_000_000, 5_000_000),
    *((("film.mkv", 5_000_000),), False),
)
CHANGE = events.TransferChanged(CAROL, "carol", "ab" * 16, 3, True, "film.mkv", "done")
PROGRESS = events.TransferProgress(
    CAROL, "carol", "ab" * 16, 3, True, "film.mkv", 0, 1000, 100.0, 5.0
)
INFO = TransferInfo("ab" * 16, 3, CAROL, "carol", "film.mkv", False, "offered", 1, 5_000_000)


class TransferWordingTests(SynchronousTestCase):
    """A person reads what is offered, what to say, and what becomes of it."""

    def setUp(self) -> None:
        self.wording = Wording("alice")

    def said(self, value: Any) -> str:
        """Return what a person reads."""
        return "\n".join(row for one in self.wording.say(value) for row in one.rows)

    def test_offered(self) -> None:
        """An offer says what it is, how large, and how to answer."""
        said = self.said(OFFER)
        self.assertEqual(said, "carol offers film.mkv (5.0 MB): /accept #3 or /reject #3.")
        folder = attrs.evolve(OFFER, title="trip", folder=True, count=12)
        self.assertIn("the folder trip (12 files, 5.0 MB)", self.said(folder))
        self.assertIn("film.mkv", self.said(folder))
        unknown = attrs.evolve(OFFER, size=None)
        self.assertIn("(at most 5.0 MB)", self.said(unknown))
        self.assertIn("Receiving film.mkv", self.said(attrs.evolve(OFFER, accepted=True)))

    def test_hostile(self) -> None:
        """Names of files do nothing to a terminal."""
        evil = "a\x1b[2J\u202egnp.exe"
        first = ((evil, 1),)
        for value in (
            attrs.evolve(OFFER, title=evil, folder=True, first=first),
            attrs.evolve(CHANGE, title=evil, path=evil, reason=evil, state="stopped"),
            attrs.evolve(CHANGE, title=evil, explanation=evil, state="stopped"),
            attrs.evolve(PROGRESS, title=evil, done=500),
            events.FileSkipped(CAROL, "carol", "ab", 3, False, evil, evil, evil),
            results.TransferList((attrs.evolve(INFO, title=evil, reason=evil, state="stopped"),)),
        ):
            said = self.said(value)
            self.assertIn("\\x1b", said)
            self.assertFalse({"\x1b", "\u202e"} & set(said))

    @each(
        *(("done", True, "Sent film.mkv to carol."), ("refused", True, "carol doesn't want")),
        *(("done", False, "Received film.mkv from carol: it is in /d/film.mkv."),),
        *(("active", False, "into /d/film.mkv."), ("waits", True, "Offering film.mkv to carol")),
        *(("cancelled", True, "was cancelled."), ("refused", False, "Declined film.mkv")),
    )
    def test_changes(self, state: str, ours: bool, expected: str) -> None:
        """Each end of a transfer is said, with where it is."""
        event = attrs.evolve(CHANGE, state=state, ours=ours, path="/d/film.mkv")
        self.assertIn(expected, self.said(event))

    def test_stopped(self) -> None:
        """A stop says why, and that it goes on."""
        lost = attrs.evolve(CHANGE, state="stopped", reason="link-lost")
        self.assertIn("stopped: the connection was lost; it goes on", self.said(lost))
        full = attrs.evolve(lost, reason="disk-full", explanation="make room where /d is")
        self.assertIn("make room where /d is.", self.said(full))

    def test_progress(self) -> None:
        """Progress is a row for each quarter, with rate and time left."""
        rows = [self.said(attrs.evolve(PROGRESS, done=done)) for done in range(0, 1001, 50)]
        shown = [one for one in rows if one]
        self.assertEqual(len(shown), 3)
        self.assertEqual(shown[0], "film.mkv to carol: 25 % of 1.0 kB, 100 bytes/s, 0:05 left.")
        self.assertEqual(self.said(attrs.evolve(PROGRESS, size=None)), "")

    def test_skipped(self) -> None:
        """A file that isn't sent is named."""
        one = events.FileSkipped(CAROL, "carol", "ab", 3, True, "trip", "a/b.txt", "changed")
        self.assertIn("a/b.txt isn't sent to carol: it changed", self.said(one))
        done = attrs.evolve(CHANGE, skipped=2)
        self.assertIn("without 2 files", self.said(done))

    def test_list(self) -> None:
        """The list has a number for each, and what to say."""
        self.assertIn("No files", self.said(results.TransferList(())))
        ours = attrs.evolve(INFO, number=4, ours=True, state="active", done=1_000_000, rate=5e5)
        listed = self.said(results.TransferList((INFO, attrs.evolve(ours, left=8.0))))
        self.assertIn("/accept #3 or /reject #3", listed)
        self.assertIn("20 % of 5.0 MB, 500 kB/s, 0:08 left", listed)
        stopped = attrs.evolve(ours, state="stopped", reason="link-lost")
        self.assertIn("stopped at 1.0 MB", self.said(results.TransferList((stopped,))))

    def test_amounts(self) -> None:
        """Sizes and times are written for people."""
        shown = [amount(one) for one in (0, 1, 999, 1000, 99_949, 1_234_567, 2**53)]
        expected = ["0 bytes", "1 byte", "999 bytes", "1.0 kB", "99.9 kB", "1.2 MB", "9,007 TB"]
        self.assertEqual(shown, expected)
        self.assertEqual([duration(one) for one in (0, 65, 3723)], ["0:00", "1:05", "1:02:03"])
