"""
Reading of one front end: which lines were shown, and which of these somebody has seen.

What is in view is the front end's to know; a program says ``/read``.
"""

from __future__ import annotations

from typing import Any

import attrs

from p2pchat import events
from p2pchat.interfaces import INode
from p2pchat.ui import results

MAX_PEERS = 1000  # of whom lines wait to be seen; strangers may be many


@attrs.define
class ShownLines:
    """The last line of each peer that was shown, and wasn't seen yet."""

    _node: INode
    _shown: dict[str, str] = attrs.Factory(dict)  # message ids, by peer

    def show(self, value: Any) -> None:
        """Take it that something is shown."""
        if isinstance(value, events.MessageReceived):
            self._put(value.peer_id, value.id)
        elif isinstance(value, results.History):
            theirs = [line for line in value.lines if not line.ours]
            for line in theirs[-1:]:
                self._shown.setdefault(line.peer_id, line.id)

    def _put(self, peer_id: str, id: str) -> None:
        self._shown.pop(peer_id, None)
        if len(self._shown) >= MAX_PEERS:
            del self._shown[next(iter(self._shown))]
        self._shown[peer_id] = id

    def seen(self, peer_id: str) -> None:
        """Somebody has seen all that was shown of a peer."""
        id = self._shown.pop(peer_id, "")
        if id:
            self._node.indications.seen(peer_id, id)
