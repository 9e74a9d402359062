"""
Lines of a peer that our person hasn't agreed to talk with: they wait on the link, unread.

They stay a part of their stream's window, which bounds them, and unconfirmed: what a link that ends
leaves here comes again on the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs


@attrs.define
class HeldLines:
    """
    The lines of one conversation that wait.

    :ivar is_held: whether lines are to wait now.
    """

    is_held: Callable[[], bool] = lambda: False
    _bodies: deque[bytes] = attrs.Factory(deque)

    def __bool__(self) -> bool:
        """Whether any wait."""
        return bool(self._bodies)

    def hold(self, body: bytes) -> bool:
        """Let the frame of a line wait, if it is to; tells whether."""
        is_held = self.is_held()
        if is_held:
            self._bodies.append(body)
        return is_held

    def next_released(self) -> bytes | None:
        """Return, and forget, the oldest, once they needn't wait any more."""
        return None if not self._bodies or self.is_held() else self._bodies.popleft()

    @property
    def is_released(self) -> bool:
        """Whether any is here that needn't wait."""
        return bool(self._bodies) and not self.is_held()

    def clear(self) -> None:
        """Forget them: the link has ended."""
        self._bodies.clear()
