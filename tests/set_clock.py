"""The wall clock of a real program, set while it runs, by ``libfaketime``, a package of Debian."""

from __future__ import annotations

import os
from glob import glob
from pathlib import Path

import attrs

_LIBRARIES = glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
NO_SET_CLOCK = "" if _LIBRARIES else "no libfaketime (Debian: apt install libfaketime)"


@attrs.define
class SetClock:
    """
    A wall clock; time goes on by it, and clocks that nobody sets stay as they are.

    :ivar file: where it is kept by how much the clock is ahead.
    """

    file: Path

    def __attrs_post_init__(self) -> None:
        self.set(0)

    def set(self, seconds: int) -> None:
        """Set it so far ahead of the true time, or behind."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self.file)

    @property
    def environment(self) -> dict[str, str]:
        """What a program that goes by it must have."""
        return {
            # Allocators other than libc's, as that of Redis, ask for the time too early.
            "LD_PRELOAD": f"{_LIBRARIES[0]} libc.so.6",
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
