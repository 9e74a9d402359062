"""
Profile: the identity and the contacts of a peer, kept between two runs in one directory.

::

    DIR/identity.pem    the private key, mode 0600
    DIR/contacts.json   contacts, and who is muted or blocked (:mod:`p2pchat.peer.contacts`)

Without a directory both live in memory and end with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.files import read_file, replace_file
from p2pchat.peer.state_directory import IDENTITY_FILE, StateDirectory, explained

CONTACTS_FILE = "contacts.json"


@attrs.define
class Profile:
    """An identity, and its contacts."""

    identity: Identity
    contacts: Contacts = attrs.Factory(Contacts)


def load_profile(directory: StateDirectory | None, random_bytes: Callable[[int], bytes]) -> Profile:
    """
    Read the profile in a directory, making a new identity where there is none.

    :param directory: ``None`` keeps everything in memory.
    :raises ConfigurationError: a file can't be read, written, trusted or understood; says which.
    """
    if directory is None:
        return Profile(Identity.from_seed(random_bytes(32)))
    with explained(directory.path):
        identity = _identity(directory.path / IDENTITY_FILE, random_bytes)
        contacts = _contacts(directory.path / CONTACTS_FILE)
        return Profile(identity, contacts)


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


def _contacts(path: Path) -> Contacts:
    data = read_file(path)
    try:
        contacts = Contacts() if data is None else Contacts.from_json(data)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"{path}: {error}; mend it or move it away") from None
    contacts.save = lambda changed: replace_file(path, changed)
    return contacts
