"""
Which lines of ours a peer should have confirmed by now.

Pure.  Counts only while there is a conversation: a line typed while the other side is being called
waits without saying so.  Each line is named once.
"""

from __future__ import annotations

from typing import Any

import attrs

from p2pchat.peer import events

PATIENCE = 5.0  # seconds; several round trips and retransmissions of any path that works

_ENDED = events.PathLost | events.Disconnected | events.CallFailed


@attrs.define
class _Line:
    peer_id: str
    text: str
    since: float
    named: bool = False


@attrs.define
class Deliveries:
    """Lines on their way, by message id."""

    _lines: dict[tuple[str, str], _Line] = attrs.Factory(dict)
    _open: set[str] = attrs.Factory(set)

    def receive(self, event: Any, now: float) -> None:
        """Take an event of the node."""
        if isinstance(event, events.MessageSent):
            self._lines[event.peer_id, event.id] = _Line(event.peer_id, event.text, now)
        elif isinstance(event, events.MessageDelivered):
            self._lines.pop((event.peer_id, event.id), None)
        elif isinstance(event, events.Connected):
            self._connect(event.peer_id, now)
        elif isinstance(event, _ENDED):
            self._end(event.peer_id, forget=not isinstance(event, events.PathLost))

    def overdue(self, now: float) -> list[tuple[str, str]]:
        """Return peer id and text of each line that should have arrived, and wasn't named."""
        late = [line for line in self._awaited() if line.since + PATIENCE <= now]
        for line in late:
            line.named = True
        return [(line.peer_id, line.text) for line in late]

    def get_timer(self) -> float | None:
        """Return when :meth:`overdue` may have something, in seconds."""
        return min((line.since + PATIENCE for line in self._awaited()), default=None)

    def _awaited(self) -> list[_Line]:
        return [
            line for line in self._lines.values() if line.peer_id in self._open and not line.named
        ]

    def _connect(self, peer_id: str, now: float) -> None:
        self._open.add(peer_id)
        for line in self._lines.values():
            if line.peer_id == peer_id:
                line.since = now

    def _end(self, peer_id: str, forget: bool) -> None:
        self._open.discard(peer_id)
        if forget:
            self._lines = {key: line for key, line in self._lines.items() if key[0] != peer_id}
