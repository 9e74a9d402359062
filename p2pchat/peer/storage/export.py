"""
Export of a conversation to a file, as lines of JSON; called in a thread.

One object a line, in order, as ``lines`` of the answer to ``/history`` have them.  The file is new
and the owner's alone; one that can't be written whole is removed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from typing import Any, BinaryIO

import attrs

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage.history import START, HistoryLine, lines_after
from p2pchat.wire.strict_json import dumps

_MODE = 0o600  # the owner's alone


def export(connection: sqlite3.Connection, own: bytes, peer_ids: Sequence[str], path: str) -> int:
    """
    Write all that was said with some peers, one after the other; returns how many lines.

    :raises StorageFailed: the file is there already, or can't be written.
    """
    full = os.path.abspath(os.path.expanduser(path))
    try:
        handle = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    except OSError as error:
        raise StorageFailed(f"{full}: {error.strerror}; name another file") from error
    try:
        with open(handle, "wb") as file:
            return sum(_write(connection, own, peer_id, file) for peer_id in peer_ids)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(full)
        if isinstance(error, OSError):
            raise StorageFailed(f"{full}: {error.strerror}; nothing was written") from error
        raise


def _write(connection: sqlite3.Connection, own: bytes, peer_id: str, file: BinaryIO) -> int:
    lines, place = lines_after(connection, own, peer_id, START)
    count = 0
    while lines:
        count += len(lines)
        file.writelines(dumps(_fields(line)) + b"\n" for line in lines)
        lines, place = lines_after(connection, own, peer_id, place)
    return count


def _fields(line: HistoryLine) -> dict[str, object]:
    return attrs.asdict(line, filter=_is_written)


def _is_written(attribute: attrs.Attribute[Any], value: Any) -> bool:
    return value != "" and (value != attribute.default or "sparse" not in attribute.metadata)
