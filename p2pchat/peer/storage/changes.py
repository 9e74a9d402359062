"""
Changes of stored entries by later ones: edits, deletions, and lines that were said again.

::

    entry ── an edit of its author's ──▶ edited ── a newer edit ──▶ edited
      ├───── a deletion of its author's ─────────▶ deleted            for good
      └───── said again, and that one comes first ▶ repeated          not shown

The newest edit is that with the greatest (Lamport number, log, number), in whatever order they
arrive; a deletion is before all of them.  What names no line of its author's, or an edit, changes
nothing, and is kept: its line may still come.

A line that was said again has the time of the first one, and names its place: of those, and that
one, the first in the order of the conversation is shown, with the changes of all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from p2pchat.session.stored import StoredEntry
from p2pchat.wire.entries import Known, LogEntry
from p2pchat.wire.references import CHANGES, DELETE, EDIT, read_body


class EntryState(IntEnum):
    """States of an entry, as its row has them."""

    PLAIN = 0
    EDITED = 1
    DELETED = 2
    REPEATED = 3


MAX_REPEATS = 8  # of a line, that are followed to the one that is shown; each is a lost database
_GONE = (EntryState.REPEATED, None, "", b"")

_PLACE = """
    SELECT entry.id FROM log JOIN entry ON entry.log = log.id
    WHERE log.conversation = ? AND log.author = ? AND log.name = ? AND entry.number = ?
"""
_LINE = """
    SELECT entry.state, entry.changed_by, entry.kind, entry.raw FROM entry WHERE entry.id = ?
"""
_ORDER = "entry.lamport DESC, log.name DESC, entry.number DESC"
_NEWEST = f"""
    SELECT entry.id, entry.kind, entry.raw
    FROM reference JOIN entry ON entry.id = reference.entry JOIN log ON log.id = entry.log
    WHERE reference.conversation = ?1 AND reference.author = ?2 AND reference.name = ?3
        AND reference.number = ?4 AND log.author = ?2 AND entry.kind IN ('{EDIT}', '{DELETE}')
    ORDER BY entry.kind = '{DELETE}' DESC, {_ORDER} LIMIT 1
"""
_NEWER = f"""
    SELECT entry.id FROM entry JOIN log ON log.id = entry.log WHERE entry.id IN (?, ?)
    ORDER BY {_ORDER} LIMIT 1
"""
_SHOWN = """
    SELECT entry FROM said_first
    WHERE conversation = ? AND author = ? AND name = ? AND number = ? AND sent_at = ?
"""
_SHOW = """
    INSERT OR REPLACE INTO said_first (conversation, author, name, number, sent_at, entry)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_FIRST = f"""
    SELECT entry.id FROM entry JOIN log ON log.id = entry.log
    WHERE entry.id IN (?, ?) AND entry.sent_at = ? AND entry.kind NOT IN ('{EDIT}', '{DELETE}')
    ORDER BY entry.lamport, log.name, entry.number
"""
_SET = "UPDATE entry SET state = ?, changed_by = ?, text = ? WHERE id = ?"
_REFERENCE = """
    INSERT OR IGNORE INTO reference (entry, conversation, author, name, number)
    VALUES (?, ?, ?, ?, ?)
"""
_REFERRED = """
    SELECT DISTINCT name, number FROM reference
    WHERE conversation = ? AND author = ? AND name = ? AND number BETWEEN ? AND ?
"""


def note(
    connection: sqlite3.Connection, conversation: int, entries: Sequence[StoredEntry]
) -> list[StoredEntry]:
    """Let entries that were stored change others; returns those that say nothing new."""
    repeated = []
    for one in entries:
        if one.refers is None and one.first is None:
            continue
        id = _id(connection, conversation, Known(one.author, one.log, one.number))
        if id is None:
            continue
        if one.refers is not None:
            connection.execute(_REFERENCE, (id, conversation, *one.refers))
            if one.kind in CHANGES and one.refers.author == one.author:
                _change(connection, conversation, one, id)
        if one.first is not None and _show_first(connection, conversation, one, id):
            repeated.append(one)
    return repeated


def came_late(
    connection: sqlite3.Connection, conversation: int, first: StoredEntry, last: StoredEntry
) -> None:
    """Let lines of a log, from one to another, have the changes that came before them."""
    place = (conversation, first.author, first.log, first.number, last.number)
    for name, number in connection.execute(_REFERRED, place).fetchall():
        settle(connection, conversation, Known(first.author, name, number))


def _id(connection: sqlite3.Connection, conversation: int, place: Known) -> int | None:
    found = connection.execute(_PLACE, (conversation, *place)).fetchone()
    return None if found is None else int(found[0])


def _change(
    connection: sqlite3.Connection, conversation: int, change: StoredEntry, change_id: int
) -> None:
    """Let a change count, if it is the newest of its line; the others aren't looked at."""
    assert change.refers is not None
    id = _id(connection, conversation, change.refers)
    if id is None:
        return
    state, before, kind, _ = connection.execute(_LINE, (id,)).fetchone()
    for _ in range(MAX_REPEATS):
        if state != EntryState.REPEATED:
            break
        id = before
        state, before, _, _ = connection.execute(_LINE, (id,)).fetchone() or _GONE
    if kind in CHANGES or state in {EntryState.DELETED, EntryState.REPEATED}:
        return
    if change.kind == DELETE:
        connection.execute(_SET, (EntryState.DELETED, change_id, "", id))
    elif connection.execute(_NEWER, (change_id, before)).fetchone() == (change_id,):
        connection.execute(_SET, (EntryState.EDITED, change_id, change.text, id))


def settle(connection: sqlite3.Connection, conversation: int, place: Known) -> None:
    """Let a line say what the newest of all its changes says, or what it said first."""
    id = _id(connection, conversation, place)
    if id is None:
        return
    state, _, kind, raw = connection.execute(_LINE, (id,)).fetchone()
    if kind in CHANGES or state == EntryState.REPEATED:
        return
    newest = connection.execute(_NEWEST, (conversation, *place)).fetchone()
    if newest is None:
        values: tuple[Any, ...] = (EntryState.PLAIN, None, text_of(raw))
    elif newest[1] == DELETE:
        values = (EntryState.DELETED, newest[0], "")
    else:
        values = (EntryState.EDITED, newest[0], text_of(newest[2]))
    connection.execute(_SET, (*values, id))


def changed_by(connection: sqlite3.Connection, log: int, after: int) -> list[tuple[int, Known]]:
    """Return what the entries of a log after one of them change, and its conversation."""
    rows = connection.execute(
        "SELECT reference.conversation, reference.author, reference.name, reference.number "
        "FROM entry JOIN reference ON reference.entry = entry.id "
        "WHERE entry.log = ? AND entry.number > ?",
        (log, after),
    )
    return [(conversation, Known(*place)) for conversation, *place in rows]


def _show_first(
    connection: sqlite3.Connection, conversation: int, one: StoredEntry, id: int
) -> bool:
    """Of two entries that say the same, show the first; tells whether there was another."""
    assert one.first is not None
    if one.first.author != one.author or one.kind in CHANGES:
        return False
    said = (conversation, *one.first, round(one.sent_at * 1_000_000))
    shown = connection.execute(_SHOWN, said).fetchone()
    other = _id(connection, conversation, one.first) if shown is None else shown[0]
    same = [row[0] for row in connection.execute(_FIRST, (id, other, said[-1]))]
    connection.execute(_SHOW, (*said, same[0]))
    if len(same) < 2:
        return False
    _join(connection, *same)
    return True


def _join(connection: sqlite3.Connection, shown: int, hidden: int) -> None:
    """Give a line the change of another one that says the same, if that counts; and hide that."""
    found = "SELECT state, changed_by, text FROM entry WHERE id = ?"
    ours, theirs = (connection.execute(found, (id,)).fetchone() for id in (shown, hidden))
    newest = connection.execute(_NEWER, (ours[1], theirs[1])).fetchone()
    is_kept = ours[0] == EntryState.DELETED or newest in {None, (ours[1],)}
    if theirs[0] == EntryState.DELETED or not is_kept:
        connection.execute(_SET, (*theirs, shown))
    connection.execute(_SET, (EntryState.REPEATED, shown, "", hidden))


def text_of(raw: bytes) -> str:
    """Return the text of an entry as it came; "" where its bytes are gone."""
    if not raw:
        return ""
    entry = LogEntry.decode(raw)
    return read_body(entry.kind, entry.body)[0]
