"""
A wall clock for single programs, which somebody sets while they run (libfaketime).

What counts seconds without a wall (CLOCK_MONOTONIC, CLOCK_BOOTTIME) goes on as it is, as on a real
machine. Owns the file that says by how much the clock is wrong; programs look there each time they
ask for the time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import attrs

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def reason_without_clocks() -> str:
    """Say why no clock can be set here; empty when one can."""
    return "" if LIBRARIES else "not installed: libfaketime"


@attrs.define(eq=False)
class WallClock:
    """One clock, right until it is set; `environment` makes a program use it."""

    _directory: str = attrs.Factory(lambda: tempfile.mkdtemp(prefix="wall-clock-"))

    def __attrs_post_init__(self) -> None:
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """What a program's environment needs besides."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Make it wrong by so many seconds from now on: ahead, or, if negative, behind."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self._file)  # no program reads half of it

    def close(self) -> None:
        """Remove the file."""
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _file(self) -> Path:
        return Path(self._directory, "offset")
