"""
Lines of ours that were written again in another place, by the ids under which people know them.

A line that waits moves where one before it is taken back, or where its log is given up.  Whoever
saw it under its first id may still answer, edit or delete it by that.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from p2pchat.errors import LocalProtocolError
from p2pchat.session.own_log import Line, Moved, OwnLog
from p2pchat.session.stored import About, Content, message_id
from p2pchat.wire.entries import Known
from p2pchat.wire.references import CHANGES

MAX_MOVED = 10_000  # lines that are remembered; no more wait for delivery


@attrs.define(eq=False)
class MovedLines:
    """Those of one conversation, in this run of the program."""

    _places: dict[str, Known] = attrs.Factory(dict)

    def content(self, author: bytes, text: str, about: About) -> Content:
        """
        Return what an entry of an author is to say of an older one.

        :raises LocalProtocolError: it would change a line of somebody else's.
        """
        kind, place = about
        if kind in CHANGES and place.author != author:
            raise LocalProtocolError("nobody changes a line but its author")
        return Content(kind, text, self._places.get(message_id(place.log, place.number), place))

    def forget(self, id: str) -> None:
        """Another line has this id from now on."""
        if self._places:
            self._places.pop(id, None)

    def say_again(
        self, ours: OwnLog, lines: Sequence[Line], moved: Moved, lamport: int
    ) -> list[str]:
        """
        Write lines after the last one of a log; returns the ids of changes of what is gone.

        :param moved: where others have moved to.
        :param lamport: Lamport time of the first one; each has one more.
        """
        gone = []
        for time, line in enumerate(lines, lamport):
            again = ours.write_again(line, time, moved)
            if again is None:
                gone.append(line.first_id or line.id_in(ours.name))
                continue
            self._places[again.first_id] = Known(ours.author, ours.name, again.number)
            if len(self._places) > MAX_MOVED:
                del self._places[next(iter(self._places))]
        return gone
