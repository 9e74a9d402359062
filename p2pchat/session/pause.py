"""
Pause of a conversation: who was sent too much for a day says until when nothing is stored.

::

    quota reached ─▶ pause ─▶ PAUSE goes out, on this link and again on the next ones
    something of theirs is stored ─▶ over
    their PAUSE ───▶ receive ─▶ told, once on a link for each time

Only words: what is stored and confirmed is decided elsewhere, and lines wait at their author's as
they do without a receipt.  Refuses nothing but a PAUSE that is cut short.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Any

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.conversation_events import Paused
from p2pchat.wire import entries
from p2pchat.wire.framing import encode_frame

LONGEST = 2 * 86_400.0  # seconds; a pause ends with a day, and clocks differ
MAX_PAUSES = 4  # that are told on one link

_UNTIL = Struct("!Q")  # seconds since 1970


@attrs.define(eq=False)
class Pause:
    """
    Both sides' pauses of one conversation.

    :ivar events: of the conversation.
    """

    _events: deque[Any]
    _until: float = 0.0  # of ours, 0 while there is none
    _is_owed: bool = False
    _theirs: int = 0  # of theirs that was told last on this link
    _count: int = 0  # that were told

    def begin(self, until: float) -> None:
        """Say that nothing of theirs is stored before a time, in seconds since 1970."""
        self._is_owed = self._is_owed or until != self._until
        self._until = until

    def over(self) -> None:
        """Something of theirs is stored again."""
        self._until, self._is_owed = 0.0, False

    def link_began(self) -> None:
        """Say it once more: nobody knows what arrived on the link before."""
        self._is_owed = self._until > 0
        self._theirs, self._count = 0, 0

    def receive(self, body: bytes, wall: float) -> None:
        """
        Take a PAUSE, without the byte of its type.

        :param wall: seconds since 1970.
        :raises RemoteProtocolError: it is cut short.
        """
        if len(body) < _UNTIL.size:
            raise RemoteProtocolError("a PAUSE that is cut short")
        (until,) = _UNTIL.unpack_from(body)
        if until != self._theirs and until > wall and self._count < MAX_PAUSES:
            self._theirs, self._count = until, self._count + 1
            self._events.append(Paused(min(until, wall + LONGEST)))

    def next_frame(self, most: int) -> bytes:
        """Return, and forget, the frame that says it, if it has at most so many bytes."""
        if not self._is_owed:
            return b""
        frame = encode_frame(entries.PAUSE + _UNTIL.pack(int(self._until)))
        if len(frame) > most:
            return b""
        self._is_owed = False
        return frame
