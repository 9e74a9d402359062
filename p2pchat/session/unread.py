"""
Lines of the other side that somebody still has to read, and the bytes of its stream they hold.

::

    arrived ─▶ unread ── read, or hidden ──▶ taken ─▶ CREDIT
                 └─ of an earlier link: its window is over, and only ``size`` becomes less

What is given back to us of our own log is nobody's to read: it counts as taken when it is stored.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import attrs

from p2pchat.session.stored import StoredEntry
from p2pchat.wire import entries
from p2pchat.wire.framing import LENGTH

MAIL = -1  # in place of the number of a link: what comes by mail is in no stream's window


class Unread(NamedTuple):
    """An entry that isn't read: its place, its bytes as they came, and the link that brought it."""

    log: bytes
    number: int
    raw: bytes
    link: int


@attrs.define(eq=False)
class UnreadLines:
    """
    Those of one conversation.

    :ivar size: bytes of the frames that aren't taken, of all links.
    """

    size: int = 0
    _lines: deque[Unread] = attrs.Factory(deque)
    _returned: deque[Unread] = attrs.Factory(deque)  # given back, and not stored yet
    _links: int = 0
    _taken: int = 0  # bytes of the link of now that count as taken

    def __bool__(self) -> bool:
        """Whether lines wait for a reader."""
        return bool(self._lines)

    def link_began(self) -> None:
        """What comes from now on came by a new link."""
        self._links += 1

    def link_ended(self) -> None:
        """Forget what was taken: the stream is over."""
        self._taken = 0

    def add(self, entry: StoredEntry, are_theirs: bool, is_mail: bool = False) -> None:
        """Let an entry wait: of theirs for its reader, one of ours for the store."""
        waiting = self._lines if are_theirs else self._returned
        link = MAIL if is_mail else self._links
        waiting.append(Unread(entry.log, entry.number, entry.raw, link))
        self.size += _frame_size(entry.raw)

    def take_frame(self, size: int) -> None:
        """A frame that nobody reads was taken."""
        self._taken += size

    def next_taken(self) -> int:
        """Return, and forget, how many bytes of the stream were taken."""
        taken, self._taken = self._taken, 0
        return taken

    def stored_ours(self) -> None:
        """The next one of those that were given back is stored."""
        self._take(self._returned.popleft())

    def read(self, log: bytes, number: int) -> Unread | None:
        """Somebody has taken a line, and so all before it; returns the last that wasn't read."""
        lines = self._lines
        if not any(one.log == log for one in lines):  # mostly the first one's
            return None
        while lines and lines[0].log != log:  # of a log that isn't written any more
            self._take(lines.popleft())
        last = None
        while lines and lines[0].log == log and lines[0].number <= number:
            last = lines.popleft()
            self._take(last)
        return last

    def hide(self, log: bytes, number: int) -> None:
        """Nobody is to read an entry: it counts as taken."""
        for one in self._lines:
            if (one.log, one.number) == (log, number):
                self._lines.remove(one)
                self._take(one)
                return

    def _take(self, line: Unread) -> None:
        size = _frame_size(line.raw)
        self.size -= size
        if line.link == self._links:
            self._taken += size


def _frame_size(raw: bytes) -> int:
    return LENGTH + len(entries.ENTRY) + len(raw)
