"""
The statements that store entries, and read them for the machines; each is called in a thread.

Python lets go of its lock for each step of SQLite and waits for it after, up to a time slice where
the reactor is busy.  So many rows are one statement: that is forty times as fast then, and twice as
fast otherwise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

from p2pchat.peer.storage import changes
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry
from p2pchat.wire.entries import Known
from p2pchat.wire.references import EDIT

CHUNKS = (64, 8, 1)  # rows of one statement; each number is a statement that is prepared once
MICROSECONDS = 1_000_000  # a second
DAY = 86_400  # seconds

_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT = """
    INSERT INTO entry
        (conversation, log, number, lamport, sent_at, arrived_at, kind, text, raw)
    VALUES {} ON CONFLICT (log, number) DO NOTHING
"""
_INSERTS = {count: _INSERT.format(", ".join([_ROW] * count)) for count in CHUNKS}

_CONVERSATION = """
    INSERT INTO conversation (peer, lamport, day, day_bytes) VALUES (?, ?, ?, ?)
    ON CONFLICT (peer) DO UPDATE SET
        lamport = max(lamport, excluded.lamport),
        day_bytes = iif(excluded.day > day, 0, day_bytes) + excluded.day_bytes,
        day = max(day, excluded.day)
    RETURNING id
"""
_LOG = """
    INSERT INTO log (conversation, author, name, number, hash, confirmed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (conversation, author, name) DO UPDATE SET
        hash = iif(excluded.number > number, excluded.hash, hash),
        number = max(number, excluded.number),
        confirmed = max(confirmed, excluded.confirmed)
    RETURNING id, EXISTS (
        SELECT 1 FROM reference
        WHERE conversation = ?1 AND author = ?2 AND name = ?3 AND number BETWEEN ?7 AND ?4
    )
"""
_LOG_OF = """
    SELECT log.id FROM conversation JOIN log ON log.conversation = conversation.id
    WHERE conversation.peer = ? AND log.author = ? AND log.name = ?
"""
_HEAD = """
    SELECT author, name, (SELECT min(number) FROM entry WHERE entry.log = log.id), number, hash
    FROM log WHERE conversation = ? ORDER BY id
"""
_MARKS = "SELECT author, name, read FROM log WHERE conversation = ? AND read > 0 ORDER BY id"
_UNDELIVERED = """
    SELECT log.author, log.name, entry.number, lamport, sent_at, kind, text, raw, arrived_at
    FROM log JOIN entry ON entry.log = log.id
    WHERE log.id = ? AND entry.number > log.confirmed ORDER BY entry.number
"""


class Append(NamedTuple):
    """
    Entries of one conversation that are to be stored, in order.

    :ivar author: raw id of ours.
    """

    peer_id: str
    author: bytes
    entries: Sequence[StoredEntry]


def append(connection: sqlite3.Connection, write: Append) -> list[StoredEntry]:
    """
    Store entries; those that are there already stay as they are.

    Returns those that say what another one here says.
    """
    entries, own = write.entries, write.author
    theirs = [one for one in entries if one.author != own]
    day = max((int(one.arrived_at // DAY) for one in theirs), default=0)
    lamport = max(one.lamport for one in entries)
    values = (write.peer_id, lamport, day, sum(len(one.raw) for one in theirs))
    conversation = _id(connection, _CONVERSATION, values)
    logs: dict[tuple[bytes, bytes], int] = {}
    late = []  # the ends of what has lines that were changed before they came
    for first, last in _ends_of_logs(entries):
        ends = (*_head_of(conversation, own, last), first.number)
        ((log, is_late),) = connection.execute(_LOG, ends).fetchall()
        logs[last.author, last.log] = log
        late += [(first, last)] * is_late
    rows = [_row(conversation, logs[one.author, one.log], one) for one in entries]
    for chunk in _chunks(rows):
        connection.execute(_INSERTS[len(chunk)], list(chain.from_iterable(chunk)))
    written = [one.log for one in entries if one.author == own and not one.is_delivered]
    if written:
        connection.execute(
            "UPDATE conversation SET writing = ?1 WHERE id = ?2 AND writing IS NOT ?1",
            (logs[own, written[-1]], conversation),
        )
    for first, last in late:
        changes.came_late(connection, conversation, first, last)
    return changes.note(connection, conversation, entries)


def _ends_of_logs(entries: Sequence[StoredEntry]) -> list[tuple[StoredEntry, StoredEntry]]:
    """Return the first and the last of the entries of each log."""
    found: dict[tuple[bytes, bytes], tuple[StoredEntry, StoredEntry]] = {}
    for one in entries:
        first, last = found.setdefault((one.author, one.log), (one, one))
        if one.number > last.number:
            found[one.author, one.log] = (first, one)
        elif one.number < first.number:
            found[one.author, one.log] = (one, last)
    return list(found.values())


def _id(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> int:
    ((found,),) = connection.execute(statement, values).fetchall()
    return int(found)


def _head_of(conversation: int, own: bytes, one: StoredEntry) -> tuple[object, ...]:
    confirmed = one.number if one.author == own and one.is_delivered else 0
    return conversation, one.author, one.log, one.number, sha256(one.raw).digest(), confirmed


def _row(conversation: int, log: int, one: StoredEntry) -> tuple[object, ...]:
    times = round(one.sent_at * MICROSECONDS), round(one.arrived_at * MICROSECONDS)
    text = one.text if one.kind != EDIT else ""  # its words are those of the line
    return conversation, log, one.number, one.lamport, *times, one.kind, text, one.raw


def _chunks(rows: list[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    at = 0
    for size in CHUNKS:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


def replace(connection: sqlite3.Connection, head: LogHead, write: Append) -> None:
    """Delete what comes after a head of a log of ours, and store what is said in its place."""
    id = _log(connection, write.peer_id, write.author, head.log)
    changed = changes.changed_by(connection, id, head.number) if id is not None else []
    if id is not None:
        connection.execute("DELETE FROM entry WHERE log = ? AND number > ?", (id, head.number))
        values = (head.number, head.hash, id)
        connection.execute("UPDATE log SET number = ?, hash = ? WHERE id = ?", values)
    for conversation, place in changed:
        changes.settle(connection, conversation, place)
    if write.entries:
        append(connection, write)


def _log(connection: sqlite3.Connection, peer_id: str, author: bytes, log: bytes) -> int | None:
    found = connection.execute(_LOG_OF, (peer_id, author, log)).fetchall()
    return found[0][0] if found else None


def confirm(
    connection: sqlite3.Connection, peer_id: str, author: bytes, log: bytes, number: int
) -> None:
    """Note that the other side has a log of ours up to a number."""
    connection.execute(
        "UPDATE log SET confirmed = max(confirmed, ?) WHERE id = ?",
        (number, _log(connection, peer_id, author, log)),
    )


def mark_read(connection: sqlite3.Connection, peer_id: str, marks: Sequence[Known]) -> None:
    """Note how far logs were read by the side that didn't write them."""
    for author, log, number in marks:
        connection.execute(
            "UPDATE log SET read = max(read, ?) WHERE id = ?",
            (number, _log(connection, peer_id, author, log)),
        )


def raw_entries(
    connection: sqlite3.Connection, peer_id: str, wanted: EntryRange, most_bytes: int
) -> list[bytes]:
    """Return entries as they came, without a gap; at most so many bytes, but always one."""
    log = _log(connection, peer_id, wanted.author, wanted.log)
    rows = connection.execute(
        "SELECT number, raw FROM entry WHERE log = ? AND number BETWEEN ? AND ? ORDER BY number",
        (log, wanted.first, wanted.last),
    )
    found: list[bytes] = []
    size = 0
    for number, raw in rows:
        size += len(raw)
        if number != wanted.first + len(found) or (found and size > most_bytes):
            break
        found.append(raw)
    rows.close()
    return found


class Kept(NamedTuple):
    """
    One conversation as it is kept.

    :ivar day: since 1970, of the last entries of theirs; they had ``day_bytes``.
    """

    peer_id: str
    state: ConversationState
    day: int
    day_bytes: int


def load(connection: sqlite3.Connection) -> list[Kept]:
    """Read what every conversation goes on from."""
    rows = connection.execute(
        "SELECT id, peer, lamport, writing, day, day_bytes FROM conversation ORDER BY id"
    ).fetchall()
    return [
        Kept(peer, _state(connection, id, lamport, writing), *day)
        for id, peer, lamport, writing, *day in rows
    ]


def _state(
    connection: sqlite3.Connection, conversation: int, lamport: int, writing: int | None
) -> ConversationState:
    heads = [_head(row) for row in connection.execute(_HEAD, (conversation,))]
    names = connection.execute("SELECT name FROM log WHERE id = ?", (writing,)).fetchall()
    undelivered = map(_entry, connection.execute(_UNDELIVERED, (writing,)))
    name = names[0][0] if names else b""
    marks = map(Known._make, connection.execute(_MARKS, (conversation,)))
    return ConversationState(name, lamport, tuple(heads), tuple(undelivered), tuple(marks))


def _head(row: Any) -> LogHead:
    author, name, oldest, number, hashed = row
    return LogHead(author, name, number + 1 if oldest is None else oldest, number, hashed)


def _entry(row: Any) -> StoredEntry:
    author, log, number, lamport, sent_at, kind, text, raw, arrived_at = row
    return StoredEntry(
        author,
        log,
        number,
        lamport,
        sent_at / MICROSECONDS,
        kind,
        text,
        raw,
        arrived_at / MICROSECONDS,
    )
