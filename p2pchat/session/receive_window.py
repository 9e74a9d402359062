"""
Window of one stream: what the other side may write on it, as its reader takes what came.

::

    0 ── taken ─────── received ───────── granted
         └── waits ──┘
         └──────────── window ───────────┘

QUIC gives a sender credit as soon as bytes arrive, which holds nobody back.  So a stream has a
window of its own: so many bytes, until CREDIT says more.  As its reader takes what came, the window
moves on; it doubles, up to what is wanted, when half of it was taken within QUICK_RTTS round trips.
A reader that takes nothing holds its window and stops nobody else.
"""

from __future__ import annotations

import attrs

from p2pchat.errors import RemoteProtocolError

QUICK_RTTS = 2  # round trips; who takes half a window within them waits for the sender
QUICK = 0.02  # seconds, where round trips are shorter


@attrs.define(eq=False)
class ReceiveWindow:
    """
    The window of one stream.

    :ivar size: bytes.
    :ivar received: bytes that came.
    :ivar taken: bytes of them that the reader has taken.
    :ivar granted: bytes that may come.
    """

    size: int
    received: int = 0
    taken: int = 0
    granted: int = attrs.field(init=False)
    _granted_at: float | None = None

    def __attrs_post_init__(self) -> None:
        self.granted = self.size

    def receive(self, count: int) -> None:
        """
        Count what came.

        :raises RemoteProtocolError: there is more than granted.
        """
        self.received += count
        if self.received > self.granted:
            raise RemoteProtocolError(f"a stream carries {self.received} of {self.granted} bytes")

    def next_credit(self, most: int, slack: int, rtt: float, now: float) -> int | None:
        """
        Return how much may come, if enough was taken since that was told last.

        :param most: bytes that the window may grow to.
        :param slack: bytes of the window's second half that count as taken.
        """
        if self.granted - self.taken > self.size // 2 + slack:
            return None
        quick = max(QUICK, QUICK_RTTS * rtt)
        if self._granted_at is not None and now - self._granted_at <= quick:
            self.size = min(2 * self.size, max(self.size, most))
        self.granted, self._granted_at = self.taken + self.size, now
        return self.granted
