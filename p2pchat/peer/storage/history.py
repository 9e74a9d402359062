"""
Questions of a person to the history: the last lines of a conversation, and what has certain words.

Each function reads from a connection, in a thread of its own; all of them take a bounded part.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import attrs

from p2pchat.peer.storage.entry_table import MICROSECONDS
from p2pchat.session.conversation import UNKNOWN
from p2pchat.session.stored import message_id
from p2pchat.wire.entries import TEXT

MAX_LINES = 1000  # of one answer
MAX_FOUND = 50  # hits of a search
EXPORTED = 500  # lines that are read at once while all are written to a file
PREFIX = "*"  # at the end of a word: and what begins so

_LINE = """
    SELECT conversation.peer, log.author, log.name, log.confirmed,
        entry.number, entry.lamport, entry.sent_at, entry.arrived_at, entry.kind, entry.text
"""
_SHOWN = "AND entry.id > conversation.wiped"
# CROSS JOIN keeps the order: entries by their index, and no sorting but of few with one Lamport
# number.
_LAST = f"""
    {_LINE}
    FROM conversation CROSS JOIN entry CROSS JOIN log
    WHERE conversation.peer = ? AND entry.conversation = conversation.id AND log.id = entry.log
        {_SHOWN}
    ORDER BY entry.lamport DESC, log.author DESC, log.name DESC, entry.number DESC LIMIT ?
"""
_AFTER = f"""
    {_LINE}
    FROM conversation CROSS JOIN entry CROSS JOIN log
    WHERE conversation.peer = ? AND entry.conversation = conversation.id AND log.id = entry.log
        AND entry.lamport >= ?
        AND (entry.lamport, log.author, log.name, entry.number) > (?, ?, ?, ?)
        {_SHOWN}
    ORDER BY entry.lamport, log.author, log.name, entry.number LIMIT ?
"""
_FOUND = f"""
    {_LINE}
    FROM words CROSS JOIN entry CROSS JOIN conversation CROSS JOIN log
    WHERE words MATCH ? AND entry.id = words.rowid AND conversation.id = entry.conversation
        AND log.id = entry.log
        {_SHOWN}
    ORDER BY words.rowid DESC LIMIT ?
"""


@attrs.frozen
class HistoryLine:
    """
    One line of the history.

    :ivar id: as in the events of it.
    :ivar ours: we wrote it.
    :ivar delivered: of ours: the other side has it.
    :ivar sent_at: seconds since 1970 by its author's clock.
    :ivar arrived_at: seconds since 1970 by ours, when it was stored here.
    :ivar kind: "" for a text.
    """

    peer_id: str
    id: str
    ours: bool
    text: str
    sent_at: float
    arrived_at: float
    delivered: bool
    kind: str
    place: tuple[int, bytes, bytes, int] = attrs.field(repr=False)  # in the order of all


START: tuple[int, bytes, bytes, int] = (-1, b"", b"", 0)


def last_lines(
    connection: sqlite3.Connection, own: bytes, peer_id: str, count: int
) -> list[HistoryLine]:
    """Return the last lines of a conversation, in order."""
    rows = connection.execute(_LAST, (peer_id, min(count, MAX_LINES))).fetchall()
    return [_line(row, own) for row in reversed(rows)]


def lines_after(
    connection: sqlite3.Connection, own: bytes, peer_id: str, place: tuple[int, bytes, bytes, int]
) -> list[HistoryLine]:
    """Return EXPORTED lines of a conversation, in order, after the one of this place."""
    values = (peer_id, place[0], *place, EXPORTED)
    return [_line(row, own) for row in connection.execute(_AFTER, values).fetchall()]


def find_lines(connection: sqlite3.Connection, own: bytes, words: str) -> list[HistoryLine]:
    """Return the lines that have all of these words, the newest last."""
    query = quoted(words)
    if not query:
        return []
    rows = connection.execute(_FOUND, (query, MAX_FOUND)).fetchall()
    return [_line(row, own) for row in reversed(rows)]


def quoted(words: str) -> str:
    """Write words as a query of FTS5 that has no other meaning; "" where none is left."""
    return " ".join(_quoted(words))


def _quoted(words: str) -> Iterator[str]:
    for word in words.replace("\0", " ").split():
        stem = word.rstrip(PREFIX)
        if any(map(str.isalnum, stem)):  # else it has no word of the index
            escaped = stem.replace('"', '""')
            yield f'"{escaped}"{PREFIX if stem != word else ""}'


def _line(row: Any, own: bytes) -> HistoryLine:
    peer_id, author, log, confirmed, number, lamport, sent_at, arrived_at, kind, text = row
    return HistoryLine(
        peer_id,
        message_id(log, number),
        author == own,
        text or UNKNOWN.format(kind),
        sent_at / MICROSECONDS,
        arrived_at / MICROSECONDS,
        author == own and number <= confirmed,
        "" if kind == TEXT else kind,
        (lamport, author, log, number),
    )
