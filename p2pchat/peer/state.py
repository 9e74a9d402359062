"""
What a peer keeps between two runs: its identity and its contacts, in one directory.

::

    DIR/identity.pem    the private key, mode 0600
    DIR/contacts.json   {"peers": {peer id: name}}: whom the person called or accepted

Without a directory both live in memory and end with the process.  Files are replaced whole, so
that a crash leaves the old or the new one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.wire.strict_json import dumps, field, loads

IDENTITY_FILE = "identity.pem"
CONTACTS_FILE = "contacts.json"


def _replace(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


@attrs.define
class State:
    """
    The identity and the contacts.

    :ivar contacts: names by peer id.
    """

    identity: Identity
    contacts: dict[str, str] = attrs.Factory(dict)
    _directory: Path | None = None

    def add_contact(self, peer_id: str, name: str) -> None:
        """Remember a peer that the person called or accepted."""
        if self.contacts.get(peer_id) == name:
            return
        self.contacts[peer_id] = name
        if self._directory is not None:
            _replace(self._directory / CONTACTS_FILE, dumps({"peers": self.contacts}))


def load_state(directory: str | None, random_bytes: Callable[[int], bytes]) -> State:
    """
    Read the state directory, making it and a new identity where there is none.

    :param directory: ``None`` keeps everything in memory.
    :raises ConfigurationError: a file can't be read, written or understood; says which.
    """
    if directory is None:
        return State(Identity.from_seed(random_bytes(32)))
    path = Path(directory)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return State(_identity(path / IDENTITY_FILE, random_bytes), _contacts(path), path)
    except OSError as error:
        raise ConfigurationError(
            f"state directory {directory}: {error.strerror or error} ({error.filename})"
        ) from error


def _identity(path: Path, random_bytes: Callable[[int], bytes]) -> Identity:
    if not path.exists():
        identity = Identity.from_seed(random_bytes(32))
        _replace(path, identity.to_pem())
        return identity
    try:
        return Identity.from_pem(path.read_bytes())
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{path}: {error}; move the file away to begin with a new identity"
        ) from None


def _contacts(directory: Path) -> dict[str, str]:
    path = directory / CONTACTS_FILE
    if not path.exists():
        return {}
    try:
        members = field(loads(path.read_bytes()), "peers", dict)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"{path}: {error}; mend it or move it away") from None
    return {peer_id: str(name) for peer_id, name in members.items()}
