"""So many at once, and one more in each interval."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.token_bucket import TokenBucket


class TokenBucketTests(SynchronousTestCase):
    """So many at once, and one more in each interval."""

    def test_clock_set_back(self) -> None:
        """A clock that is set, whichever way, makes nobody wait longer than the interval."""
        for jump in (-86_400.0, 86_400.0):
            bucket = TokenBucket(2.0, 10.0)
            self.assertEqual([bucket.take(1e9) for _ in range(3)], [True, True, False])
            bucket.take(1e9 + jump)
            self.assertTrue(bucket.take(1e9 + jump + 10.0))
