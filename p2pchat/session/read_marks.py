"""
Read marks: how far each log of a conversation was read by the side that didn't write it.

::

    our person has seen a line ─▶ advance ─▶ READ goes out, on this link and again on the next one
    their READ ─────────────────▶ receive ─▶ told, if that is further than before

A mark only rises, so a READ that is lost, late, twice or old changes nothing.  Refuses nothing: a
READ of what never was written, or wasn't confirmed, is no error, for a log may have been put back;
it counts as far as the other side is known to have the log.

Who has switched it off neither sends marks nor takes any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from p2pchat.session.conversation_events import LinesRead, MarksRisen
from p2pchat.session.stored import message_id
from p2pchat.wire import entries
from p2pchat.wire.entries import Known
from p2pchat.wire.framing import encode_frame

MAX_NAMED = 64  # logs of theirs, the newest, that the READ of a new link names

_Name = tuple[bytes, bytes]  # of a log: its author's raw id, and its own 16 bytes


@attrs.define(eq=False)
class ReadMarks:
    """
    The marks of one conversation.

    :ivar other: raw id of the other side.
    :ivar is_on: tells whether marks are sent and taken.
    """

    other: bytes
    _events: deque[Any]  # of the conversation
    _known: Callable[[Known], int]  # how much of a log they are known to have, if it is ours
    is_on: Callable[[], bool] = lambda: True
    _marks: dict[_Name, int] = attrs.Factory(dict)
    _owed: dict[_Name, None] = attrs.Factory(dict)  # to be told on the link of now

    def restore(self, kept: Iterable[Known]) -> None:
        """Go on from what was kept."""
        self._marks = {(one.author, one.log): one.number for one in kept}

    def state(self) -> tuple[Known, ...]:
        """Return what to go on from."""
        return tuple(Known(*name, number) for name, number in self._marks.items())

    def __getitem__(self, name: _Name) -> int:
        """Return how far a log was read; 0: not at all, as far as is known."""
        return self._marks.get(name, 0)

    def advance(self, mark: Known) -> bool:
        """Take it that a log was read so far; tell whether that is further than before."""
        name = (mark.author, mark.log)
        if not self.is_on() or mark.number <= self[name]:
            return False
        self._marks[name] = mark.number
        if mark.author == self.other:
            self._owed[name] = None
        return True

    def link_began(self) -> None:
        """Tell it all once more: nobody knows what arrived on the link before."""
        theirs = [name for name in self._marks if name[0] == self.other]
        self._owed = dict.fromkeys(theirs[-MAX_NAMED:])

    def seen(self, id: str) -> None:
        """Our person has seen a line of theirs, and so all before it in its log."""
        log, _, number = id.rpartition("-")
        mark = Known(self.other, bytes.fromhex(log), int(number))
        if self.advance(mark):
            self._events.append(MarksRisen((mark,)))

    def receive(self, items: bytes) -> None:
        """
        Take a READ, without the byte of its type.

        :raises RemoteProtocolError: it is malformed.
        """
        said = entries.decode_read(items)
        capped = [one._replace(number=min(one.number, self._known(one))) for one in said]
        risen = tuple(one for one in capped if self.advance(one))
        if risen:
            self._events.append(MarksRisen(risen))
            self._events.append(LinesRead(message_id(risen[-1].log, risen[-1].number)))

    def next_frame(self, most: int) -> bytes:
        """Return, and forget, what is to be told, in at most so many bytes."""
        frame = self._frame(self._owed) if self._owed and self.is_on() else b""
        if len(frame) > most:
            return b""
        self._owed.clear()
        return frame

    def body(self, log: bytes) -> bytes:
        """Return a READ of one log of theirs, as an envelope has it; b"" where there is no mark."""
        mark = Known(self.other, log, self[self.other, log])
        return entries.encode_read([mark]) if mark.number and self.is_on() else b""

    def _frame(self, names: Iterable[_Name]) -> bytes:
        return encode_frame(entries.encode_read(Known(*name, self[name]) for name in names))
