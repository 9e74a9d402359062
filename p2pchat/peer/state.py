"""
What a peer keeps between two runs: its identity and its contacts, in one directory.

::

    DIR/identity.pem    the private key, mode 0600
    DIR/contacts.json   {"peers": {peer id: name},     whom the person called or accepted,
                         "reached": {peer id: memory}}  and how they were reached last

Without a directory both live in memory and end with the process.  Files are replaced whole, so
that a crash leaves the old or the new one.  A memory (:mod:`p2pchat.traversal.memory`) is a hint:
one that is missing or can't be understood is forgotten, where a name would be a reason to stop.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.traversal.memory import Memory
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
    :ivar reached: how contacts were reached last, by peer id.
    """

    identity: Identity
    contacts: dict[str, str] = attrs.Factory(dict)
    reached: dict[str, Memory] = attrs.Factory(dict)
    _directory: Path | None = None

    def add_contact(self, peer_id: str, name: str) -> None:
        """Remember a peer that the person called or accepted."""
        if self.contacts.get(peer_id) == name:
            return
        self.contacts[peer_id] = name
        self._write()

    def remember_path(self, peer_id: str, memory: Memory) -> None:
        """Remember how a contact was reached; of others nothing is kept."""
        if peer_id in self.contacts and self.reached.get(peer_id) != memory:
            self.reached[peer_id] = memory
            self._write()

    def _write(self) -> None:
        if self._directory is not None:
            reached = {peer_id: memory.to_json() for peer_id, memory in self.reached.items()}
            members = {"peers": self.contacts, "reached": reached}
            _replace(self._directory / CONTACTS_FILE, dumps(members))


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
        identity = _identity(path / IDENTITY_FILE, random_bytes)
        return State(identity, *_contacts(path), path)
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


def _contacts(directory: Path) -> tuple[dict[str, str], dict[str, Memory]]:
    path = directory / CONTACTS_FILE
    if not path.exists():
        return {}, {}
    try:
        members = loads(path.read_bytes())
        peers = field(members, "peers", dict)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"{path}: {error}; mend it or move it away") from None
    contacts = {peer_id: str(name) for peer_id, name in peers.items()}
    return contacts, _memories(members.get("reached"), contacts)


def _memories(members: object, contacts: dict[str, str]) -> dict[str, Memory]:
    found: dict[str, Memory] = {}
    known = members if isinstance(members, dict) else {}
    for peer_id in contacts:
        with contextlib.suppress(RemoteProtocolError):
            found[peer_id] = Memory.from_json(known.get(peer_id))
    return found
