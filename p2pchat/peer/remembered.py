"""
Options of a command line that are remembered for the next start without them.

Each is a row of the database, its value as JSON.  Those that a newer program put there stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.documents import MAX_REGISTRIES
from p2pchat.wire.members import SPARSE, Codec, Members, each
from p2pchat.wire.origins import origin
from p2pchat.wire.strict_json import JsonObject, checked, dumps, loads
from p2pchat.wire.usernames import check_username


def _checked_by(check: Callable[[str], object]) -> Codec[str]:
    """Text that is "" or passes a check; a person may have edited it."""

    def read(value: object, name: str) -> str:
        text = checked(value, name, str)
        if text:
            check(text)
        return text

    return Codec(read)


@attrs.frozen
class Remembered(Members):
    """
    Options that are remembered; "" is none.

    :ivar servers: further registries.
    """

    username: Annotated[str, _checked_by(check_username)] = ""
    server: Annotated[str, _checked_by(origin)] = ""
    servers: Annotated[tuple[str, ...], each(_checked_by(origin), MAX_REGISTRIES), SPARSE] = ()

    @classmethod
    def from_rows(cls, rows: Mapping[str, str]) -> Remembered:
        """
        Read the rows of the database.

        :raises RemoteProtocolError: one can't be understood.
        """
        return cls.from_json({name: json_value(name, text) for name, text in rows.items()})

    def with_registry(self, url: str) -> Remembered:
        """Return this with a registry: the usual one, if there was none, or else beside that."""
        if not self.server:
            return attrs.evolve(self, server=url)
        if url in (self.server, *self.servers):
            return self
        return attrs.evolve(self, servers=(*self.servers, url)[-(MAX_REGISTRIES - 1) :])

    def updated(self, wanted: Remembered) -> Remembered:
        """Return this with what was given on a command line."""
        everything = attrs.asdict(wanted, recurse=False)
        given = {name: value for name, value in everything.items() if value}
        if wanted.server:  # then these are all the registries
            given["servers"] = wanted.servers
        return attrs.evolve(self, **given)

    def changed_from(self, before: Remembered) -> dict[str, str]:
        """Return the rows that differ."""
        old, new = before.rows(), self.rows()
        return {name: text for name, text in new.items() if old[name] != text}

    def rows(self) -> dict[str, str]:
        """Return all rows."""
        return as_rows({**self.to_json(), "servers": list(self.servers)})  # which may be none now


def as_rows(members: JsonObject) -> dict[str, str]:
    """Return members as rows."""
    return {name: dumps({"": value}).decode()[4:-1] for name, value in members.items()}


def json_value(name: str, text: str) -> object:
    """
    Read the value of a row.

    :raises RemoteProtocolError: it is no JSON.
    """
    try:
        ((_, value),) = loads(f'{{"":{text}}}'.encode()).items()
    except (RemoteProtocolError, ValueError):
        raise RemoteProtocolError(f"{name}: not JSON") from None
    return value
