"""Token buckets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.registry.admission.rates import DOCUMENTS, Rate, TokenBuckets, source_of


class TokenBucketTests(SynchronousTestCase):
    """A source may ask for a burst, then at the rate."""

    def test_burst_then_rate(self) -> None:
        """A full bucket empties, says how long to wait, and fills again with time."""
        buckets = TokenBuckets(Rate(2, 3))
        waits = [buckets.take("192.0.2.1", 0.0) for _ in range(4)]
        self.assertEqual(waits, [0.0, 0.0, 0.0, 0.5])
        self.assertEqual(buckets.take("192.0.2.1", 0.5), 0.0)
        self.assertGreater(buckets.take("192.0.2.1", 0.5), 0.0)

    def test_sources_apart(self) -> None:
        """One source doesn't use up another's tokens; an IPv6 /64 is one source."""
        buckets = TokenBuckets(Rate(1, 1))
        self.assertEqual(buckets.take("192.0.2.1", 0.0), 0.0)
        self.assertEqual(buckets.take("192.0.2.2", 0.0), 0.0)
        self.assertEqual(buckets.take("2001:db8::1", 0.0), 0.0)
        self.assertGreater(buckets.take("2001:db8::2", 0.0), 0.0)
        self.assertEqual(buckets.take("2001:db8:0:1::2", 0.0), 0.0)
        self.assertEqual(buckets.take("no:address", 0.0), 0.0)

    def test_bounded(self) -> None:
        """The table never exceeds its capacity; the source seen longest ago is forgotten."""
        buckets = TokenBuckets(Rate(1, 1), capacity=2)
        for source in ("first", "second", "third"):
            buckets.take(source, 0.0)
        self.assertEqual(len(buckets), 2)
        self.assertGreater(buckets.take("third", 0.0), 0.0)
        self.assertEqual(buckets.take("first", 0.0), 0.0)

    def test_without_limit(self) -> None:
        """Rate 0 lets everything pass, and remembers nobody."""
        buckets = TokenBuckets(Rate(0, 0))
        self.assertEqual({buckets.take("192.0.2.1", 0.0) for _ in range(1000)}, {0.0})
        self.assertEqual(len(buckets), 0)

    @given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 20), st.integers(1, 20))
    def test_never_more(self, moments: list[float], rate: int, burst: int) -> None:
        """Over any time no more pass than burst and rate allow."""
        buckets = TokenBuckets(Rate(rate, burst))
        moments.sort()
        passed = [now for now in moments if not buckets.take("192.0.2.1", now)]
        for number, first in enumerate(passed):
            within = passed[number:]
            self.assertLessEqual(len(within), burst + rate * (within[-1] - first) + 1e-6)


class RateTests(SynchronousTestCase):
    """What an operator writes."""

    def test_forms(self) -> None:
        """A rate and a burst, or 0; what is written is read."""
        self.assertEqual(Rate.parse("50/200"), Rate(50.0, 200.0))
        for rate in (DOCUMENTS, Rate(0, 0)):
            self.assertEqual(Rate.parse(str(rate)), rate)

    def test_refused(self) -> None:
        """Anything else is refused, with an example of what is right."""
        for text in (
            "",
            "50",
            "50/",
            "/200",
            "-1/5",
            "0/5",
            "5/0",
            "1.5/3",
            "5/5/5",
            "٣/٣",
            " 5/5",
        ):
            error = self.assertRaises(ConfigurationError, Rate.parse, text)
            self.assertIn("50/200", str(error))


class SourceTests(SynchronousTestCase):
    """Whose address it is."""

    def test_source(self) -> None:
        """IPv4 addresses are sources; those of one IPv6 /64 are one; others are their own."""
        self.assertEqual(source_of("192.0.2.1"), "192.0.2.1")
        self.assertEqual(source_of("2001:db8::1"), source_of("2001:db8::ffff:1"))
        self.assertNotEqual(source_of("2001:db8::1"), source_of("2001:db8:0:1::1"))
        self.assertEqual(source_of("a:b"), "a:b")
