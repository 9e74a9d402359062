"""
Requests about one line: an answer to it, another text for it, its deletion.

::

    /reply TEXT          answers their last line        /edit TEXT, /delete     your last line
    /reply #3 TEXT       line 3 of the last list        /edit #3 TEXT, ...      likewise
    /reply ID TEXT       for programs                   /edit ID TEXT, ...

The lines that are meant without a number are those of the current conversation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed

from p2pchat.errors import LocalProtocolError, WhoError
from p2pchat.identity.keys import peer_id_octets
from p2pchat.interfaces import INode
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.session.stored import About, place_of
from p2pchat.ui import results
from p2pchat.ui.known_lines import KnownLine, KnownLines
from p2pchat.wire.references import DELETE, EDIT, REPLY

LOOKED_AT = 50  # lines of the history in which the last one is looked for
_NAMED = re.compile(r"(#[0-9]{1,6}|[0-9a-f]{32}-[0-9]{1,18})(?:\s+|$)(.*)", re.DOTALL)
_NO_LIST = "no line has that number: /history and /search number them"


@attrs.define
class LineRequests:
    """
    The requests of one front end.

    :ivar announce: called with each result.
    :ivar answer: lets a Deferred's result answer the request of now.
    :ivar say: says something of a line, as the answer to the request of now.
    """

    _node: INode
    announce: Callable[[Any], None]
    answer: Callable[[Deferred[Any], Callable[[Any], None]], None]
    say: Callable[[str, str, About], None]
    known: KnownLines = attrs.Factory(KnownLines)

    def reply(self, argument: str, current: str) -> None:
        """Answer a line."""
        self._do(REPLY, argument, current)

    def edit(self, argument: str, current: str) -> None:
        """Let a line of ours say something else."""
        self._do(EDIT, argument, current)

    def delete(self, argument: str, current: str) -> None:
        """Delete a line of ours: where nobody can have it yet, it is taken back."""
        self._do(DELETE, argument, current)

    def _do(self, kind: str, argument: str, current: str) -> None:
        found = _NAMED.fullmatch(argument)
        name, text = (found[1], found[2]) if found is not None else ("", argument)
        if kind == DELETE and text:
            raise WhoError("/delete takes a line such as #3, or nothing for your last one.")
        if kind != DELETE and not text.strip():
            raise WhoError(f"/{kind} needs a text{_INSTEAD[kind]}.")
        if not name and not current:
            raise WhoError(f"/{kind}: you are talking to nobody now.")
        line = self._named(name) if name else self._last(current, kind != REPLY)
        self.answer(line, lambda one: self._say_of(kind, one, text))

    def _named(self, name: str) -> Deferred[KnownLine | None]:
        if name.startswith("#"):
            if (listed := self.known.numbered(int(name[1:]))) is None:
                raise WhoError(_NO_LIST)
            return succeed(self.known.get(listed.id) or listed)
        if (known := self.known.get(name)) is not None:
            return succeed(known)
        found: Deferred[Any] = self._node.history.line(name)
        return found.addCallback(lambda line: None if line is None else KnownLine.of(line))

    def _last(self, peer_id: str, ours: bool) -> Deferred[KnownLine | None]:
        known = self.known.last(peer_id, ours)
        if known is not None:
            return succeed(known)
        found: Deferred[Any] = self._node.history.last(peer_id, LOOKED_AT)
        return found.addCallback(lambda lines: _newest(lines, ours))

    def _say_of(self, kind: str, line: KnownLine | None, text: str) -> None:
        if line is None or line.text is None:
            raise WhoError("no such line is here" if line is None else "that line is deleted")
        if kind != REPLY and not line.ours:
            raise WhoError("that is a line of theirs; you can change your own")
        if kind == DELETE and self._is_withdrawn(line):
            return
        author = self._node.peer_id if line.ours else line.peer_id
        self.say(line.peer_id, text, About(kind, place_of(peer_id_octets(author), line.id)))

    def _is_withdrawn(self, line: KnownLine) -> bool:
        """Take a line back, where that goes; tells whether."""
        try:
            changes = self._node.withdraw(line.peer_id, line.id)
        except LocalProtocolError:
            return False
        name = {one.peer_id: one.name for one in self._node.contacts()}.get(line.peer_id, "")
        withdrawn = results.Withdrawn(line.peer_id, name, line.id, line.text or "", tuple(changes))
        self.announce(withdrawn)
        return True


_INSTEAD = {REPLY: "", EDIT: "; /delete removes a line"}


def _newest(lines: Sequence[HistoryLine], ours: bool) -> KnownLine | None:
    """Return the last line of theirs, or ours, that isn't deleted."""
    found = [one for one in lines if one.ours == ours and not one.deleted and not one.kind]
    return KnownLine.of(found[-1]) if found else None
