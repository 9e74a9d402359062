"""
The tables of the database, and how those of an older program become them.

A step of MIGRATIONS leads from the version of its place to the next one; a new file begins at 0, so
that every database is made by the same steps.  None that was released is ever changed.

::

    conversation ──< log ──< entry ── words (FTS5, of the texts)
                                └──── reference, said_first: what it says of others

A log is what one author says in one conversation until it begins another one; its row says what is
known of it even where its entries are deleted.  ``entry.id`` counts in the order in which entries
were stored here; the order of a conversation is (lamport, author, log, number).
"""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE conversation (
            id INTEGER PRIMARY KEY,
            peer TEXT NOT NULL UNIQUE,              -- their peer id
            lamport INTEGER NOT NULL DEFAULT 0,     -- the greatest of its entries
            writing INTEGER REFERENCES log,         -- the log of ours that was written to last
            wiped INTEGER NOT NULL DEFAULT 0,       -- entries up to this id are to be deleted
            day INTEGER NOT NULL DEFAULT 0,         -- since 1970, of the last entry of theirs
            day_bytes INTEGER NOT NULL DEFAULT 0    -- that were stored of theirs on that day
        ) STRICT
        """,
        """
        CREATE TABLE log (
            id INTEGER PRIMARY KEY,
            conversation INTEGER NOT NULL REFERENCES conversation,
            author BLOB NOT NULL,                   -- raw id of who writes it
            name BLOB NOT NULL,                     -- 16 random bytes
            number INTEGER NOT NULL DEFAULT 0,      -- of its last entry
            hash BLOB NOT NULL DEFAULT x'',         -- SHA-256 of that entry, as it came
            confirmed INTEGER NOT NULL DEFAULT 0,   -- of ours: what the other side has stored
            UNIQUE (conversation, author, name)
        ) STRICT
        """,
        """
        CREATE TABLE entry (
            id INTEGER PRIMARY KEY,
            conversation INTEGER NOT NULL REFERENCES conversation,
            log INTEGER NOT NULL REFERENCES log,
            number INTEGER NOT NULL,
            lamport INTEGER NOT NULL,
            sent_at INTEGER NOT NULL,               -- microseconds since 1970, by its author
            arrived_at INTEGER NOT NULL,            -- microseconds since 1970, by us
            kind TEXT NOT NULL,
            text TEXT NOT NULL,                     -- "" where it has none that this program knows
            raw BLOB NOT NULL                       -- the entry as it came: hashed and passed on
        ) STRICT
        """,
        "CREATE UNIQUE INDEX entry_of_log ON entry (log, number)",
        "CREATE INDEX entry_in_order ON entry (conversation, lamport)",
        """
        CREATE VIRTUAL TABLE words USING fts5 (
            text, content = 'entry', content_rowid = 'id', prefix = '3',
            tokenize = 'unicode61 remove_diacritics 2'
        )
        """,
        """
        CREATE TRIGGER words_inserted AFTER INSERT ON entry WHEN new.text <> '' BEGIN
            INSERT INTO words (rowid, text) VALUES (new.id, new.text);
        END
        """,
        """
        CREATE TRIGGER words_deleted AFTER DELETE ON entry WHEN old.text <> '' BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
        END
        """,
    ),
    (
        """
        CREATE TABLE contact (
            peer TEXT PRIMARY KEY,                  -- their peer id
            members TEXT NOT NULL                   -- JSON, of p2pchat.peer.contacts.Person
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE setting (
            name TEXT PRIMARY KEY,                  -- a member of p2pchat.peer.profile.Remembered
            value TEXT NOT NULL                     -- JSON
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE secret (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            value BLOB NOT NULL,                    -- encrypted: p2pchat.peer.storage.secret_table
            PRIMARY KEY (kind, name)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        # How far it was read by the side that didn't write it.
        "ALTER TABLE log ADD COLUMN read INTEGER NOT NULL DEFAULT 0",
    ),
    (
        "ALTER TABLE entry ADD COLUMN state INTEGER NOT NULL DEFAULT 0",  # changes.EntryState
        "ALTER TABLE entry ADD COLUMN changed_by INTEGER REFERENCES entry",  # what counts of it
        # Whether bytes of deleted lines, or their words in the index, are still to be overwritten.
        "ALTER TABLE conversation ADD COLUMN is_unclean INTEGER NOT NULL DEFAULT 0",
        """
        CREATE TABLE reference (
            entry INTEGER PRIMARY KEY REFERENCES entry, -- an answer, an edit or a deletion
            conversation INTEGER NOT NULL REFERENCES conversation,
            author BLOB NOT NULL,                       -- of the line that it names: it may
            name BLOB NOT NULL,                         -- not be here, or never have been
            number INTEGER NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE said_first (
            conversation INTEGER NOT NULL REFERENCES conversation,
            author BLOB NOT NULL,                       -- where and when something was said first
            name BLOB NOT NULL,                         -- that was said again
            number INTEGER NOT NULL,
            sent_at INTEGER NOT NULL,
            entry INTEGER NOT NULL UNIQUE REFERENCES entry, -- that is shown of all that say it
            PRIMARY KEY (conversation, author, name, number, sent_at)
        ) STRICT, WITHOUT ROWID
        """,
        "ALTER TABLE log ADD COLUMN sent INTEGER NOT NULL DEFAULT 0",  # of ours: may have gone out
        "UPDATE log SET sent = number",
        "CREATE INDEX reference_to ON reference (conversation, author, name, number)",
        "CREATE INDEX deleted_with_bytes ON entry (log, number) WHERE state = 2 AND raw <> x''",
        """
        CREATE TRIGGER words_changed AFTER UPDATE OF text ON entry WHEN old.text <> new.text BEGIN
            INSERT INTO words (words, rowid, text)
                SELECT 'delete', old.id, old.text WHERE old.text <> '';
            INSERT INTO words (rowid, text) SELECT new.id, new.text WHERE new.text <> '';
        END
        """,
        """
        CREATE TRIGGER references_deleted AFTER DELETE ON entry BEGIN
            DELETE FROM reference WHERE entry = old.id;
            DELETE FROM said_first WHERE entry = old.id;
        END
        """,
    ),
    (  # what nothing uses of the step before
        "DROP INDEX deleted_with_bytes",
        "ALTER TABLE conversation DROP COLUMN is_unclean",
        "ALTER TABLE log DROP COLUMN sent",
    ),
    (
        """
        CREATE TABLE service_grant (
            name TEXT PRIMARY KEY,                  -- service and peer id: p2pchat.peer.grants
            until TEXT NOT NULL                     -- JSON: seconds since 1970, or null
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE transfer (
            id INTEGER PRIMARY KEY,
            peer TEXT NOT NULL,                     -- their peer id
            name BLOB NOT NULL,                     -- 16 random bytes
            is_ours INTEGER NOT NULL,               -- whether we send
            is_cancelled INTEGER NOT NULL,          -- the other side doesn't know yet
            members TEXT NOT NULL,                  -- JSON: p2pchat.peer.storage.kept_transfers
            UNIQUE (peer, name, is_ours)
        ) STRICT
        """,
        """
        CREATE TABLE transfer_file (
            transfer INTEGER NOT NULL REFERENCES transfer,
            number INTEGER NOT NULL,
            pieces INTEGER NOT NULL,                -- that are on the disk, from the first one on
            root BLOB NOT NULL,                     -- BLAKE3 of their hashes
            is_done INTEGER NOT NULL,               -- it is whole, and has its name
            PRIMARY KEY (transfer, number)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)

VERSION = len(MIGRATIONS)
SINCE_PROFILES = 2  # the first version with contacts and settings


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables of a version to ours, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
