"""What lives as long as the program is spared by collections."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.process import spare_long_lived


class SpareTests(SynchronousTestCase):
    """Collections after the start are short."""

    def test_spared(self) -> None:
        """What there is at the start isn't looked through again; what comes later is."""
        self.addCleanup(gc.unfreeze)
        spare_long_lived()
        self.assertLess(len(gc.get_objects()), gc.get_freeze_count() / 10)
        garbage: list[object] = []
        garbage.append(garbage)
        del garbage
        self.assertGreaterEqual(gc.collect(), 1)
