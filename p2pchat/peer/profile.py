"""
Profile: what a peer keeps between two runs, in one directory.

::

    DIR/identity.pem    the private key (:mod:`p2pchat.peer.key_files`)
    DIR/sealing.pem     the private key that others seal to, likewise
    DIR/contacts.json   contacts, and who is muted or blocked (:mod:`p2pchat.peer.contacts`)
    DIR/invitations.json    open invitations, with their secrets
                        (:mod:`p2pchat.peer.kept_invitations`)
    DIR/settings.json   {"username": name, "server": URL}, for the next start without them

Without a directory keys and contacts live in memory and end with the process.  Members of
``settings.json`` that a newer program put there stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import attrs

from p2pchat.identity.keys import Identity
from p2pchat.identity.sealing import SealingKey
from p2pchat.interfaces import ISecretStore
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.ephemeral_store import EphemeralSecrets
from p2pchat.peer.files import read_as, replace_file
from p2pchat.peer.kept_invitations import KeptInvitations
from p2pchat.peer.key_files import NO_PASSPHRASES, KeyFiles, Passphrases
from p2pchat.peer.state_directory import StateDirectory, explained
from p2pchat.wire.documents import MAX_REGISTRIES
from p2pchat.wire.members import SPARSE, Codec, Members, each
from p2pchat.wire.origins import origin
from p2pchat.wire.strict_json import JsonObject, checked, dumps, loads
from p2pchat.wire.usernames import check_username

INVITATIONS_FILE = "invitations.json"
CONTACTS_FILE = "contacts.json"
SETTINGS_FILE = "settings.json"


@attrs.define
class Profile:
    """
    An identity, the key that others seal to, and its contacts.

    :ivar invitations: those that were open when the program ended.
    :ivar add_registry: keeps the URL of a registry where we are found, too.
    :ivar secrets: private keys that don't last, and tokens.
    :ivar save_invitations: keeps them, as :meth:`KeptInvitations.encode` writes them.
    """

    identity: Identity
    sealing_key: SealingKey
    contacts: Contacts = attrs.Factory(Contacts)
    invitations: KeptInvitations = attrs.Factory(KeptInvitations)
    save_invitations: Callable[[bytes], None] = lambda _data: None
    add_registry: Callable[[str], None] = lambda _url: None
    secrets: ISecretStore = attrs.Factory(EphemeralSecrets)


def load_profile(
    directory: StateDirectory | None,
    random_bytes: Callable[[int], bytes],
    passphrases: Passphrases = NO_PASSPHRASES,
) -> Profile:
    """
    Read the profile in a directory, making new keys where there are none.

    :param directory: ``None`` keeps everything in memory.
    :param passphrases: for an identity that is encrypted, or new.
    :raises ConfigurationError: a file can't be read, written, trusted or understood; says which.
    """
    if directory is None:
        return Profile(Identity.from_seed(random_bytes(32)), SealingKey.from_seed(random_bytes(32)))
    with explained(directory.path):
        identity, sealing_key = KeyFiles(directory.path, random_bytes, passphrases).load()
        path = directory.path / CONTACTS_FILE
        contacts = read_as(path, Contacts.from_json, Contacts())
        contacts.save = partial(replace_file, path)
        path = directory.path / INVITATIONS_FILE
        invitations = read_as(path, KeptInvitations.decode, KeptInvitations())
        add = partial(remember_registry, directory.path)
        return Profile(
            identity, sealing_key, contacts, invitations, partial(replace_file, path), add
        )


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
    Options that are remembered of a command line; "" is none.

    :ivar servers: further registries.
    """

    username: Annotated[str, _checked_by(check_username)] = ""
    server: Annotated[str, _checked_by(origin)] = ""
    servers: Annotated[tuple[str, ...], each(_checked_by(origin), MAX_REGISTRIES), SPARSE] = ()


def recall(directory: Path) -> Remembered:
    """
    Read what is remembered.

    :raises ConfigurationError: the file can't be trusted or understood.
    :raises OSError: it can't be read.
    """
    path = directory / SETTINGS_FILE
    return read_as(path, lambda data: Remembered.from_json(loads(data)), Remembered())


def remember(directory: Path, wanted: Remembered) -> tuple[str, ...]:
    """
    Write what isn't remembered so; returns the names of what is new.

    :raises ConfigurationError: the file can't be trusted or understood.
    :raises OSError: it can't be read or written.
    """
    path = directory / SETTINGS_FILE
    members: JsonObject = read_as(path, loads, {})
    written = {name: value for name, value in wanted.to_json().items() if value}
    if wanted.server:  # then these are all the registries
        written["servers"] = list(wanted.servers)
    changed = {
        name: value
        for name, value in written.items()
        if members.get(name, [] if name == "servers" else "") != value
    }
    if changed:
        replace_file(path, dumps({**members, **changed}) + b"\n")
    return tuple(changed)


def remember_registry(directory: Path, url: str) -> None:
    """
    Keep the URL of a registry: as the usual one, if there was none, or else beside that.

    :raises ConfigurationError: the file can't be trusted or understood.
    :raises OSError: it can't be read or written.
    """
    known = recall(directory)
    if not known.server:
        remember(directory, Remembered(server=url))
    elif url not in (known.server, *known.servers):
        servers = (*known.servers, url)[-(MAX_REGISTRIES - 1) :]
        remember(directory, Remembered(servers=servers))
