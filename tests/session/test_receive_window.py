"""What a stream may carry follows its reader."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.receive_window import QUICK, ReceiveWindow


class ReceiveWindowTests(SynchronousTestCase):
    """A window of 100 bytes."""

    def setUp(self) -> None:
        self.window = ReceiveWindow(100)

    def take(self, count: int, now: float, most: int = 100) -> int | None:
        """Let so many come and be taken."""
        self.window.receive(count)
        self.window.taken += count
        return self.window.next_credit(most, 0, 0.0, now)

    def test_more(self) -> None:
        """What goes beyond it breaks the rules."""
        self.window.receive(100)
        self.assertRaises(RemoteProtocolError, self.window.receive, 1)

    def test_moves(self) -> None:
        """It moves on when half of it was taken, and not before."""
        self.assertIsNone(self.take(49, 0.0))
        self.assertEqual(self.take(1, 0.0), 150)
        self.assertIsNone(self.take(10, 9.0))

    def test_not_taken(self) -> None:
        """What only came moves nothing."""
        self.window.receive(100)
        self.assertIsNone(self.window.next_credit(100, 0, 0.0, 0.0))

    def test_grows(self) -> None:
        """For a reader that takes half of it at once it doubles, up to the most."""
        self.take(50, 0.0, 300)
        self.assertEqual(self.take(50, QUICK, 300), 100 + 200)
        self.take(200, QUICK, 300)
        self.assertEqual(self.window.size, 300)

    def test_slow(self) -> None:
        """For a slow one it stays as it is."""
        self.take(50, 0.0, 300)
        self.take(50, 2 * QUICK, 300)
        self.assertEqual(self.window.size, 100)
