"""
What every trial in the lab begins with: the conditions to run at all, and a lab that is taken down.
"""

from __future__ import annotations

import os

from twisted.trial import unittest

from tests.lab.topology import Lab, reason_to_skip

REPETITIONS = int(os.environ.get("P2PCHAT_LAB_REPEAT", "1"))


class LabTestCase(unittest.TestCase):
    """A trial that may build labs; blocking calls are fine here, nothing uses the reactor."""

    if reason_to_skip():
        skip = reason_to_skip()

    def build_lab(self, left: str, right: str = "open", hosts: int = 1) -> Lab:
        """Build a lab that is closed when the test ends."""
        lab = Lab()
        self.addCleanup(lab.close)
        return lab.build(left, right, hosts)
