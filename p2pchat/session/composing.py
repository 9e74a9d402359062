"""
Composing: a person is typing, on one link; never stored, and said again while it goes on.

::

    our person types ─▶ TYPING, once in INTERVAL     their TYPING ─▶ told, once in LEAST

So it costs some 20 bytes in 4 seconds, and a peer that floods is heard no more often than one that
doesn't.  There is no word for its end: it is over when nothing comes, or a line does.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import attrs

from p2pchat.wire.messages import Typing

INTERVAL = 4.0  # seconds from one notice to the next
LEAST = 2.0  # seconds from one of theirs that is told to the next


@attrs.define(eq=False)
class Composing:
    """
    The notices of both sides of a session.

    :ivar is_on: tells whether any are sent and taken.
    :ivar heard: takes each of theirs.
    """

    is_on: Callable[[], bool]
    heard: Callable[[], None]
    _is_owed: bool = False
    _sent_at: float = -inf
    _heard_at: float = -inf

    def type(self, now: float) -> None:
        """Our person types."""
        if self.is_on() and now >= self._sent_at + INTERVAL:
            self._is_owed, self._sent_at = True, now

    def receive(self, now: float) -> None:
        """Take a notice."""
        if self.is_on() and now >= self._heard_at + LEAST:
            self._heard_at = now
            self.heard()

    def link_ended(self) -> None:
        """Forget what wasn't said: it is no news any more."""
        self._is_owed = False

    def next_message(self) -> Typing | None:
        """Return, and forget, what is to be said."""
        is_owed, self._is_owed = self._is_owed, False
        return Typing() if is_owed else None
