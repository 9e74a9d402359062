"""Retry-After: how it is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.wire.retry_after import (
    MAX_RETRY_AFTER,
    http_date,
    read_retry_after,
)

NOW = 784_111_777.0  # the example of RFC 9110 section 5.6.7
DATES = (
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
)


class ReadingTests(SynchronousTestCase):
    """Reading the field."""

    def test_seconds(self) -> None:
        """Delta-seconds are what they say."""
        for value, seconds in ((b"0", 0.0), (b"1", 1.0), (b"060", 60.0), (b"300", 300.0)):
            self.assertEqual(read_retry_after([value], NOW), seconds)

    def test_date(self) -> None:
        """A date, in each of the three forms, counts from now; one that is past is now."""
        for date in DATES:
            self.assertEqual(http_date(date), NOW)
            for now, seconds in ((NOW - 20, 20.0), (NOW, 0.0), (NOW + 20, 0.0)):
                self.assertEqual(read_retry_after([date], now), seconds)

    def test_bounded(self) -> None:
        """However much is asked for, MAX_RETRY_AFTER is the most."""
        for value in (b"301", b"86400", b"9" * 9000, b"Sun, 06 Nov 9994 08:49:37 GMT"):
            self.assertEqual(read_retry_after([value], NOW), MAX_RETRY_AFTER)

    def test_nothing_clear(self) -> None:
        """What is absent, malformed, or there twice asks for nothing."""
        for value in (b"", b"soon", b"-5", b"+5", b"1.5", b"1e3", b"5 s", b"inf", b"nan", b"\xff"):
            self.assertIsNone(read_retry_after([value], NOW), value)
        for date in (b"Sun, 99 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 99999999 08:49:37 GMT"):
            self.assertIsNone(read_retry_after([date], NOW), date)
        self.assertIsNone(read_retry_after([], NOW))
        self.assertIsNone(read_retry_after([b"5", b"5"], NOW))

    @given(st.lists(st.binary(max_size=40), max_size=2))
    def test_anything(self, values: list[bytes]) -> None:
        """Whatever a registry writes is a wait within bounds, or none."""
        read = read_retry_after(values, NOW)
        self.assertTrue(read is None or 0 <= read <= MAX_RETRY_AFTER)
