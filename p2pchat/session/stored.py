"""
Conversations as a store keeps them: entries as they came, and where each log ends.

Values only.  A store hands back at the start of a program what it was given before
(:class:`p2pchat.interfaces.IMessageStore`), and a conversation goes on from there.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from p2pchat.wire.entries import NOTHING, Known


def message_id(log: bytes, number: int) -> str:
    """Return the id of a message, the same on both sides: its author's log and its number."""
    return f"{log.hex()}-{number}"


def place_of(author: bytes, id: str) -> Known:
    """Return the place of a message of somebody, by its id."""
    log, _, number = id.rpartition("-")
    return Known(author, bytes.fromhex(log), int(number))


class About(NamedTuple):
    """Kind of an entry that says something of an older one, and the place of that one."""

    kind: str
    place: Known


class Content(NamedTuple):
    """Content of one entry; ``refers`` is what an answer or a change names."""

    kind: str
    text: str
    refers: Known | None = None


# A tuple: one is made for each line.
class StoredEntry(NamedTuple):
    """
    An entry of a conversation as it is kept, ours or theirs.

    What is shown is in the order of ``lamport, author, log, number``.

    :ivar author: raw id of who wrote it.
    :ivar log: the author's, 16 bytes.
    :ivar number: in the log, from 1.
    :ivar sent_at: seconds since 1970 by the author's clock.
    :ivar kind: of the body (:mod:`p2pchat.wire.references`), or a word that isn't known here.
    :ivar text: that the body has; of a kind that has none, or isn't known, "".
    :ivar raw: its bytes as they came: they are hashed, signed and passed on.
    :ivar arrived_at: seconds since 1970 by our clock; of one of ours, when it was written.
    :ivar is_delivered: of one of ours, whether the other side is known to have it: it gave us back
        what we had lost.
    :ivar refers: what it answers or changes, where its kind does.
    :ivar first: where its author wrote the same before, and now says it again.
    """

    author: bytes
    log: bytes
    number: int
    lamport: int
    sent_at: float
    kind: str
    text: str
    raw: bytes
    arrived_at: float
    is_delivered: bool = False
    refers: Known | None = None
    first: Known | None = None

    @property
    def id(self) -> str:
        """The id of the message."""
        return message_id(self.log, self.number)


@attrs.frozen
class LogHead:
    """
    End of a log as it is stored; it outlives entries that were wiped or have become too old.

    :ivar author: raw id of who writes it.
    :ivar oldest: number of the oldest entry whose bytes are still here; ``number`` + 1 for none.
    :ivar number: of the last one, 0 before any.
    :ivar hash: SHA-256 of the last one's ``raw``.
    """

    author: bytes
    log: bytes
    oldest: int = 1
    number: int = 0
    hash: bytes = NOTHING


@attrs.frozen
class EntryRange:
    """Entries of one log, both ends included."""

    author: bytes
    log: bytes
    first: int
    last: int


@attrs.frozen
class ConversationState:
    """
    State that a conversation goes on from.

    :ivar log: of ours, the one that was written to last, not the one that was given back last; b""
        where there is none.
    :ivar lamport: the greatest Lamport time of all entries.
    :ivar heads: of every log, ours and theirs, in the order in which they were begun.
    :ivar undelivered: entries of ``log`` that the other side hasn't confirmed, by number.
    :ivar marks: how far logs were read by the side that didn't write them.
    """

    log: bytes
    lamport: int
    heads: tuple[LogHead, ...] = ()
    undelivered: tuple[StoredEntry, ...] = ()
    marks: tuple[Known, ...] = ()
