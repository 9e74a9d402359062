"""Wall clocks that are set: programs see it at once, and no timer of the kernel does."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.lab.case import LabTestCase
from tests.lab.wall_clock import WallClock, reason_without_clocks

#: At each line says what three clocks show, and how long a short wait takes.
READ = """\
import select, sys, time
for line in sys.stdin:
    began = time.monotonic()
    select.select([], [], [], 0.05)
    took = time.monotonic() - began
    print(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), took, flush=True)
"""


class WallClockTests(LabTestCase):
    """A program on a clock of its own."""

    if reason_without_clocks():
        skip = reason_without_clocks()

    def setUp(self) -> None:
        self.clock = WallClock()
        self.addCleanup(self.clock.close)
        environment, pipe = {**os.environ, **self.clock.environment}, subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-c", READ],
            env=environment,
            stdin=pipe,
            stdout=pipe,
            text=True,
            bufsize=1,
        )
        self.addCleanup(self.process.communicate)

    def read(self) -> list[float]:
        """Return the program's wall clock, monotonic clock, boot clock, and its short wait."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("read\n")
        return [float(word) for word in self.process.stdout.readline().split()]

    def test_set(self) -> None:
        """The wall clock jumps, back and forth; the others go on, and waits are as long."""
        before = self.read()
        for offset in (-3600, 86_400, 0):
            self.clock.set(offset)
            wall, *others, took = self.read()
            elapsed = [now - then for now, then in zip(others, before[1:3], strict=True)]
            self.assertTrue(all(0 < seconds < 30 for seconds in elapsed), elapsed)
            self.assertLess(abs(wall - before[0] - offset - elapsed[0]), 1.0)
            self.assertTrue(0.05 <= took < 5, took)
