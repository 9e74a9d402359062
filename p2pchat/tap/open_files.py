"""
How many files, sockets included, this process may have open.
"""

from __future__ import annotations

import sys


def allow_open_files(wanted: int) -> int:
    """Raise the soft limit towards this number; return how many may be open, at most that."""
    if sys.platform == "win32":  # no such limit is in the way there
        return wanted
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
