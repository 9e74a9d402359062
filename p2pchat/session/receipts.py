"""
Receipts that wait a moment, so that one confirms many lines.

A receipt costs both sides about as much as a line, and nobody looks at it: a line is marked only
if it arrives late.  So one waits for RECEIPT_DELAY, as QUIC's own acknowledgements do, whose
datagram it then shares; or until RECEIPT_LINES lines were read, long before their author, who has
256 under way, would have to wait.

Owns what is to be confirmed, of all peers; what a receipt says is its conversation's matter.
"""

from __future__ import annotations

import attrs

RECEIPT_DELAY = 0.005  # seconds; less than the frame of a screen, or most round trips
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

    def read(self, peer_id: str, message_id: str, now: float) -> None:
        """Somebody has taken a line of a peer, and so all before it."""
        self._last[peer_id] = message_id
        self._lines += 1
        if self._lines >= RECEIPT_LINES:
            self.due = now
        elif self.due is None:
            self.due = now + RECEIPT_DELAY

    def owes(self, peer_id: str) -> bool:
        """Tell whether a peer waits for one."""
        return peer_id in self._last

    def take(self) -> dict[str, str]:
        """Return, and forget, the line that was read last, by the peer id of its author."""
        taken, self._last = self._last, {}
        self.due, self._lines = None, 0
        return taken
