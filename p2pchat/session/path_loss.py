"""
Loss of a path, which may turn out to have been slowness.

::

    in use ── rounds of checks fail, SPARED of them while something comes ──▶ quietly lost
      ▲                                                                        │       │
      └──────── answers come ──────────────────────────────────────────────────┘       ▼
    in use ◀── answers come, or another path is found ── lost, and reported ◀── QUIET is over

Another path is looked for from the first; only the person doesn't read of it meanwhile.  What came
on a path during a round of checks shows that their way to us works, so that ours may only have
become slow: a queue of seconds can build up within one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import attrs

from p2pchat.traversal.round_trips import bounded

SPARED = 2  # rounds of checks that fail while something comes, before the path counts as lost
QUIET = 1.2  # seconds for which a lost path isn't reported, ...
QUIET_RTTS, LONGEST_QUIET = 2, 10.0  # ... or so many round trips; seconds at most
QUEUE = 3.0  # seconds of QUIET where much was on the path just before, and may queue up on it
BUSY = 5.0  # seconds before the loss that are just before
SLOW = 30.0  # seconds after one that was only slow, in which it may be so again


@attrs.define
class PathLoss:
    """
    The machine of one session's paths, as far as they are lost.

    :ivar report: takes the reason, and since when.
    :ivar due: when a lost path is to be reported, while it isn't.
    """

    report: Callable[[str, float], None]
    due: float | None = None
    _spared: int = 0  # rounds, since one succeeded
    _is_slow: bool = True  # as far as is known: no other attempt has found it
    _slow_until: float = -inf
    _reason: str = ""
    _since: float = 0.0

    def spares(self, has_heard: bool, now: float) -> bool:
        """Tell whether the path may fail another round; ``has_heard``: something came in it."""
        self._spared += 1
        return (has_heard or now < self._slow_until) and self._spared <= SPARED

    def begin(self, reason: str, rtt: float, was_busy: bool, now: float) -> None:
        """
        The path is lost, unless answers take long.

        :param rtt: of the path in seconds, as it was.
        :param was_busy: whether anything came within BUSY.
        """
        quiet = max(_quiet(rtt), QUEUE if was_busy else 0.0)
        self._reason, self._since, self.due = reason, now, now + quiet

    def checks_answered(self, rtt: float, now: float) -> None:
        """Checks on the path are answered: the link may follow."""
        self._spared = 0
        if self.due is not None:
            self.due = now + _quiet(rtt)

    def found_anew(self) -> None:
        """Another attempt has found the same path: the checks of the last one were lost."""
        self._is_slow = False

    def end(self, now: float) -> bool:
        """Count the path as found; tells whether the loss was never reported."""
        was_quiet, self.due = self.due is not None, None
        if was_quiet and self._is_slow:
            self._slow_until = now + SLOW
        self._is_slow = True
        return was_quiet

    def confirm(self) -> None:
        """Report the loss, if there is one that wasn't."""
        if self.due is not None:
            self.due = None
            self.report(self._reason, self._since)

    def handle_timer(self, now: float) -> None:
        """Report the loss when it is due."""
        if self.due is not None and now >= self.due:
            self.confirm()


def _quiet(rtt: float) -> float:
    return bounded(QUIET, QUIET_RTTS * rtt, LONGEST_QUIET)
