"""
Deletion for good, a piece at a time, so that nothing waits for it.

::

    marked ─▶ entries deleted ─▶ index merged ─▶ file shortened ─▶ all rewritten ─▶ WAL cut
           ─▶ mark taken away

``conversation.wiped`` is the mark: what has an id up to it is shown no more, and goes.  A program
that ends in between goes on from the mark when it starts again.

What is deleted is overwritten (``secure_delete``).  The index of words (FTS5) only notes that a
line is gone, and has its words until the parts of the index are merged into one; SQLite can do that
in pieces.  Where SQLite has moved a row before, a copy may be left in unused bytes of a page, of
one line in some thousand: so a database of up to REWRITTEN bytes is written anew, at once; in a
greater one such bytes stay until they are used again.  The WAL still has the old pages until it is
written back and cut.

Lines of ours that the other side doesn't have yet stay: they are still to be sent.
"""

from __future__ import annotations

import sqlite3
import time
from enum import Enum

PIECE = 0.005  # seconds, about: whoever stores a line meanwhile waits for one and its commit
DELETED = 10  # entries a step
MERGED = 16  # pages of the index a step
FREED = 10  # pages of the file a step
REWRITTEN = 64 * 1024 * 1024  # bytes; half a second, for which lines wait

_MARK_ALL = """
    UPDATE conversation SET wiped = (SELECT coalesce(max(id), 0) FROM entry) WHERE peer = ?
"""
_MARK_OLD = """
    UPDATE conversation SET wiped = max(wiped, ?1)
    WHERE EXISTS (
        SELECT 1 FROM log JOIN entry ON entry.log = log.id
        WHERE log.conversation = conversation.id AND entry.id <= ?1
    )
"""
_MARKED = """
    SELECT entry.id FROM conversation CROSS JOIN entry CROSS JOIN log
    WHERE conversation.wiped > 0 AND entry.conversation = conversation.id
        AND log.id = entry.log AND entry.id <= conversation.wiped
        AND NOT (log.id IS conversation.writing AND entry.number > log.confirmed)
"""
_DELETE = f"DELETE FROM entry WHERE id IN ({_MARKED} LIMIT ?)"
_UNMARK = f"UPDATE conversation SET wiped = 0 WHERE NOT EXISTS ({_MARKED})"
_MERGE = "INSERT INTO words (words, rank) VALUES ('merge', ?)"


class DeletionStage(Enum):
    """Stages of a deletion."""

    DELETE = "entries are deleted"
    GATHER = "the index is about to be merged"
    MERGE = "the index is being merged"
    SHORTEN = "the file is being shortened"
    UNMARK = "all is written back, and the mark may go"
    DONE = "nothing is marked any more"


def mark(connection: sqlite3.Connection, peer_id: str) -> None:
    """Mark all that was said with a peer."""
    connection.execute(_MARK_ALL, (peer_id,))


def mark_older(connection: sqlite3.Connection, microseconds: int) -> bool:
    """Mark what was stored before a time; tells whether there is anything."""
    last = _last_before(connection, microseconds)
    if last:
        connection.execute(_MARK_OLD, (last,))
    return last > 0


def _last_before(connection: sqlite3.Connection, microseconds: int) -> int:
    """Return the id of the last entry before a time, 0 for none: ids are in the order of time."""
    first, last = connection.execute("SELECT min(id), max(id) FROM entry").fetchone()
    low, high = (0, 0) if first is None else (first - 1, last)
    while low < high:
        middle = (low + high + 1) // 2
        (arrived_at,) = connection.execute(
            "SELECT arrived_at FROM entry WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if arrived_at < microseconds:
            low = middle
        else:
            high = middle - 1
    return max(low, 0)


def rewrite(connection: sqlite3.Connection) -> None:
    """Write the database anew, if it isn't too large; outside a transaction."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * size <= REWRITTEN:
        connection.execute("VACUUM")


def is_marked(connection: sqlite3.Connection) -> bool:
    """Tell whether a deletion isn't finished."""
    return bool(connection.execute("SELECT 1 FROM conversation WHERE wiped > 0").fetchall())


def go_on(connection: sqlite3.Connection, stage: DeletionStage) -> DeletionStage:
    """Do one piece; returns the stage of the next one."""
    until = time.monotonic() + PIECE
    following = _step(connection, stage)
    while following is stage and time.monotonic() < until:
        following = _step(connection, stage)
    return following


def _step(connection: sqlite3.Connection, stage: DeletionStage) -> DeletionStage:
    before = connection.total_changes
    match stage:
        case DeletionStage.DELETE:
            connection.execute(_DELETE, (DELETED,))
            return (
                DeletionStage.DELETE if connection.total_changes > before else DeletionStage.GATHER
            )
        case DeletionStage.GATHER:
            connection.execute(_MERGE, (-MERGED,))  # negative: all parts, not only small ones
            return DeletionStage.MERGE
        case DeletionStage.MERGE:
            connection.execute(_MERGE, (MERGED,))
            # It counts as one change although nothing was left to be merged.
            return (
                DeletionStage.MERGE
                if connection.total_changes > before + 1
                else DeletionStage.SHORTEN
            )
        case DeletionStage.SHORTEN:
            for _ in range(FREED):  # from Python it frees one page, whatever is asked for
                connection.execute("PRAGMA incremental_vacuum(1)")
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            return DeletionStage.SHORTEN if free else DeletionStage.UNMARK
        case DeletionStage.UNMARK:
            connection.execute(_UNMARK)
    return DeletionStage.DELETE if is_marked(connection) else DeletionStage.DONE
