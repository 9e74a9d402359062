"""What one side has lost, and takes back: crashes, backups, and a side that lies."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.identity.people import ALICE, BOB
from tests.session.recovering import Both, Side

STEPS = (
    "say",
    "talk",
    "commit",
    "commit",
    "link",
    "cut",
    "carry",
    "carry",
    "part",
    "take",
    "take",
    "take",
)
BREAKS = ("crash", "back up", "put back")


class RecoveryCase(SynchronousTestCase):
    """Alice and Bob, who keep what is said."""

    def setUp(self) -> None:
        self.meet()

    def meet(self) -> None:
        """Let two who never talked be there."""
        self.both = Both(Side(ALICE, BOB), Side(BOB, ALICE))
        self.alice, self.bob = self.both.alice, self.both.bob

    def check(self) -> None:
        """Let both talk until all is quiet: they have the same, all of it, and nothing twice."""
        self.both.finish()
        ours, theirs = self.alice.rows.history(), self.bob.rows.history()
        self.assertEqual(ours, theirs)
        found = [text for _, text in ours]
        self.assertLessEqual(self.both.said, set(found))
        again = sorted(text for text in found if text not in self.both.twice)
        self.assertEqual(again, sorted(set(again)))
        self.assertEqual((self.alice.talk.undelivered, self.bob.talk.undelivered), (0, 0))


class AnyHistoryTests(RecoveryCase):
    """Whatever happens."""

    def step(self, side: Side, what: str, number: int) -> None:
        """Let something happen."""
        both = self.both
        match what:
            case "say":
                side.say(f"{number}")
            case "commit":
                both.commit(side)
            case "link":
                both.link()
            case "cut":
                both.cut()
            case "carry":
                both.carry(side)
            case "part":
                both.carry(side, 200)
            case "take":
                side.take()
            case "talk":
                both.talk()
            case "crash":
                both.crash(side)
            case "back up":
                both.back_up(side)
            case "put back":
                both.put_back(side)

    @settings(max_examples=120)
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS + BREAKS)), max_size=60))
    def test_any(self, history: list[tuple[bool, str]]) -> None:
        """Both sides have the same in the end, in the same order, complete, nothing twice."""
        self.meet()
        for number, (is_alice, what) in enumerate(history):
            self.step(self.alice if is_alice else self.bob, what, number)
        self.check()
