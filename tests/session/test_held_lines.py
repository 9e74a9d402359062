"""Lines that wait until our person agrees to talk."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.held_lines import HeldLines


class HeldLinesTests(SynchronousTestCase):
    """A few lines, held and let go."""

    def setUp(self) -> None:
        self.held = HeldLines()

    def test_not_held(self) -> None:
        """Where nothing is held, nothing waits."""
        self.assertFalse(self.held.hold(b"a"))
        self.assertFalse(self.held)
        self.assertIsNone(self.held.next_released())

    def test_in_order(self) -> None:
        """What is held comes out in order, when it may."""
        self.held.is_held = lambda: True
        self.assertTrue(self.held.hold(b"a") and self.held.hold(b"b"))
        self.assertEqual((self.held.next_released(), self.held.is_released), (None, False))
        self.held.is_held = lambda: False
        self.assertTrue(self.held.is_released)
        self.assertEqual([self.held.next_released() for _ in range(3)], [b"a", b"b", None])

    def test_cleared(self) -> None:
        """A link that ends takes them with it."""
        self.held.is_held = lambda: True
        self.held.hold(b"a")
        self.held.clear()
        self.assertFalse(self.held)
