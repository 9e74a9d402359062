"""
Requests about what was said: the history, a search, an export, deletion.

Results are announced later, as the answers of the request that asked for them.  A contact that took
another's place, since the person has a new key, has that one's history before its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks

from p2pchat.errors import WhoError
from p2pchat.interfaces import INode
from p2pchat.peer.storage.history import MAX_LINES, HistoryLine
from p2pchat.ui import results
from p2pchat.ui.display_names import SHORT_ID
from p2pchat.ui.known_lines import KnownLines

LINES = 20  # of /history, where no number is given
LONGEST_NUMBER = 6  # digits of one in a list; a name of digits alone is longer, or isn't meant
MESSAGE_ID = re.compile("[0-9a-f]{32}-[0-9]{1,18}")
OPENED = 10  # lines that are shown when a conversation is opened


@attrs.define
class HistoryRequests:
    """
    The requests of one front end.

    :ivar announce: called with each result.
    :ivar answer: lets a Deferred's result be announced as the answer to the request of now.
    """

    _node: INode
    announce: Callable[[Any], None]
    answer: Callable[[Deferred[Any], Callable[[Any], None]], None]
    _known: KnownLines
    _listed: tuple[HistoryLine, ...] = ()  # of the last /outbox
    _oldest: dict[str, str] = attrs.Factory(dict)  # by peer, the first line that was shown last
    _opened: set[str] = attrs.Factory(set)  # conversations whose last lines were shown

    def show(self, argument: str, current: str) -> None:
        """
        Show the last lines of a conversation, the current one where none is named.

        Or those before a line, where its id is the last word.
        """
        argument, before = _with_id(argument)
        who, count = _with_number(argument)
        peer_id = self._node.whom(who) if who else current
        if not peer_id:
            raise WhoError("/history WHO: you are talking to nobody now.")
        self._page(peer_id, count, before)

    def older(self, argument: str, current: str) -> None:
        """Show the lines before those of the current conversation that were shown last."""
        if not current:
            raise WhoError("/older: you are talking to nobody now.")
        if argument and not argument.isdecimal():
            raise WhoError("/older takes a number of lines, or nothing.")
        self._page(current, _with_number(argument)[1], self._oldest.get(current, ""))

    def _page(self, peer_id: str, count: int, before: str) -> None:
        is_last = not before
        self.answer(
            self._joined(peer_id, count, self._node.history.last)
            if is_last
            else self._before(peer_id, count, before),
            lambda lines: self._show(
                results.History(*self._named(peer_id), tuple(lines), before=before)
            ),
        )

    @inlineCallbacks
    def _before(self, peer_id: str, count: int, id: str) -> Any:
        """Return a Deferred of lines before one, with whichever key the person had."""
        found: list[HistoryLine] = yield self._node.history.before(id, count)
        line: HistoryLine | None = yield self._node.history.line(id)
        ids = self._ids(peer_id)
        former = ids[: ids.index(line.peer_id)] if line is not None and line.peer_id in ids else ()
        for one in reversed(former):
            if len(found) < count:
                found = [*(yield self._node.history.last(one, count - len(found))), *found]
        return found

    def _show(self, listed: results.History | results.Found) -> None:
        """Show lines with numbers, by which a person can mean one."""
        self._known.show(listed.lines, numbered=True)
        self._note_oldest(listed)
        self.announce(listed)

    def _note_oldest(self, listed: results.History | results.Found) -> None:
        if isinstance(listed, results.History) and listed.lines:
            self._oldest[listed.peer_id] = listed.lines[0].id

    def open(self, peer_id: str) -> None:
        """Show what was said before this run of the program, the first time."""
        if peer_id and peer_id not in self._opened:
            self._opened.add(peer_id)
            found = self._joined(peer_id, OPENED, self._node.history.earlier)
            found.addCallbacks(lambda lines: self._show_earlier(peer_id, lines), lambda _: None)

    def _show_earlier(self, peer_id: str, lines: Sequence[HistoryLine]) -> None:
        if lines:
            opened = results.History(*self._named(peer_id), tuple(lines), opened=True)
            self._known.show(lines, numbered=False)
            self._note_oldest(opened)
            self.announce(opened)

    def search(self, words: str) -> None:
        """Show the newest lines of all conversations that have all of these words."""
        self.answer(
            self._node.history.search(words),
            lambda lines: self._show(results.Found(words, self._with_names(lines))),
        )

    def outbox(self, argument: str) -> None:
        """Show which lines wait, or take one back: by its number in that list, or its id."""
        if argument.isdecimal() and len(argument) <= LONGEST_NUMBER:
            self._withdraw([self._listed[number] for number in self._chosen(int(argument))])
        elif MESSAGE_ID.fullmatch(argument):
            waiting = self._node.history.waiting("")
            self.answer(waiting, lambda lines: self._withdraw(_only(argument, lines)))
        else:
            waiting = self._node.history.waiting(self._node.whom(argument) if argument else "")
            self.answer(waiting, self._list)

    def _list(self, lines: Sequence[HistoryLine]) -> None:
        until = self._node.kept_until
        kept = [attrs.evolve(one, kept_until=until(one.peer_id, one.id)) for one in lines]
        self._listed = self._with_names(kept)
        self.announce(results.WaitingLines(self._listed))

    def _chosen(self, number: int) -> list[int]:
        return [number - 1] if 0 < number <= len(self._listed) else []

    def _withdraw(self, found: Sequence[HistoryLine]) -> None:
        if not found:
            raise WhoError("no such line waits; /outbox shows them with their numbers")
        (line,) = self._with_names(found)
        changes = tuple(self._node.withdraw(line.peer_id, line.id))
        self._listed = ()  # others have other numbers now
        self.announce(results.Withdrawn(line.peer_id, line.name, line.id, line.text, changes))

    def export(self, argument: str) -> None:
        """Write a conversation to a file, whose name is the last word."""
        who, _, file = argument.rpartition(" ")
        if not who:
            raise WhoError("/export needs a name or an id, and a file.")
        named = self._named(self._node.whom(who.strip()))
        self.answer(
            self._node.history.export(self._ids(named[0]), file),
            lambda count: self.announce(results.Exported(*named, file, count)),
        )

    def wipe(self, who: str) -> None:
        """Delete a conversation."""
        named = self._named(self._node.whom(who))
        self.answer(self._wipe(named[0]), lambda _: self.announce(results.Wiped(*named)))

    @inlineCallbacks
    def _wipe(self, peer_id: str) -> Any:
        for one in self._ids(peer_id):
            yield self._node.history.wipe(one)

    @inlineCallbacks
    def _joined(
        self, peer_id: str, count: int, ask: Callable[[str, int], Deferred[list[HistoryLine]]]
    ) -> Any:
        """Return a Deferred of the last lines with a person, whichever key that had."""
        found: list[HistoryLine] = []
        for one in self._ids(peer_id):
            found += yield ask(one, count)
        return found[-count:]

    def _ids(self, peer_id: str) -> tuple[str, ...]:
        """Return the ids that a person has had, the first one first."""
        before = {one.peer_id: one.before for one in self._node.contacts()}
        return (*reversed(before.get(peer_id, ())), peer_id)

    def _named(self, peer_id: str) -> tuple[str, str]:
        return peer_id, self._names().get(peer_id) or peer_id[:SHORT_ID]

    def _with_names(self, lines: Sequence[HistoryLine]) -> tuple[HistoryLine, ...]:
        names = self._names()
        return tuple(
            attrs.evolve(one, name=names.get(one.peer_id) or one.peer_id[:SHORT_ID])
            for one in lines
        )

    def _names(self) -> dict[str, str]:
        here = {one.peer_id: one.name for one in self._node.conversations()}
        contacts = [one for one in self._node.contacts() if one.contact]
        former = {peer_id: one.name for one in contacts for peer_id in one.before}
        return former | here | {one.peer_id: one.name for one in contacts}


def _with_id(argument: str) -> tuple[str, str]:
    """Take the id of a line from the end of an argument."""
    rest, _, last = argument.rpartition(" ")
    return (rest.strip(), last) if MESSAGE_ID.fullmatch(last) else (argument, "")


def _with_number(argument: str) -> tuple[str, int]:
    """Take a number of lines from the end of an argument."""
    who, _, last = argument.rpartition(" ")
    if last.isdecimal() and last.isascii():
        return who.strip(), max(1, min(int(last[:9]), MAX_LINES))
    return argument, LINES


def _only(name: str, lines: Sequence[HistoryLine]) -> list[HistoryLine]:
    """Return the line of this id."""
    return [line for line in lines if line.id == name]
