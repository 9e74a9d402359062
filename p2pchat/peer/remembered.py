"""
What of a command line is remembered in the state directory, for the next start without it.

::

    DIR/settings.json   {"username": name, "server": URL}

Other members, of a newer program, stay.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.peer.files import read_file, replace_file
from p2pchat.wire.origins import origin
from p2pchat.wire.strict_json import JsonObject, dumps, loads, optional
from p2pchat.wire.usernames import check_username

SETTINGS_FILE = "settings.json"


@attrs.frozen
class Remembered:
    """What was remembered; "" is nothing."""

    username: str = ""
    server: str = ""


def recall(directory: Path) -> Remembered:
    """
    Read what is remembered; a person may have edited it.

    :raises ConfigurationError: the file can't be trusted or understood.
    :raises OSError: it can't be read.
    """
    path = directory / SETTINGS_FILE
    members = _read(path)
    try:
        username, server = (optional(members, name, str, "") for name in ("username", "server"))
        if username:
            check_username(username)
        if server:
            origin(server)
    except RemoteProtocolError as error:
        raise _broken(path, error) from None
    return Remembered(username, server)


def remember(directory: Path, wanted: Remembered) -> tuple[str, ...]:
    """
    Write what isn't remembered so; returns the names of what is new.

    :raises ConfigurationError: the file can't be trusted or understood.
    :raises OSError: it can't be read or written.
    """
    path = directory / SETTINGS_FILE
    members = _read(path)
    changed = {
        name: value
        for name, value in attrs.asdict(wanted).items()
        if value and members.get(name) != value
    }
    if changed:
        replace_file(path, dumps({**members, **changed}) + b"\n")
    return tuple(changed)


def _read(path: Path) -> JsonObject:
    data = read_file(path)
    try:
        return {} if data is None else loads(data)
    except RemoteProtocolError as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: RemoteProtocolError) -> ConfigurationError:
    return ConfigurationError(f"{path}: {error}; mend it or move it away")
