"""When a registry that asked for time is asked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.retry_after import JITTER, RetryAfter
from p2pchat.wire.problems import MAX_RETRY_AFTER

NOW = 1000.0


class RetryAfterTests(SynchronousTestCase):
    """When to ask again."""

    def earliest(self, retry_after: float | None, random: int, wanted: float = NOW) -> float:
        """Return when one may ask who was refused now."""
        gate = RetryAfter(lambda size: bytes([random]) * size)
        gate.refused(retry_after, NOW)
        return gate.earliest(wanted)

    @given(st.floats(0, MAX_RETRY_AFTER), st.integers(0, 255))
    def test_jitter(self, retry_after: float, random: int) -> None:
        """Never sooner than asked, and later by no more than JITTER of it."""
        wait = self.earliest(retry_after, random) - NOW
        self.assertGreaterEqual(wait, retry_after - 1e-6)
        self.assertLessEqual(wait, retry_after * (1 + JITTER) + 1e-6)

    def test_spread(self) -> None:
        """Who was refused together comes back over the whole of that."""
        self.assertEqual(self.earliest(60.0, 0), NOW + 60)
        self.assertEqual(self.earliest(60.0, 255), NOW + 90)
        self.assertEqual(len({self.earliest(60.0, random) for random in range(256)}), 256)

    def test_own_wait_is_longer(self) -> None:
        """Who would have waited longer anyway does."""
        self.assertEqual(self.earliest(10.0, 255, NOW + 20), NOW + 20)

    def test_nothing_asked(self) -> None:
        """A refusal that asks for nothing keeps nobody, and ends no wait that was asked for."""
        self.assertEqual(self.earliest(None, 255), NOW)
        self.assertEqual(RetryAfter(bytes).earliest(0.0), 0.0)
        gate = RetryAfter(bytes)
        for retry_after in (60.0, None, 1.0):
            gate.refused(retry_after, NOW)
        self.assertEqual(gate.earliest(NOW), NOW + 60)
