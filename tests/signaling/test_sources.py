"""Whose address it is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.signaling.sources import source_of


class SourceTests(SynchronousTestCase):
    """Whose address it is."""

    def test_source(self) -> None:
        """IPv4 addresses are sources; those of one IPv6 /64 are one; others are their own."""
        self.assertEqual(source_of("192.0.2.1"), "192.0.2.1")
        self.assertEqual(source_of("2001:db8::1"), source_of("2001:db8::ffff:1"))
        self.assertNotEqual(source_of("2001:db8::1"), source_of("2001:db8:0:1::1"))
        self.assertEqual(source_of("a:b"), "a:b")
