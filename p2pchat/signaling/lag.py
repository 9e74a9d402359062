"""
How late the event loop is: a timer that says by how much it was missed.
"""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 1.0  # seconds


@attrs.define(eq=False)
class LagProbe:
    """
    Measures from :meth:`start` to :meth:`stop`.

    :ivar lag: seconds by which the last timer came too late.
    """

    _clock: IReactorTime
    lag: float = attrs.field(init=False, default=0.0)
    _timer: IDelayedCall | None = attrs.field(init=False, default=None)

    def start(self) -> None:
        """Begin to measure."""
        self._timer = self._clock.callLater(INTERVAL, self._due, self._clock.seconds() + INTERVAL)

    def _due(self, when: float) -> None:
        self.lag = max(0.0, self._clock.seconds() - when)
        self.start()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
