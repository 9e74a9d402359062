"""
``Retry-After`` (RFC 9110 section 10.2.3): for how long a registry asks to be left alone.

Owns how the field is read, and its bound; :mod:`p2pchat.session.retry_gate` obeys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

# Seconds; our registry asks for 60 at most where leases are as long as usual.  A registry that
# lies, or counts in days, keeps nobody away for long.
MAX_RETRY_AFTER = 300.0

_DELTA_SECONDS = re.compile(rb"[0-9]+")


def http_date(value: bytes) -> float | None:
    """Read an HTTP-date (RFC 9110 section 5.6.7): seconds since 1970, or None if it is none."""
    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def read_retry_after(values: Sequence[bytes], now: float) -> float | None:
    """
    Return the seconds that are asked for, MAX_RETRY_AFTER at most; None if nothing clear is.

    :param values: the field's values; there ought to be one.
    :param now: seconds since 1970 by the clock of whoever sent it.
    """
    if len(values) != 1:
        return None
    if _DELTA_SECONDS.fullmatch(values[0]):
        asked = float(values[0])
    else:
        date = http_date(values[0])
        if date is None:
            return None
        asked = date - now
    return min(max(asked, 0.0), MAX_RETRY_AFTER)
