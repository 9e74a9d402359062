"""
Calls that wait for the registry to be back.

While it is away an answer couldn't reach us, and the attempts of a call would be used up for
nothing.  After PATIENCE the call goes out all the same, and fails with the true reason.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

PATIENCE = 5.0  # seconds; a registry that is started again is back within two or three


@attrs.define(eq=False)
class Absence:
    """
    The registry's absence.

    :ivar is_over: whether we are registered, as far as the person was told.
    """

    _clock: IReactorTime
    is_over: bool = False
    _waiting: list[Deferred[None]] = attrs.Factory(list)

    def begin(self) -> None:
        """The registry is lost."""
        self.is_over = False

    def end(self) -> None:
        """The registry is back."""
        self.is_over = True
        self.release()

    def passed(self) -> Deferred[None]:
        """Return a Deferred that fires when the registry is back, or patience at an end."""
        if self.is_over:
            return succeed(None)
        back: Deferred[None] = Deferred()
        self._waiting.append(back)
        return back.addTimeout(PATIENCE, self._clock, lambda *_: None)

    def release(self) -> None:
        """Let all go on who wait."""
        waiting, self._waiting = self._waiting, []
        for back in waiting:
            if not back.called:
                back.callback(None)
