"""
Messages of ours that are unconfirmed for too long.

Pure.  Counts only while there is a conversation: a message typed while the other side is being
called waits without a warning.  Each message is returned once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import attrs

from p2pchat import events
from p2pchat.ui import results

PATIENCE = 5.0  # seconds; several round trips and retransmissions of most paths that work, ...
PATIENCE_RTTS = 4  # ... or so many round trips of the path, where that is longer

A_DELETION = "(a deletion)"  # which has no text

_ENDED = events.PathLost | events.Disconnected | events.CallFailed

_Lines = OrderedDict[str, tuple[str, float]]  # text and since when, by message id, oldest first


@attrs.define
class Deliveries:
    """Unconfirmed messages by peer; an event costs the same however many there are."""

    _awaited: dict[str, _Lines] = attrs.Factory(dict)
    _open: set[str] = attrs.Factory(set)
    _patience: dict[str, float] = attrs.Factory(dict)  # by peer, where it isn't PATIENCE

    def receive(self, event: Any, now: float) -> None:
        """Take an event of the node."""
        if isinstance(event, events.MessageSent):
            lines = self._awaited.setdefault(event.peer_id, OrderedDict())
            lines[event.id] = (event.text or A_DELETION, now)
        elif isinstance(event, events.MessageDelivered):
            self._lines(event.peer_id).pop(event.id, None)
        elif isinstance(event, results.Withdrawn):
            for name in (event.id, *event.changes):
                self._lines(event.peer_id).pop(name, None)
        elif isinstance(event, events.PathFound):
            self._patience[event.peer_id] = max(PATIENCE, PATIENCE_RTTS * event.rtt_ms / 1000)
        elif isinstance(event, events.Connected):
            self._connect(event.peer_id, now)
        elif isinstance(event, _ENDED):
            self._end(event.peer_id, forget=not isinstance(event, events.PathLost))

    def overdue(self, now: float) -> list[tuple[str, list[str]]]:
        """Return, by peer id, the texts that became overdue since the last call."""
        late = [(peer_id, self._take_late(peer_id, now)) for peer_id in self._open]
        return [(peer_id, texts) for peer_id, texts in late if texts]

    def get_timer(self) -> float | None:
        """Return when :meth:`overdue` may have something, in seconds."""
        waiting = [(one, lines) for one in self._open if (lines := self._lines(one))]
        oldest = [(one, next(iter(lines.values()))[1]) for one, lines in waiting]
        return min((since + self._patience_with(one) for one, since in oldest), default=None)

    def _patience_with(self, peer_id: str) -> float:
        return self._patience.get(peer_id, PATIENCE)

    def _lines(self, peer_id: str) -> _Lines:
        return self._awaited.get(peer_id, OrderedDict())

    def _take_late(self, peer_id: str, now: float) -> list[str]:
        lines, texts = self._lines(peer_id), []
        latest = now - self._patience_with(peer_id)
        while lines and next(iter(lines.values()))[1] <= latest:
            _, (text, _) = lines.popitem(last=False)
            texts.append(text)
        return texts

    def _connect(self, peer_id: str, now: float) -> None:
        self._open.add(peer_id)
        for name, (text, _) in self._lines(peer_id).items():
            self._awaited[peer_id][name] = (text, now)

    def _end(self, peer_id: str, forget: bool) -> None:
        self._open.discard(peer_id)
        if forget:
            self._awaited.pop(peer_id, None)
            self._patience.pop(peer_id, None)
