"""
What a peer keeps between two runs: its identity and its contacts, in one directory.

::

    DIR/identity.pem    the private key, mode 0600
    DIR/contacts.json   {"peers": {peer id: name},     whom the person called or accepted,
                         "reached": {peer id: memory}}  and how they were reached last

Without a directory both live in memory and end with the process.  A memory
(:mod:`p2pchat.traversal.memory`) is a hint: one that is missing or can't be understood is
forgotten, where a name would be a reason to stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.peer.files import read_file, replace_file
from p2pchat.peer.state_directory import IDENTITY_FILE, StateDirectory, explained
from p2pchat.traversal.memory import Memory
from p2pchat.wire.strict_json import dumps, field, loads

CONTACTS_FILE = "contacts.json"


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
            replace_file(self._directory / CONTACTS_FILE, dumps(members))


def load_state(directory: StateDirectory | None, random_bytes: Callable[[int], bytes]) -> State:
    """
    Read what is kept in a directory, making a new identity where there is none.

    :param directory: ``None`` keeps everything in memory.
    :raises ConfigurationError: a file can't be read, written, trusted or understood; says which.
    """
    if directory is None:
        return State(Identity.from_seed(random_bytes(32)))
    with explained(directory.path):
        identity = _identity(directory.path / IDENTITY_FILE, random_bytes)
        return State(identity, *_contacts(directory.path / CONTACTS_FILE), directory.path)


def _identity(path: Path, random_bytes: Callable[[int], bytes]) -> Identity:
    pem = read_file(path, secret=True)
    if pem is None:
        identity = Identity.from_seed(random_bytes(32))
        replace_file(path, identity.to_pem())
        return identity
    try:
        return Identity.from_pem(pem)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{path}: {error}; move the file away to begin with a new identity"
        ) from None


def _contacts(path: Path) -> tuple[dict[str, str], dict[str, Memory]]:
    data = read_file(path)
    if data is None:
        return {}, {}
    try:
        members = loads(data)
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
