"""
Allowance of bytes of services that a link may have under way, by the delay that they cause.

::

    acknowledged ── round trip ── least of RECENT ── above the base ──▶ queue
                                         queue ──▶ beginning: doubles a round trip, until TARGET / 2
                                               ──▶ then more below TARGET, less above it

QUIC's own control fills the queue of a modem until something is lost, which is seconds, and chat
waits behind it.  This keeps the queue near TARGET, as LEDBAT does (RFC 6817); what is above it goes
in proportion, within some round trips.  Loss is for QUIC, and means nothing here.

The base is the least round trip since REMEASURE.  Then little goes out for some round trips, so
that a queue of our own isn't taken for the path.  Until then a path that became slower, or that
others fill, is taken for a queue of ours, and of two links over it one has nearly all.
"""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat.session.qh3_connection import DATAGRAM_SIZE

TARGET = 0.040  # seconds of queue
FIRST = 16 * 1024  # bytes, on a path that isn't known
LEAST = 4 * 1024  # bytes; a path of 1 Mbit/s takes 30 ms for them
MOST = 8 * 1024 * 1024  # bytes; more than QUIC's windows
RECENT = 4  # round trips, the least of which counts: others met a busy process or radio
GROWTH = 1 / 8  # of the allowance in a round trip, where there is no queue; and a datagram
CUT = 1 / 2  # of it in a round trip at most, where the queue is too long
REMEASURE, REMEASURE_TRIPS = 10.0, 80  # seconds and round trips, whichever are longer
MEASURING = 3  # round trips, the longest of late


@attrs.define
class BulkAllowance:
    """
    The machine of one link on one path.

    :ivar size: bytes that may be with QUIC, unsent or unacknowledged.
    """

    size: float = FIRST
    _base: float | None = None  # seconds
    _recent: deque[float] = attrs.Factory(lambda: deque(maxlen=RECENT))
    _is_beginning: bool = True
    _measured_at: float = 0.0
    _resume_at: float | None = None  # while measuring
    _before: float = FIRST  # the size, before measuring

    def acknowledged(self, count: int, in_flight: int, rtt: float, now: float) -> None:
        """
        Take that bytes were acknowledged.

        :param count: bytes.
        :param in_flight: bytes that were under way before.
        :param rtt: in seconds, of the last of them.
        """
        if count <= 0 or rtt <= 0:
            return
        self._recent.append(rtt)
        if self._base is None:
            self._measured_at = now
        self._base = rtt if self._base is None else min(self._base, rtt)
        if self._resume_at is not None:
            self._measure(now)
        elif now >= self._measured_at + max(REMEASURE, REMEASURE_TRIPS * self._base):
            self._before, self.size, self._base = self.size, LEAST, max(self._recent)
            self._resume_at = now + MEASURING * self._base
        else:
            self._adapt(count, in_flight, min(self._recent) - self._base)

    def _measure(self, now: float) -> None:
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at, self._measured_at, self.size = None, now, self._before

    def _adapt(self, count: int, in_flight: int, queue: float) -> None:
        """Grow or shrink, by the part of a round trip that so many bytes are."""
        off = (TARGET - queue) / TARGET
        self._is_beginning = self._is_beginning and off > 1 / 2
        if off <= 0:
            self.size -= count * min(CUT, -off * CUT)
        elif self.size <= 2 * in_flight + FIRST:  # more was never tried
            grown = 1.0 if self._is_beginning else off * (GROWTH + DATAGRAM_SIZE / self.size)
            self.size += count * grown
        self.size = max(LEAST, min(self.size, MOST))
