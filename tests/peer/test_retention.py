"""What is too old is deleted, by clocks that agree."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import StorageFailed
from p2pchat.peer.retention import DAY, Retention
from tests.ui.fake_history import FakeHistory

NOW = 1_796_040_000.0


class RetentionTests(SynchronousTestCase):
    """A history, of which a week is kept."""

    def setUp(self) -> None:
        self.history = FakeHistory()

    def enforce(self, *clocks: float, days: float | None = 7.0) -> list[tuple[str, ...]]:
        """Let the time come by these clocks; return what is deleted."""
        reads = tuple([lambda now=clock: now for clock in clocks])
        Retention(self.history, days, reads).enforce()
        return self.history.asked

    def test_days(self) -> None:
        """What is older than the days goes."""
        self.assertEqual(self.enforce(NOW, NOW), [("delete_older", str(NOW - 7 * DAY))])

    def test_for_ever(self) -> None:
        """Nothing goes where nothing is to."""
        self.assertEqual(self.enforce(NOW, NOW, days=None), [])

    def test_clocks(self) -> None:
        """A clock that is ahead, ours or the registry's, deletes nothing that is young."""
        expected = [("delete_older", str(NOW - 7 * DAY))]
        self.assertEqual(self.enforce(NOW + 9e8, NOW), expected)
        self.assertEqual(self.enforce(NOW, NOW + 9e8), expected * 2)

    def test_full_disk(self) -> None:
        """What can't be deleted now is tried again an hour later."""
        self.history.trouble = StorageFailed("the disk is full")
        self.assertEqual(len(self.enforce(NOW, NOW)), 1)
