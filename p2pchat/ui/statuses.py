"""
Statuses that stand in the prompt for a moment, beside a name: who is typing, who has read it all.

Pure.  Nothing of them is a row: they come and go many times in a conversation.
"""

from __future__ import annotations

from typing import Any

import attrs

from p2pchat import events

TYPING_SHOWN = 6.0  # seconds; somebody who types on says so every four
MAX_PEERS = 1000  # of whom anything is remembered
TYPING, READ = "typing", "read"


@attrs.define
class Statuses:
    """Those of all conversations."""

    _typing: dict[str, float] = attrs.Factory(dict)  # until when, by peer
    _last: dict[str, str] = attrs.Factory(dict)  # id of the last line of ours, by peer
    _read: set[str] = attrs.Factory(set)  # whose person has read that

    def follow(self, value: Any, now: float) -> None:
        """Take an event of the node."""
        if isinstance(value, events.MessageSent):
            self._read.discard(value.peer_id)
            self._last.pop(value.peer_id, None)
            _put(self._last, value.peer_id, value.id)
        elif isinstance(value, events.MessagesRead) and self._last.get(value.peer_id) == value.id:
            self._read.add(value.peer_id)
        elif isinstance(value, events.PeerTyping):
            _put(self._typing, value.peer_id, now + TYPING_SHOWN)
        elif isinstance(value, events.MessageReceived | events.Disconnected | events.PathLost):
            self._typing.pop(value.peer_id, None)
            self._read.discard(value.peer_id)  # an answer says it, and a new link begins anew

    def of(self, peer_id: str, now: float) -> str:
        """Return what is to stand beside a name, "" for nothing."""
        if now < self._typing.get(peer_id, 0.0):
            return TYPING
        return READ if peer_id in self._read else ""

    def until(self, peer_id: str, now: float) -> float | None:
        """Return when what stands there is over by itself."""
        until = self._typing.get(peer_id, 0.0)
        return until if until > now else None


def _put(table: dict[str, Any], peer_id: str, value: Any) -> None:
    if peer_id not in table and len(table) >= MAX_PEERS:
        del table[next(iter(table))]
    table[peer_id] = value
