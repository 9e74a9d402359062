"""
Receipts at a bounded rate: where lines come one right after the other, one confirms many.

A receipt costs both sides about as much as a line.  The first goes out at once, the next ones
RECEIPT_INTERVAL later at the earliest; or when RECEIPT_LINES lines were read, long before their
author, who has a bounded number under way, would have to wait.

Owns what is to be confirmed, of all peers; what a receipt says is its conversation's matter.
"""

from __future__ import annotations

from math import inf

import attrs

RECEIPT_INTERVAL = 0.01  # seconds; less than the frame of a screen, or most round trips
RECEIPT_LINES = 32  # lines that were read, of all peers together


@attrs.define
class Receipts:
    """
    The machine of the receipts that wait.

    :ivar due: when they are to go out, ``None`` while none waits.
    """

    due: float | None = None
    _last: dict[str, str] = attrs.Factory(dict)  # the line that was read last, by its author
    _lines: int = 0
    _taken_at: float = -inf  # when receipts went out last

    def read(self, peer_id: str, message_id: str, now: float) -> None:
        """Somebody has taken a line of a peer, and so all before it; "": lines were stored."""
        if message_id or peer_id not in self._last:
            self._last[peer_id] = message_id
        self._lines += 1
        if self._lines >= RECEIPT_LINES:
            self.due = now
        elif self.due is None:
            self.due = max(now, self._taken_at + RECEIPT_INTERVAL)

    def owes(self, peer_id: str) -> bool:
        """Tell whether a peer waits for one."""
        return peer_id in self._last

    def take(self, now: float) -> dict[str, str]:
        """Return, and forget, the line that was read last, by the peer id of its author."""
        taken, self._last = self._last, {}
        self.due, self._lines, self._taken_at = None, 0, now
        return taken
