"""
Retention: what is older than the person wants to keep is deleted, once an hour.

By two clocks, this machine's and the registry's: both must say that it is so late, so that neither
a wrong clock nor a lying registry has anything deleted that is young.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from p2pchat.errors import StorageFailed
from p2pchat.interfaces import IHistory

INTERVAL = 3600.0  # seconds
DAY = 86_400.0  # seconds

_log = Logger()


@attrs.define(eq=False)
class Retention:
    """
    The retention of one node.

    :ivar clocks: each gives seconds since 1970.
    """

    _history: IHistory
    _days: float | None  # that things are kept; None: for ever
    _clocks: tuple[Callable[[], float], ...]

    def enforce(self) -> None:
        """Delete what is too old; called every INTERVAL, and when the registry was reached."""
        if self._days is None:
            return
        now = min(clock() for clock in self._clocks)
        deleted: Deferred[None] = self._history.delete_older(now - self._days * DAY)
        deleted.addErrback(lambda failure: failure.trap(StorageFailed))
        deleted.addErrback(lambda failure: _log.failure("what is old can't be deleted", failure))
