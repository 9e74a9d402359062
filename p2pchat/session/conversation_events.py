"""Events of a conversation, for its session and for the store."""

from __future__ import annotations

from typing import NamedTuple

import attrs

from p2pchat.session.stored import EntryRange, LogHead, StoredEntry
from p2pchat.wire.entries import Known


@attrs.frozen
class Introduced:
    """The other side has told what it has, first thing on a link."""

    is_new: bool  # a log that we didn't know: a first conversation, or the peer was restarted


class Sent(NamedTuple):
    """A line of ours is stored, and goes out as soon as there is a path."""

    id: str
    text: str


class Received(NamedTuple):
    """An entry of theirs; where this program doesn't know its kind, ``text`` says so."""

    id: str
    text: str
    sent_at: float  # seconds since 1970
    kind: str  # "" where it is a text


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
LineEvent = Sent | Received | Delivered | LinesRead
ConversationEvent = Introduced | LineEvent | StoreEvent


class Batch(NamedTuple):
    """
    Entries that are to be stored together, in order.

    :ivar replaces: a head of a log of ours; what came after it there is said again here.
    """

    entries: list[StoredEntry]
    replaces: LogHead | None = None
