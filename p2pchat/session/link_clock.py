"""
Time as the QUIC connection of a link sees it: what process or path slept is no part of it.

::

               a timer comes late: we were frozen, and link time is that much behind from now on
                 ┌──┐
                 │  ▼
    begin ──▶ running ──too many probes in a row got no answer──▶ standing
                 ▲                                                    │
                 └── something came, or a path was found or verified ─┘

QUIC takes the time from a packet to its acknowledgement for the path's round-trip time, waits a
multiple of it before it sends again, and spreads over it what it may send (RFC 9002 sections 5 to
7).  After a pause of a minute it would be slow for minutes.  A side that was frozen finds
acknowledgements in its socket's buffer; a side that waited gets those of the other side at its
return.  Both then look as if they had come in time.

The pause itself counts as one round trip of the path, as its checks measured it.
"""

from __future__ import annotations

import attrs

LATE = 0.1  # seconds; a busy process is late by less, and a pause of less harms nobody
ROUNDING = 2e-6  # seconds; sums of floats fall short of a wish by less, and qh3 rounds by 1e-6


@attrs.define
class LinkClock:
    """The machine of link time."""

    _behind: float = 0.0  # seconds that link time is behind ours
    _time: float = 0.0  # never goes back
    _stood_at: float | None = None  # our time

    @property
    def is_standing(self) -> bool:
        """Whether link time doesn't pass."""
        return self._stood_at is not None

    def time(self, now: float, due: float | None) -> float:
        """
        Return link time.

        :param now: our time.
        :param due: link time of the next timer; time doesn't pass it by more than LATE before
            that timer was handled.
        """
        if self._stood_at is None:
            time = now - self._behind
            if due is not None and time > due + LATE:
                time = max(due, self._time)
                self._behind = now - time
            elif due is not None and time > due - ROUNDING:
                time = max(due, time)
            self._time = max(self._time, time)
        return self._time

    def our_time(self, due: float | None) -> float | None:
        """Return when it is that late, in our time; ``None`` where it never is."""
        return None if due is None or self._stood_at is not None else due + self._behind

    def stand(self, now: float) -> None:
        """Let no time pass from now on."""
        if self._stood_at is None:
            self._stood_at = now

    def skip_to(self, due: float) -> None:
        """Let just so much time pass that something is due, where it stands."""
        if self._stood_at is not None:
            self._time = max(self._time, due + ROUNDING)

    def go_on(self, now: float, rtt: float) -> None:
        """Let time pass again; ``rtt`` is the path's in seconds, 0 while unknown."""
        if self._stood_at is not None:
            self._time += min(rtt, now - self._stood_at)
            self._behind, self._stood_at = now - self._time, None
