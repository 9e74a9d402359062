"""Tests of :mod:`p2pchat.traversal.earliest`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.earliest import earliest


class EarliestTests(SynchronousTestCase):
    """The earliest of several times."""

    def test_earliest(self) -> None:
        """Never is later than any time, and nothing at all is never."""
        self.assertEqual(earliest(None, 2.0, 0.0, None), 0.0)
        self.assertIsNone(earliest(None, None))
        self.assertIsNone(earliest())
