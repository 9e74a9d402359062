"""
Lines that a front end has shown, so that a person can mean one: the newest MAX_KNOWN.

Pure.  An edit or deletion of one changes it here, too.  ``/history`` and ``/search`` number their
lines; a number means a line of the last such list.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import attrs

from p2pchat import events
from p2pchat.peer.storage.history import HistoryLine

MAX_KNOWN = 1000  # lines; a person scrolls back over fewer


@attrs.frozen
class KnownLine:
    """
    One line.

    :ivar text: what it says now; ``None``: it was deleted.
    """

    peer_id: str
    id: str
    ours: bool
    text: str | None

    @classmethod
    def of(cls, line: HistoryLine) -> KnownLine:
        """Return a line of the history."""
        return cls(line.peer_id, line.id, line.ours, None if line.deleted else line.text)


@attrs.define
class KnownLines:
    """Those of all conversations of one front end."""

    _lines: OrderedDict[str, KnownLine] = attrs.Factory(OrderedDict)  # by id, oldest first
    _listed: tuple[KnownLine, ...] = ()

    def receive(self, event: Any) -> None:
        """Take an event of the node."""
        match event:
            case events.MessageSent(peer_id, id, text):
                if event.edits or event.deletes:
                    self._change(event.edits or event.deletes, text if event.edits else None)
                else:
                    self._add(KnownLine(peer_id, id, True, text))
            case events.MessageReceived(peer_id, _, id, text, kind=""):
                self._add(KnownLine(peer_id, id, False, text))
            case events.MessageEdited():
                self._change(event.id, event.text)
            case events.MessageDeleted():
                self._change(event.id, None)

    def show(self, lines: Sequence[HistoryLine], *, numbered: bool) -> None:
        """Take lines of the history that are shown, and perhaps numbered from 1."""
        found = tuple(KnownLine.of(one) for one in lines if not one.kind)
        for one in found:
            if one.id not in self._lines:
                self._add(one)
                self._lines.move_to_end(one.id, last=False)  # older than what was said since
        if numbered:
            self._listed = tuple(KnownLine.of(one) for one in lines)

    def numbered(self, number: int) -> KnownLine | None:
        """Return a line of the last list."""
        return self._listed[number - 1] if 0 < number <= len(self._listed) else None

    def get(self, id: str) -> KnownLine | None:
        """Return the line of an id."""
        return self._lines.get(id)

    def last(self, peer_id: str, ours: bool) -> KnownLine | None:
        """Return the last line of theirs, or ours, in a conversation that isn't deleted."""
        for one in reversed(self._lines.values()):
            if (one.peer_id, one.ours) == (peer_id, ours) and one.text is not None:
                return one
        return None

    def text(self, id: str) -> str:
        """Return what a line says; "" where that isn't known."""
        line = self._lines.get(id)
        return "" if line is None else line.text or ""

    def _add(self, line: KnownLine) -> None:
        self._lines[line.id] = line
        if len(self._lines) > MAX_KNOWN:
            self._lines.popitem(last=False)

    def _change(self, id: str, text: str | None) -> None:
        line = self._lines.get(id)
        if line is not None and line.text is not None:
            self._lines[id] = attrs.evolve(line, text=text)
