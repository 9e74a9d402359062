"""Events of a conversation, for its session and for the store."""

from __future__ import annotations

from typing import NamedTuple

import attrs

from p2pchat.session.stored import EntryRange, LogHead, StoredEntry, message_id
from p2pchat.wire.entries import TEXT, Known
from p2pchat.wire.references import CHANGES, REFERRING, REPLY

UNKNOWN = "a message of the kind {!r}, which this version can't show"
FOREIGN = "a change of a line that isn't theirs, which changes nothing"


@attrs.frozen
class Introduced:
    """The other side has told what it has, first thing on a link."""

    is_new: bool  # a log that we didn't know: a first conversation, or the peer was restarted


class Sent(NamedTuple):
    """
    An entry of ours is stored, and goes out as soon as there is a path.

    ``refers`` is the id of the line that it answers or changes.
    """

    id: str
    text: str
    kind: str = TEXT
    refers: str = ""


class Received(NamedTuple):
    """An entry of theirs; where this program can't show its kind, ``text`` says so."""

    id: str
    text: str
    sent_at: float  # seconds since 1970
    kind: str  # "" where it is a text
    reply_to: str = ""  # id of the line that it answers


class Changed(NamedTuple):
    """A line of theirs says something else from now on, or is gone."""

    id: str  # of the line
    change: str  # of the entry that changes it
    kind: str
    text: str
    sent_at: float  # seconds since 1970


class Delivered(NamedTuple):
    """The other side has a line of ours."""

    id: str
    seconds: float  # since it was said


class LinesRead(NamedTuple):
    """Their person has seen a line of ours, and so all before it."""

    id: str


@attrs.frozen
class MarksRisen:
    """Logs were read further, ours by them or theirs by us."""

    marks: tuple[Known, ...]


class Paused(NamedTuple):
    """The other side stores nothing more of ours before a time, in seconds since 1970."""

    until: float


@attrs.frozen
class Confirmed:
    """The other side has our log up to a number."""

    log: bytes
    number: int


@attrs.frozen
class EntriesWaiting:
    """Entries are to be stored, where none were before."""

    are_ours: bool


@attrs.frozen
class EntriesWanted:
    """Entries are to be read from the store, for the other side."""

    wanted: EntryRange


StoreEvent = EntriesWaiting | Confirmed | MarksRisen | EntriesWanted
LineEvent = Sent | Received | Changed | Delivered | LinesRead | Paused
ConversationEvent = Introduced | LineEvent | StoreEvent


class Batch(NamedTuple):
    """
    Entries that are to be stored together, in order.

    :ivar replaces: a head of a log of ours; what came after it there is said again here.
    """

    entries: list[StoredEntry]
    replaces: LogHead | None = None


def sent(entry: StoredEntry, first_id: str) -> Sent:
    """Return what is told of an entry of ours that is stored."""
    if entry.refers is None:
        return Sent(first_id or entry.id, entry.text)
    named = message_id(entry.refers.log, entry.refers.number)
    return Sent(first_id or entry.id, entry.text, entry.kind, named)


def arrived(entry: StoredEntry) -> Received | Changed:
    """Return what is told of an entry of theirs that is stored."""
    id, kind, named = entry.id, entry.kind, entry.refers
    if kind == TEXT:
        return Received(id, entry.text, entry.sent_at, "")
    if named is None or kind not in REFERRING:
        return Received(id, UNKNOWN.format(kind), entry.sent_at, kind)
    line = message_id(named.log, named.number)
    if kind == REPLY:
        return Received(id, entry.text, entry.sent_at, "", line)
    if named.author == entry.author and kind in CHANGES:
        return Changed(line, id, kind, entry.text, entry.sent_at)
    return Received(id, FOREIGN, entry.sent_at, kind)
