"""Token buckets by address."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.signaling.rates import TokenBuckets


class TokenBucketTests(SynchronousTestCase):
    """A source may ask for a burst, then at the rate."""

    def test_burst_then_rate(self) -> None:
        """A full bucket empties, says how long to wait, and fills again with time."""
        buckets = TokenBuckets(rate=2.0, burst=3.0)
        waits = [buckets.take("192.0.2.1", 0.0) for _ in range(4)]
        self.assertEqual(waits, [0.0, 0.0, 0.0, 0.5])
        self.assertEqual(buckets.take("192.0.2.1", 0.5), 0.0)
        self.assertGreater(buckets.take("192.0.2.1", 0.5), 0.0)

    def test_sources_apart(self) -> None:
        """One source doesn't use up another's tokens; an IPv6 /64 is one source."""
        buckets = TokenBuckets(rate=1.0, burst=1.0)
        self.assertEqual(buckets.take("192.0.2.1", 0.0), 0.0)
        self.assertEqual(buckets.take("192.0.2.2", 0.0), 0.0)
        self.assertEqual(buckets.take("2001:db8::1", 0.0), 0.0)
        self.assertGreater(buckets.take("2001:db8::2", 0.0), 0.0)
        self.assertEqual(buckets.take("2001:db8:0:1::2", 0.0), 0.0)

    def test_bounded(self) -> None:
        """The table never exceeds its capacity; the source seen longest ago is forgotten."""
        buckets = TokenBuckets(rate=1.0, burst=1.0, capacity=2)
        for source in ("first", "second", "third"):
            buckets.take(source, 0.0)
        self.assertGreater(buckets.take("third", 0.0), 0.0)
        self.assertEqual(buckets.take("first", 0.0), 0.0)
