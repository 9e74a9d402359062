"""Waiting for what comes and goes, such as a connection."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed


@attrs.define(eq=False)
class Gate:
    """
    A gate that is open or closed.

    :ivar is_open: whether nobody waits.
    """

    is_open: bool = False
    _waiting: list[Deferred[None]] = attrs.Factory(list)

    def close(self) -> None:
        """Let whoever comes from now on wait."""
        self.is_open = False

    def open(self) -> None:
        """Let everybody pass."""
        self.is_open = True
        self.release()

    def release(self) -> None:
        """Let those pass who wait now."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)

    def passed(self) -> Deferred[None]:
        """Return a Deferred that fires when the gate is open; it may be cancelled."""
        if self.is_open:
            return succeed(None)
        self._waiting.append(Deferred())
        return self._waiting[-1]
