"""
Mailboxes as tables of SQLite: the limits, and what is deleted when.

::

    mailbox ──1 prekeys         mailbox ──< token         mailbox ──< envelope
    until: prekeys' end + KEPT                            until: KEPT after it was left

Times are seconds of a clock that the caller keeps (:mod:`p2pchat.registry.mailbox.sqlite_store`):
none is a time of day but ``published`` and ``allowed``, which are what the owner's documents say of
themselves and are compared with one another alone.

An envelope is written once; to replace it is to delete it and to write another.  Every function is
done within a transaction of its caller, and raises what SQLite raises: where there is no room,
``SQLITE_FULL``, and then nothing of it is done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from p2pchat.registry.mailbox.outcomes import (
    GivenPrekeys,
    KeptEnvelope,
    LeftEnvelope,
    MailboxCounts,
    MailboxOutcome,
    PublishedPrekeys,
)
from p2pchat.wire.mailbox import (
    FETCH_BYTES,
    KEPT,
    MAILBOX_BYTES,
    MAX_FETCHED,
    TOKEN_BYTES,
    TOKEN_ENVELOPES,
    Mail,
    MailboxState,
    envelope_name,
)

MAX_GIVEN = 10  # one-time keys of a document for one token: nobody takes them all
EXPIRED = 500  # envelopes, and as many mailboxes, that are deleted in one step: some 20 ms

SCHEMA = (
    "CREATE TABLE clock (steady REAL NOT NULL, wall REAL NOT NULL) STRICT",
    """
    CREATE TABLE mailbox (
        id INTEGER PRIMARY KEY,
        peer TEXT NOT NULL UNIQUE,           -- peer id of its owner
        published REAL NOT NULL,             -- when its prekeys were signed, by their author
        allowed REAL NOT NULL DEFAULT 0,     -- when its tokens were, likewise
        ends REAL NOT NULL,                  -- of the prekeys
        until REAL NOT NULL,                 -- of all of it
        one_time INTEGER NOT NULL,           -- how many one-time keys there are
        given INTEGER NOT NULL DEFAULT 0,    -- how many of these, from the first on, were given out
        tokens INTEGER NOT NULL DEFAULT 0,   -- counted, as are
        waiting INTEGER NOT NULL DEFAULT 0,  -- envelopes
        bytes INTEGER NOT NULL DEFAULT 0     -- of these
    ) STRICT
    """,
    "CREATE INDEX mailbox_until ON mailbox (until)",
    "CREATE TABLE prekeys (mailbox INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT",
    """
    CREATE TABLE token (
        mailbox INTEGER NOT NULL,
        hash BLOB NOT NULL,
        given INTEGER NOT NULL DEFAULT 0,    -- one-time keys
        PRIMARY KEY (mailbox, hash)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE envelope (
        id INTEGER PRIMARY KEY,              -- in the order of their coming
        mailbox INTEGER NOT NULL,
        name BLOB NOT NULL,
        token BLOB NOT NULL,                 -- its hash
        until REAL NOT NULL,
        size INTEGER NOT NULL,
        octets BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX envelope_name ON envelope (mailbox, name)",
    "CREATE INDEX envelope_token ON envelope (mailbox, token, size)",
    "CREATE INDEX envelope_until ON envelope (until)",
    """
    CREATE TRIGGER envelope_kept AFTER INSERT ON envelope BEGIN
        UPDATE mailbox SET waiting = waiting + 1, bytes = bytes + new.size WHERE id = new.mailbox;
    END
    """,
    """
    CREATE TRIGGER envelope_gone AFTER DELETE ON envelope BEGIN
        UPDATE mailbox SET waiting = waiting - 1, bytes = bytes - old.size WHERE id = old.mailbox;
    END
    """,
)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, in an empty database."""
    for statement in SCHEMA:
        connection.execute(statement)


def state(connection: sqlite3.Connection, peer: str, now: float) -> MailboxState | None:
    """Return the state of a mailbox."""
    found = connection.execute(
        "SELECT waiting, one_time - given, tokens FROM mailbox WHERE peer = ? AND until > ?",
        (peer, now),
    ).fetchone()
    return None if found is None else MailboxState(*found)


def _owned(connection: sqlite3.Connection, peer: str, now: float) -> tuple[int, float, float]:
    """Return a mailbox's id, and when its documents were signed; 0 where there is none."""
    found = connection.execute(
        "SELECT id, published, allowed FROM mailbox WHERE peer = ? AND until > ?", (peer, now)
    ).fetchone()
    return found or (0, 0.0, 0.0)


def publish(
    connection: sqlite3.Connection, peer: str, prekeys: PublishedPrekeys, now: float
) -> MailboxState | MailboxOutcome:
    """Take an owner's prekeys, and make it a mailbox if it has none."""
    mailbox, published, _ = _owned(connection, peer, now)
    if mailbox and prekeys.issued_at < published:
        return MailboxOutcome.SUPERSEDED
    if mailbox and _has(connection, mailbox, prekeys.document):  # its keys aren't given out again
        return _state(connection, peer, now)
    ends = now + prekeys.lifetime
    said = (prekeys.issued_at, ends, ends + KEPT, prekeys.one_time)
    if mailbox:
        connection.execute(
            "UPDATE mailbox SET published = ?, ends = ?, until = ?, one_time = ?, given = 0 "
            "WHERE id = ?",
            (*said, mailbox),
        )
        connection.execute("UPDATE token SET given = 0 WHERE mailbox = ? AND given", (mailbox,))
    else:
        _forget(connection, peer)
        mailbox = int(
            connection.execute(
                "INSERT INTO mailbox (peer, published, ends, until, one_time) "
                "VALUES (?, ?, ?, ?, ?)",
                (peer, *said),
            ).lastrowid
            or 0
        )
    connection.execute("REPLACE INTO prekeys VALUES (?, ?)", (mailbox, prekeys.document))
    return _state(connection, peer, now)


def _has(connection: sqlite3.Connection, mailbox: int, document: str) -> bool:
    found = connection.execute("SELECT document FROM prekeys WHERE mailbox = ?", (mailbox,))
    return bool(found.fetchone() == (document,))


def _state(connection: sqlite3.Connection, peer: str, now: float) -> MailboxState:
    found = state(connection, peer, now)
    assert found is not None, "it was there in this transaction"
    return found


def allow(
    connection: sqlite3.Connection,
    peer: str,
    tokens: Iterable[bytes],
    issued_at: float,
    now: float,
) -> MailboxState | MailboxOutcome:
    """Take the hashes of all tokens that are good from now on."""
    mailbox, _, allowed = _owned(connection, peer, now)
    if not mailbox:
        return MailboxOutcome.UNKNOWN
    if issued_at < allowed:
        return MailboxOutcome.SUPERSEDED
    good = set(tokens)
    rows = connection.execute("SELECT hash FROM token WHERE mailbox = ?", (mailbox,))
    had = {hash_ for (hash_,) in rows}
    # What goes first makes room for what comes, even where there is none.
    gone, come = ([(mailbox, one) for one in these] for these in (had - good, good - had))
    connection.executemany("DELETE FROM token WHERE mailbox = ? AND hash = ?", gone)
    connection.executemany("INSERT INTO token (mailbox, hash) VALUES (?, ?)", come)
    connection.execute(
        "UPDATE mailbox SET allowed = ?, tokens = ? WHERE id = ?", (issued_at, len(good), mailbox)
    )
    return _state(connection, peer, now)


def give(
    connection: sqlite3.Connection, peer: str, token: bytes, now: float
) -> GivenPrekeys | MailboxOutcome:
    """Give prekeys to one who has a token; the same work is done where there is none."""
    found = connection.execute(
        "SELECT mailbox.id, ends > ?, one_time, mailbox.given, token.given, document "
        "FROM mailbox JOIN token ON token.mailbox = mailbox.id JOIN prekeys "
        "ON prekeys.mailbox = mailbox.id WHERE peer = ? AND hash = ? AND until > ?",
        (now, peer, token, now),
    ).fetchone()
    if found is None:
        return MailboxOutcome.UNKNOWN
    mailbox, is_good, one_time, given, given_to_token, document = found
    if not is_good:
        return MailboxOutcome.NO_PREKEYS
    if given >= one_time or given_to_token >= MAX_GIVEN:
        return GivenPrekeys(document, None)
    connection.execute("UPDATE mailbox SET given = given + 1 WHERE id = ?", (mailbox,))
    connection.execute(
        "UPDATE token SET given = given + 1 WHERE mailbox = ? AND hash = ?", (mailbox, token)
    )
    return GivenPrekeys(document, given)


def deposit(
    connection: sqlite3.Connection, left: LeftEnvelope, now: float
) -> KeptEnvelope | MailboxOutcome:
    """Keep an envelope."""
    found = connection.execute(
        "SELECT id, bytes FROM mailbox JOIN token ON mailbox = id "
        "WHERE peer = ? AND hash = ? AND until > ?",
        (left.peer, left.token, now),
    ).fetchone()
    if found is None:
        return MailboxOutcome.UNKNOWN
    mailbox, used = found
    name, size = envelope_name(left.envelope), len(left.envelope)
    kept = connection.execute(
        "SELECT until FROM envelope WHERE mailbox = ? AND name = ? AND until > ?",
        (mailbox, name, now),
    ).fetchone()
    if kept is not None:
        return KeptEnvelope(kept[0] - now, _state(connection, left.peer, now))
    replaced, freed = _replaced(connection, mailbox, left.token, left.replaces)
    count, waiting = connection.execute(
        "SELECT count(*), total(size) FROM envelope WHERE mailbox = ? AND token = ?",
        (mailbox, left.token),
    ).fetchone()
    if waiting + size - freed > TOKEN_BYTES or count + (not replaced) > TOKEN_ENVELOPES:
        return MailboxOutcome.TOKEN_FULL
    if used + size - freed > MAILBOX_BYTES:
        return MailboxOutcome.MAILBOX_FULL
    connection.execute(
        "DELETE FROM envelope WHERE id = ? OR (mailbox = ? AND name = ?)", (replaced, mailbox, name)
    )
    connection.execute(
        "INSERT INTO envelope (mailbox, name, token, until, size, octets) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (mailbox, name, left.token, now + KEPT, size, left.envelope),
    )
    # The prekeys may end meanwhile, and none come; what was said to be kept is kept.
    connection.execute(
        "UPDATE mailbox SET until = max(until, ?) WHERE id = ?", (now + KEPT, mailbox)
    )
    return KeptEnvelope(KEPT, _state(connection, left.peer, now))


def _replaced(
    connection: sqlite3.Connection, mailbox: int, token: bytes, name: bytes
) -> tuple[int, int]:
    """Return id and size of an envelope of a token; 0 and 0 where it isn't there any more."""
    found = connection.execute(
        "SELECT id, size FROM envelope WHERE mailbox = ? AND name = ? AND token = ?",
        (mailbox, name, token),
    ).fetchone()
    return found or (0, 0)


def fetch(connection: sqlite3.Connection, peer: str, now: float) -> Mail | MailboxOutcome:
    """Return what waits longest."""
    mailbox, _, _ = _owned(connection, peer, now)
    if not mailbox:
        return MailboxOutcome.UNKNOWN
    rows = connection.execute(
        "SELECT id, name, size FROM envelope WHERE mailbox = ? AND until > ? ORDER BY id LIMIT ?",
        (mailbox, now, MAX_FETCHED),
    )
    room, envelopes = FETCH_BYTES, []
    for id_, name, size in rows.fetchall():
        room -= size
        if room < 0:
            break
        query = "SELECT octets FROM envelope WHERE id = ?"
        (octets,) = connection.execute(query, (id_,)).fetchone()
        if envelope_name(octets) == name:
            envelopes.append(octets)
        else:  # damaged on the disk: its owner couldn't acknowledge it
            connection.execute("DELETE FROM envelope WHERE id = ?", (id_,))
    return Mail(_state(connection, peer, now), tuple(envelopes))


def acknowledge(
    connection: sqlite3.Connection, peer: str, names: Iterable[bytes], now: float
) -> MailboxState | MailboxOutcome:
    """Delete what the owner has stored."""
    mailbox, _, _ = _owned(connection, peer, now)
    if not mailbox:
        return MailboxOutcome.UNKNOWN
    connection.executemany(
        "DELETE FROM envelope WHERE mailbox = ? AND name = ?", [(mailbox, one) for one in names]
    )
    return _state(connection, peer, now)


def expire(connection: sqlite3.Connection, now: float) -> bool:
    """Delete what has had its time, a part at once; tell whether there may be more."""
    deleted = connection.execute(
        "DELETE FROM envelope WHERE id IN (SELECT id FROM envelope WHERE until <= ? LIMIT ?)",
        (now, EXPIRED),
    ).rowcount
    over = connection.execute(
        "SELECT peer FROM mailbox WHERE until <= ? LIMIT ?", (now, EXPIRED)
    ).fetchall()
    for (peer,) in over:
        _forget(connection, peer)
    return EXPIRED in {deleted, len(over)}


def _forget(connection: sqlite3.Connection, peer: str) -> None:
    """Delete a mailbox with all that is in it, if there is one."""
    found = connection.execute("SELECT id FROM mailbox WHERE peer = ?", (peer,)).fetchone()
    if found is not None:
        for table in ("envelope", "token", "prekeys"):
            connection.execute(f"DELETE FROM {table} WHERE mailbox = ?", found)
        connection.execute("DELETE FROM mailbox WHERE id = ?", found)


def counts(connection: sqlite3.Connection) -> MailboxCounts:
    """Count."""
    mailboxes, envelopes = connection.execute(
        "SELECT count(*), total(waiting) FROM mailbox"
    ).fetchone()
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return MailboxCounts(mailboxes, int(envelopes), (pages - free) * size)


def passed(connection: sqlite3.Connection, wall: float, most: float) -> float:
    """
    Return the time on the clock of the tables, which begins at 0.

    :param wall: seconds since 1970; what went by since they were written last counts as ``most`` at
        the most, and not at all where the wall clock was set back.
    """
    found = connection.execute("SELECT steady, wall FROM clock").fetchone()
    if found is None:
        return 0.0
    steady, before = found
    return float(steady + max(0.0, min(wall - before, most)))


def note(connection: sqlite3.Connection, steady: float, wall: float) -> None:
    """Write down what time it is."""
    changed = connection.execute("UPDATE clock SET steady = ?, wall = ?", (steady, wall)).rowcount
    if not changed:
        connection.execute("INSERT INTO clock VALUES (?, ?)", (steady, wall))
