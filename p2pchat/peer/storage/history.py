"""
Questions of a person to the history: the last lines of a conversation, and what has certain words.

Each function reads from a connection, in a thread of its own; all of them take a bounded part.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import attrs

from p2pchat.errors import StorageFailed
from p2pchat.events import SPARSE
from p2pchat.peer.storage.changes import EntryState, text_of
from p2pchat.peer.storage.entry_table import MICROSECONDS
from p2pchat.session.conversation_events import UNKNOWN
from p2pchat.session.stored import message_id
from p2pchat.wire.entries import TEXT
from p2pchat.wire.references import DELETE, EDIT, REFERRING, REPLY

MAX_LINES = 1000  # of one answer
MAX_FOUND = 50  # hits of a search
MAX_CHARACTERS = 500_000  # of one answer
EXPORTED = 500  # lines that are read at once while all are written to a file
_ALL = 2**62  # greater than every id
MAX_QUOTE = 80  # characters; a row of a terminal
KNOWN = REFERRING | {TEXT}
PREFIX = "*"  # at the end of a word: and what begins so

_LINE = """
    SELECT conversation.peer, log.author, log.name, log.confirmed, log.read,
        entry.number, entry.lamport, entry.sent_at, entry.arrived_at, entry.kind, entry.text,
        entry.state, {raw}, reference.name, reference.number, quoted.text, quoted.state
"""
_QUOTED = """
    LEFT JOIN reference ON entry.kind <> 'text' AND reference.entry = entry.id
    LEFT JOIN log AS named ON named.conversation = reference.conversation
        AND named.author = reference.author AND named.name = reference.name
    LEFT JOIN entry AS quoted ON quoted.log = named.id AND quoted.number = reference.number
"""
_CHANGE = f"iif(entry.kind = '{EDIT}', entry.raw, NULL)"  # what a row of an edit doesn't tell
_LINES = _LINE.format(raw="NULL")
_SHOWN = f"AND entry.id > conversation.wiped AND entry.state <> {int(EntryState.REPEATED)}"
_NO_CHANGES = f"AND entry.kind NOT IN ('{EDIT}', '{DELETE}')"
# CROSS JOIN keeps the order: entries by their index, and no sorting but of few with one Lamport
# number.
_LAST = f"""
    {_LINES}
    FROM conversation CROSS JOIN entry CROSS JOIN log {_QUOTED}
    WHERE conversation.peer = ? AND entry.conversation = conversation.id AND log.id = entry.log
        AND entry.id <= ? {_SHOWN} {_NO_CHANGES}
    ORDER BY entry.lamport DESC, log.author DESC, log.name DESC, entry.number DESC LIMIT ?
"""
_WHERE = """
    SELECT entry.conversation, entry.lamport, log.author, log.name, entry.number
    FROM log JOIN entry ON entry.log = log.id WHERE log.name = ? AND entry.number = ?
"""
_BEFORE = f"""
    {_LINES}
    FROM conversation CROSS JOIN entry CROSS JOIN log {_QUOTED}
    WHERE conversation.id = ? AND entry.conversation = conversation.id AND log.id = entry.log
        AND entry.lamport <= ?
        AND (entry.lamport, log.author, log.name, entry.number) < (?, ?, ?, ?)
        {_SHOWN} {_NO_CHANGES}
    ORDER BY entry.lamport DESC, log.author DESC, log.name DESC, entry.number DESC LIMIT ?
"""
_AFTER = f"""
    {_LINE.format(raw="entry.raw")}
    FROM conversation CROSS JOIN entry CROSS JOIN log {_QUOTED}
    WHERE conversation.peer = ? AND entry.conversation = conversation.id AND log.id = entry.log
        AND entry.lamport >= ?
        AND (entry.lamport, log.author, log.name, entry.number) > (?, ?, ?, ?)
        {_SHOWN}
    ORDER BY entry.lamport, log.author, log.name, entry.number LIMIT ?
"""
_WAITING = f"""
    {_LINE.format(raw=_CHANGE)}
    FROM conversation CROSS JOIN log CROSS JOIN entry {_QUOTED}
    WHERE (? = '' OR conversation.peer = ?) AND log.id = conversation.writing
        AND entry.log = log.id AND entry.number > log.confirmed
    ORDER BY conversation.id, entry.number LIMIT ?
"""
_ONE = f"""
    {_LINES}
    FROM log CROSS JOIN entry CROSS JOIN conversation {_QUOTED}
    WHERE log.name = ? AND entry.log = log.id AND entry.number = ?
        AND conversation.id = entry.conversation {_SHOWN} {_NO_CHANGES}
"""
_FOUND = f"""
    {_LINES}
    FROM words CROSS JOIN entry CROSS JOIN conversation CROSS JOIN log {_QUOTED}
    WHERE words MATCH ? AND entry.id = words.rowid AND conversation.id = entry.conversation
        AND log.id = entry.log
        {_SHOWN}
    ORDER BY words.rowid DESC LIMIT ?
"""


Place = tuple[int, bytes, bytes, int]  # of a line in its conversation: what lines are ordered by
START: Place = (-1, b"", b"", 0)


@attrs.frozen
class HistoryLine:
    """
    One line of the history.

    :ivar id: as in the events of it.
    :ivar ours: we wrote it.
    :ivar sent_at: seconds since 1970 by its author's clock.
    :ivar arrived_at: seconds since 1970 by ours, when it was stored here.
    :ivar delivered: of ours: the other side has it.
    :ivar kind: "" for a text.
    :ivar name: of the peer, where several are listed.
    :ivar read: of ours: the other person has seen it.
    :ivar edited: its author has changed it; ``text`` is what it says now.
    :ivar deleted: its author has deleted it; ``text`` is "".
    :ivar reply_to: id of the line that it answers, or as an edit or deletion changes.
    :ivar quote: how that line begins, where it is here.
    :ivar original: what it said before it was edited; only in an export.
    :ivar kept_until: of one that waits at a registry, how long, in seconds since 1970; else None.
    """

    peer_id: str
    id: str
    ours: bool
    text: str
    sent_at: float
    arrived_at: float
    delivered: bool
    kind: str = attrs.field(default="", metadata=SPARSE)
    name: str = attrs.field(default="", metadata=SPARSE)
    read: bool = attrs.field(default=False, metadata=SPARSE)
    edited: bool = attrs.field(default=False, metadata=SPARSE)
    deleted: bool = attrs.field(default=False, metadata=SPARSE)
    reply_to: str = attrs.field(default="", metadata=SPARSE)
    quote: str = attrs.field(default="", metadata=SPARSE)
    original: str = attrs.field(default="", metadata=SPARSE)
    kept_until: float | None = attrs.field(default=None, metadata=SPARSE)


def newest_id(connection: sqlite3.Connection) -> int:
    """Return the id of the entry that was stored last; 0 for none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM entry").fetchone()[0])


def last_lines(
    connection: sqlite3.Connection, own: bytes, peer_id: str, count: int, up_to: int = _ALL
) -> list[HistoryLine]:
    """
    Return the last lines of a conversation, in order.

    :param up_to: the greatest id that one may have.
    """
    rows = connection.execute(_LAST, (peer_id, up_to, min(count, MAX_LINES)))
    return _bounded(rows, own)


def lines_before(
    connection: sqlite3.Connection, own: bytes, id: str, count: int
) -> list[HistoryLine]:
    """
    Return the last lines before the line of an id, in its conversation, in order.

    :raises StorageFailed: that one isn't here.
    """
    name, _, number = id.rpartition("-")
    place = connection.execute(_WHERE, (bytes.fromhex(name), int(number))).fetchone()
    if place is None:
        raise StorageFailed("that line isn't kept any more: /history shows the last ones")
    values = (*place[:2], *place[1:], min(count, MAX_LINES))
    return _bounded(connection.execute(_BEFORE, values), own)


def line(connection: sqlite3.Connection, own: bytes, id: str) -> HistoryLine | None:
    """Return the line of an id; ``None`` where it isn't here."""
    name, _, number = id.rpartition("-")
    row = connection.execute(_ONE, (bytes.fromhex(name), int(number))).fetchone()
    return None if row is None else _line(row, own)


def lines_after(
    connection: sqlite3.Connection, own: bytes, peer_id: str, place: Place
) -> tuple[list[HistoryLine], Place]:
    """Return EXPORTED lines of a conversation, in order, after a place; and that of the last."""
    values = (peer_id, place[0], *place, EXPORTED)
    rows = connection.execute(_AFTER, values).fetchall()
    return [_line(row, own) for row in rows], _place(rows[-1]) if rows else place


def waiting_lines(connection: sqlite3.Connection, own: bytes, peer_id: str) -> list[HistoryLine]:
    """Return lines of ours that the other side doesn't have, of everybody for ""; the oldest."""
    rows = connection.execute(_WAITING, (peer_id, peer_id, MAX_LINES)).fetchall()
    return [_line(row, own) for row in rows]


def find_lines(connection: sqlite3.Connection, own: bytes, words: str) -> list[HistoryLine]:
    """Return the lines that have all of these words, the newest last."""
    query = quoted(words)
    return _bounded(connection.execute(_FOUND, (query, MAX_FOUND)), own) if query else []


def _bounded(rows: sqlite3.Cursor, own: bytes) -> list[HistoryLine]:
    """Return lines that come newest first, in order, and of long ones fewer."""
    found: list[HistoryLine] = []
    size = 0
    for row in rows:
        line = _line(row, own)
        size += len(line.text)
        if found and size > MAX_CHARACTERS:
            break
        found.append(line)
    rows.close()
    return found[::-1]


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
    peer_id, author, log, confirmed, read, number, _, sent_at, arrived_at, kind, text, *more = row
    state, raw, name, named, quoted, quoted_state = more
    if kind == EDIT:  # what a deleted line said in between is gone with it
        text = "" if quoted_state == EntryState.DELETED else text_of(raw)
    elif kind not in KNOWN:
        text = UNKNOWN.format(kind)
    return HistoryLine(
        peer_id,
        message_id(log, number),
        author == own,
        text,
        sent_at / MICROSECONDS,
        arrived_at / MICROSECONDS,
        author == own and number <= confirmed,
        "" if kind in {TEXT, REPLY} else kind,
        read=author == own and number <= read,
        edited=state == EntryState.EDITED,
        deleted=state == EntryState.DELETED,
        reply_to="" if name is None else message_id(name, named),
        quote=(quoted or "")[:MAX_QUOTE],
        original=text_of(raw) if raw is not None and state == EntryState.EDITED else "",
    )


def _place(row: Any) -> Place:
    _, author, log, _, _, number, lamport, *_ = row
    return lamport, author, log, number
