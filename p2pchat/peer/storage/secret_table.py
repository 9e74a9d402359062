"""
The table of small secrets: :class:`p2pchat.interfaces.ISecretStore` in the database.

::

    value = nonce 12 | AES-256-GCM(key of the identity, secret, of: length of kind | kind | name)

So a copy of the database alone, or one beside an identity under a passphrase, opens nothing, and a
value in another's place is none.  One that doesn't open, because it is damaged or another
identity's, is left out, and stays.

Values are a few KiB at most, and all of them together some hundreds: after a deletion the table is
written anew, since SQLite leaves copies in unused bytes of its pages where it has moved rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from p2pchat.identity.keys import Identity
from p2pchat.interfaces import ISecretStore
from p2pchat.peer.storage.open_database import OpenDatabase

NONCE = 12  # bytes
_PURPOSE = b"secrets of the database"

_log = Logger()


class SecretBox:
    """The encryption of values, under a key that only one identity makes."""

    def __init__(self, identity: Identity, random_bytes: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(identity.derive_secret(_PURPOSE))
        self._random_bytes = random_bytes

    def seal(self, kind: str, name: str, secret: bytes) -> bytes:
        """Return the value of a secret."""
        nonce = self._random_bytes(NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, _place(kind, name))

    def open(self, kind: str, name: str, value: bytes) -> bytes | None:
        """Return the secret of a value, or ``None``: it is damaged, or another identity's."""
        try:
            return self._cipher.decrypt(value[:NONCE], value[NONCE:], _place(kind, name))
        except (InvalidTag, ValueError):
            _log.warn("a secret ({kind}) can't be opened, and is left out", kind=kind)
            return None


def _place(kind: str, name: str) -> bytes:
    return len(kind).to_bytes(1) + kind.encode() + name.encode()


def read_all(connection: sqlite3.Connection, box: SecretBox, kind: str) -> dict[str, bytes]:
    """Return the secrets of a kind, by name."""
    rows = connection.execute("SELECT name, value FROM secret WHERE kind = ?", (kind,))
    found = ((name, box.open(kind, name, value)) for name, value in rows.fetchall())
    return {name: secret for name, secret in found if secret is not None}


def put(connection: sqlite3.Connection, kind: str, name: str, value: bytes) -> bool:
    """Keep a value; tells whether it is in the place of another."""
    replaced = delete(connection, kind, [name])
    connection.execute("INSERT INTO secret VALUES (?, ?, ?)", (kind, name, value))
    return replaced


def delete(connection: sqlite3.Connection, kind: str, names: Collection[str]) -> bool:
    """Delete values; tells whether there was one."""
    before = connection.total_changes
    places = [(kind, name) for name in names]
    connection.executemany("DELETE FROM secret WHERE kind = ? AND name = ?", places)
    return connection.total_changes > before


def rewrite(connection: sqlite3.Connection) -> None:
    """Write the table anew, its pages without anything that was deleted."""
    rows = connection.execute("SELECT kind, name, value FROM secret").fetchall()
    connection.execute("DELETE FROM secret")
    connection.executemany("INSERT INTO secret VALUES (?, ?, ?)", rows)


@implementer(ISecretStore)
class SecretTable:
    """The secrets of one identity."""

    def __init__(self, database: OpenDatabase, box: SecretBox) -> None:
        self._database = database
        self._box = box
        database.overwrite_soon(rewrite)  # a program that was killed couldn't

    def put(self, kind: str, name: str, value: bytes) -> Deferred[None]:
        """Keep a secret."""
        sealed = self._box.seal(kind, name, value)
        return self._write(lambda connection: put(connection, kind, name, sealed))

    def delete(self, kind: str, names: Collection[str]) -> Deferred[None]:
        """Forget secrets."""
        return self._write(partial(delete, kind=kind, names=list(names)))

    def _write(self, write: Callable[[sqlite3.Connection], bool]) -> Deferred[None]:
        def written(is_gone: bool) -> None:
            if is_gone:
                self._database.overwrite_soon(rewrite)

        return self._database.put(write).addCallback(written)

    def all(self, kind: str) -> Deferred[Mapping[str, bytes]]:
        """Return those of a kind."""
        return self._database.read(lambda connection: read_all(connection, self._box, kind))
