"""
Entries that the other side lacks, of any log of a conversation, on their way from our store to it.

::

    begin ─▶ next_wanted ─▶ store ─▶ take ─▶ next_frame ─▶ the link
                 └───────── so long as there are more ──────┘

Owns what is passed on, a PORTION at a time, one log after the other: no more is read from the store
before the last portion went out.  Whether the other side lacks anything is decided by what it says;
it is believed once for each log and link, so that one who says the same again costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256

import attrs

from p2pchat.session.stored import EntryRange
from p2pchat.wire import entries
from p2pchat.wire.entries import NOTHING
from p2pchat.wire.framing import encode_frame

PORTION = 64 * 1024  # bytes of entries that are read from the store at once


class LookUp(Enum):
    """Result of looking entries up in the store."""

    FOUND = "found"
    GONE = "gone"  # the entry that is wanted isn't here any more
    FORKED = "forked"  # the other side has another entry in its place


@attrs.define
class _Task:
    author: bytes
    log: bytes
    next: int
    last: int
    before: bytes  # hash of the entry before the next one, as the other side has it

    @property
    def wanted(self) -> EntryRange:
        """Where they can be compared, with the entry before."""
        first = self.next if self.before == NOTHING else self.next - 1
        return EntryRange(self.author, self.log, first, self.last)


@attrs.define(eq=False)
class PassingOn:
    """The entries for one link."""

    _tasks: deque[_Task] = attrs.Factory(deque)
    _frames: deque[bytes] = attrs.Factory(deque)
    _asked: EntryRange | None = None

    def begin(self, wanted: EntryRange, before: bytes) -> None:
        """
        Pass entries on.

        :param before: hash of the one before the first, as the other side has it; or zeros.
        """
        self._tasks.append(_Task(wanted.author, wanted.log, wanted.first, wanted.last, before))

    def drop(self, log: bytes) -> None:
        """Pass nothing of a log on."""
        if self._tasks and self._tasks[0].log == log:
            self._asked = None
            self._frames.clear()
        self._tasks = deque(task for task in self._tasks if task.log != log)

    def holds_back(self, log: bytes) -> bool:
        """Tell whether entries of a log are to go out before others of it."""
        return bool(self._frames) or any(task.log == log for task in self._tasks)

    def next_wanted(self) -> EntryRange | None:
        """Return, once, what is to be read from the store."""
        if self._asked is not None or self._frames or not self._tasks:
            return None
        self._asked = self._tasks[0].wanted
        return self._asked

    def take(self, wanted: EntryRange, raws: Sequence[bytes] | None) -> LookUp:
        """
        Take what the store has of it.

        :param raws: ``None`` where it can't be read now.
        """
        if wanted is not self._asked:
            return LookUp.FOUND  # of a link that has ended
        self._asked, task = None, self._tasks[0]
        found = list(raws or ())
        if found and task.before != NOTHING:
            is_same = sha256(found.pop(0)).digest() == task.before
            task.before = NOTHING
            if not is_same:
                self._tasks.popleft()
                return LookUp.FORKED
        self._frames.extend(encode_frame(entries.ENTRY + raw) for raw in found)
        task.next += len(found)
        if not raws or task.next > task.last:
            self._tasks.popleft()
        return LookUp.GONE if raws is not None and not raws else LookUp.FOUND

    def next_frame(self, most: int) -> bytes:
        """Return, and forget, the next frame, if it has at most so many bytes; else none."""
        if not self._frames or len(self._frames[0]) > most:
            return b""
        return self._frames.popleft()
