"""
Tables of a profile: contacts, settings and grants, a row each.

Rows are read before the program's threads begin, and written by them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from p2pchat.peer.storage.open_database import OpenDatabase

Rows = Mapping[str, str | None]  # None: there is none


@attrs.frozen
class RowTable:
    """A table of texts by key."""

    name: str
    key: str
    value: str

    def read(self, connection: sqlite3.Connection) -> dict[str, str]:
        """Return all rows."""
        return dict(connection.execute(f"SELECT {self.key}, {self.value} FROM {self.name}"))

    def write(self, connection: sqlite3.Connection, rows: Rows) -> None:
        """Put rows in the place of those with their keys, or delete these."""
        kept = [row for row in rows.items() if row[1] is not None]
        gone = [(key,) for key, value in rows.items() if value is None]
        connection.executemany(f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?)", kept)
        connection.executemany(f"DELETE FROM {self.name} WHERE {self.key} = ?", gone)

    def add(self, connection: sqlite3.Connection, rows: Mapping[str, str]) -> None:
        """Write rows, but none whose key is there."""
        connection.executemany(f"INSERT OR IGNORE INTO {self.name} VALUES (?, ?)", rows.items())


CONTACTS = RowTable("contact", "peer", "members")
SETTINGS = RowTable("setting", "name", "value")
GRANTS = RowTable("service_grant", "name", "until")


class IProfileRows(Interface):
    """Rows of JSON that a node keeps; ``None`` for none.  All are committed, or StorageFailed."""

    def put_contacts(rows: Rows) -> Deferred[None]:
        """Write people by peer id."""

    def put_settings(rows: Rows) -> Deferred[None]:
        """Write settings by name."""

    def put_grants(rows: Rows) -> Deferred[None]:
        """Write grants by name."""


@implementer(IProfileRows)
@attrs.frozen
class ProfileRows:
    """The tables, as a running program writes them."""

    _database: OpenDatabase

    def put_contacts(self, rows: Rows) -> Deferred[None]:
        """Write contacts."""
        return self._database.put(partial(CONTACTS.write, rows=dict(rows)))

    def put_settings(self, rows: Rows) -> Deferred[None]:
        """Write settings."""
        return self._database.put(partial(SETTINGS.write, rows=dict(rows)))

    def put_grants(self, rows: Rows) -> Deferred[None]:
        """Write grants."""
        return self._database.put(partial(GRANTS.write, rows=dict(rows)))
