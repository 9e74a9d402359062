"""
The files in which contacts, invitations and settings were kept before the database had them.

::

    DIR/contacts.json       contacts, and who is muted or blocked
    DIR/invitations.json    open invitations, with their secrets
    DIR/settings.json       {"username": name, "server": URL, "servers": [URL]}

They are read into the database in one transaction, and removed when the disk has that; so a program
that ends anywhere in between has lost nothing, and the next one does the same again.  What the
database has already stays as it is there.  One that is damaged is a reason to stop, before
anything is written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import attrs

from p2pchat.peer.contacts import Contacts
from p2pchat.peer.files import discard_unfinished, read_as, sync_directory
from p2pchat.peer.kept_invitations import KeptInvitations
from p2pchat.peer.remembered import Remembered, as_rows
from p2pchat.peer.storage import secret_table
from p2pchat.peer.storage.profile_rows import CONTACTS, SETTINGS
from p2pchat.peer.storage.secret_table import SecretBox
from p2pchat.wire.strict_json import JsonObject, loads

CONTACTS_FILE = "contacts.json"
INVITATIONS_FILE = "invitations.json"
SETTINGS_FILE = "settings.json"
_FILES = (CONTACTS_FILE, INVITATIONS_FILE, SETTINGS_FILE)


def old_settings(directory: Path) -> JsonObject:
    """
    Return what the file of settings has, nothing where there is none.

    :raises ConfigurationError: it can't be trusted or understood.
    :raises OSError: it can't be read.
    """
    return read_as(directory / SETTINGS_FILE, _checked, {})


def _checked(data: bytes) -> JsonObject:
    members = loads(data)
    Remembered.from_json(members)
    return members


def import_old_files(directory: Path, connection: sqlite3.Connection, box: SecretBox) -> None:
    """
    Bring what old files have into the database, and remove them.

    :raises ConfigurationError: one can't be trusted or understood; says which.
    :raises OSError: one can't be read or removed.
    """
    paths = [directory / name for name in _FILES]
    if not any(path.exists() or path.is_symlink() for path in paths):
        return
    found = _OldFiles(
        read_as(paths[0], Contacts.from_json, Contacts()),
        read_as(paths[1], KeptInvitations.decode, KeptInvitations()),
        old_settings(directory),
    )
    connection.execute("PRAGMA synchronous = FULL")  # whatever is chosen: the files go
    connection.execute("BEGIN IMMEDIATE")
    try:
        found.write(connection, box)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    for path in paths:
        path.unlink(missing_ok=True)
        discard_unfinished(path)
    sync_directory(directory)


@attrs.frozen
class _OldFiles:
    contacts: Contacts
    invitations: KeptInvitations
    settings: JsonObject

    def write(self, connection: sqlite3.Connection, box: SecretBox) -> None:
        """Write all that the database hasn't."""
        CONTACTS.add(connection, self.contacts.rows())
        SETTINGS.add(connection, as_rows(self.settings))
        for (kind, name), value in self.invitations.rows().items():
            secret_table.put(connection, kind, name, box.seal(kind, name, value))
