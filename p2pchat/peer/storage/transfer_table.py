"""
The tables of transfers of files: :class:`p2pchat.interfaces.ITransferStore` in the database, and
one in memory for a node that keeps nothing.

A row of ``transfer_file`` is written after the disk has the pieces that it counts, never before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import partial

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.interfaces import ITransferStore
from p2pchat.peer.storage.kept_transfers import KeptFile, KeptTransfer, TransferMembers
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.wire.strict_json import dumps, loads

_log = Logger()

_Key = tuple[str, bytes, bool]


def read_all(connection: sqlite3.Connection) -> list[KeptTransfer]:
    """Return all transfers, oldest first; one that can't be understood is left out."""
    rows = connection.execute(
        "SELECT id, peer, is_ours, is_cancelled, members FROM transfer ORDER BY id"
    ).fetchall()
    found = []
    for id, peer_id, is_ours, is_cancelled, members in rows:
        try:
            read = TransferMembers.from_json(loads(members.encode()))
        except RemoteProtocolError as error:
            _log.warn("a transfer can't be read, and is left out: {error}", error=error)
            continue
        files = _read_files(connection, id)
        found.append(KeptTransfer(peer_id, bool(is_ours), read, bool(is_cancelled), files))
    return found


def _read_files(connection: sqlite3.Connection, id: int) -> dict[int, KeptFile]:
    rows = connection.execute(
        "SELECT number, pieces, root, is_done FROM transfer_file WHERE transfer = ?", (id,)
    )
    return {number: KeptFile(pieces, root, bool(is_done)) for number, pieces, root, is_done in rows}


def put(connection: sqlite3.Connection, kept: KeptTransfer) -> None:
    """Keep a transfer, but for its files."""
    members = dumps(kept.members.to_json()).decode()
    connection.execute(
        "INSERT INTO transfer (peer, name, is_ours, is_cancelled, members) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (peer, name, is_ours) DO UPDATE SET"
        " is_cancelled = excluded.is_cancelled, members = excluded.members",
        (kept.peer_id, kept.members.name, kept.is_ours, kept.is_cancelled, members),
    )


def put_files(connection: sqlite3.Connection, key: _Key, files: Mapping[int, KeptFile]) -> None:
    """Keep what has come of some files of a transfer, if that is kept."""
    rows = [(*key, number, *attrs.astuple(one)) for number, one in files.items()]
    connection.executemany(
        "INSERT OR REPLACE INTO transfer_file (transfer, number, pieces, root, is_done)"
        " SELECT id, ?4, ?5, ?6, ?7 FROM transfer WHERE peer = ?1 AND name = ?2 AND is_ours = ?3",
        rows,
    )


def remove(connection: sqlite3.Connection, key: _Key) -> None:
    """Forget a transfer and its files."""
    where = "FROM transfer WHERE peer = ? AND name = ? AND is_ours = ?"
    connection.execute(f"DELETE FROM transfer_file WHERE transfer IN (SELECT id {where})", key)
    connection.execute(f"DELETE {where}", key)


@implementer(ITransferStore)
@attrs.frozen
class TransferTable:
    """The tables, as a running program uses them."""

    _database: OpenDatabase

    def load(self) -> Deferred[list[KeptTransfer]]:
        """Return all."""
        return self._database.put(read_all)

    def put(self, kept: KeptTransfer) -> Deferred[None]:
        """Keep one."""
        return self._database.put(partial(put, kept=kept))

    def put_files(self, kept: KeptTransfer, files: Mapping[int, KeptFile]) -> Deferred[None]:
        """Keep what has come."""
        return self._database.put(partial(put_files, key=kept.key, files=dict(files)))

    def remove(self, kept: KeptTransfer) -> Deferred[None]:
        """Forget one."""
        return self._database.put(partial(remove, key=kept.key))


@implementer(ITransferStore)
@attrs.define(eq=False)
class EphemeralTransfers:
    """The memory of a node without a state directory; it ends with the program."""

    _kept: dict[_Key, KeptTransfer] = attrs.Factory(dict)

    def load(self) -> Deferred[list[KeptTransfer]]:
        """Return what there is: nothing, at a start."""
        return succeed(list(self._kept.values()))

    def put(self, kept: KeptTransfer) -> Deferred[None]:
        """Keep one in memory."""
        before = self._kept.get(kept.key)
        files = {} if before is None else before.files
        self._kept[kept.key] = attrs.evolve(kept, files=files)
        return succeed(None)

    def put_files(self, kept: KeptTransfer, files: Mapping[int, KeptFile]) -> Deferred[None]:
        """Keep what has come, in memory."""
        before = self._kept.get(kept.key)
        if before is not None:
            self._kept[kept.key] = attrs.evolve(before, files={**before.files, **files})
        return succeed(None)

    def remove(self, kept: KeptTransfer) -> Deferred[None]:
        """Forget one."""
        self._kept.pop(kept.key, None)
        return succeed(None)
