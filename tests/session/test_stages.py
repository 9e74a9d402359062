"""The stages of a session: where each can lead."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session import stages
from p2pchat.session.stages import CONVERSING, TRANSITIONS, Stage


class TransitionTests(SynchronousTestCase):
    """The table is whole."""

    def reachable(self, start: Stage) -> set[Stage]:
        """Return the stages that can follow, sooner or later."""
        found: set[Stage] = set()
        waiting = [start]
        while waiting:
            for stage in TRANSITIONS[waiting.pop()] - found:
                found.add(stage)
                waiting.append(stage)
        return found

    def test_all(self) -> None:
        """Every stage has a row, can come about, and can end."""
        self.assertEqual(set(TRANSITIONS), set(Stage))
        self.assertEqual(self.reachable(Stage.ENDED), set(Stage))
        for stage in Stage:
            self.assertIn(Stage.ENDED, self.reachable(stage), stage)

    def test_conversations(self) -> None:
        """A conversation begins on a proved link only, and its end is told before another call."""
        before = {one for one in Stage if TRANSITIONS[one] & CONVERSING} - CONVERSING
        self.assertEqual(before, {Stage.CALLING, Stage.ANSWERING})
        after = set().union(*(TRANSITIONS[one] for one in CONVERSING)) - CONVERSING
        self.assertEqual(after, {Stage.ENDED, Stage.CLOSING})

    def test_described(self) -> None:
        """The module's table has a column and a sentence for each."""
        text = stages.__doc__ or ""
        for stage in Stage:
            column, _, _ = stage.name.partition("RETRY")  # which stands below
            self.assertGreaterEqual(text.count(column), 2, stage)
