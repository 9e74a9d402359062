"""
Profile: what a peer keeps between two runs, in one directory.

::

    DIR/identity.pem    the private key (:mod:`p2pchat.peer.key_files`)
    DIR/sealing.pem     the private key that others seal to, likewise
    DIR/p2pchat.sqlite3     contacts, and who is muted or blocked (:mod:`p2pchat.peer.contacts`);
                        which key may open which service (:mod:`p2pchat.peer.grants`);
                        options for the next start without them (:mod:`p2pchat.peer.remembered`);
                        open invitations (:mod:`p2pchat.peer.kept_invitations`) and other secrets,
                        encrypted under the identity; and what was said

All is read before the program begins.  Without a directory keys and contacts live in memory and end
with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.sealing import SealingKey
from p2pchat.interfaces import ISecretStore, ITransferStore
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.ephemeral_store import EphemeralRows, EphemeralSecrets
from p2pchat.peer.grants import Grants
from p2pchat.peer.kept_invitations import KINDS, KeptInvitations
from p2pchat.peer.key_files import NO_PASSPHRASES, KeyFiles, Passphrases
from p2pchat.peer.old_files import import_old_files, old_settings
from p2pchat.peer.remembered import Remembered, as_rows
from p2pchat.peer.state_directory import StateDirectory, explained
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.peer.storage.profile_rows import (
    CONTACTS,
    GRANTS,
    SETTINGS,
    IProfileRows,
    ProfileRows,
)
from p2pchat.peer.storage.secret_table import SecretBox, SecretTable, read_all
from p2pchat.peer.storage.transfer_table import EphemeralTransfers, TransferTable


@attrs.define
class Profile:
    """
    An identity, the key that others seal to, its contacts, and what else is kept.

    :ivar grants: of services.
    :ivar invitations: those that were open when the program ended.
    :ivar remembered: options of the last start.
    :ivar secrets: private keys that don't last, and tokens.
    :ivar rows: where contacts, settings and grants are kept.
    :ivar transfers: of files, those that aren't done.
    :ivar file: the database; ``None`` where nothing is kept.
    """

    identity: Identity
    sealing_key: SealingKey
    contacts: Contacts = attrs.Factory(Contacts)
    invitations: KeptInvitations = attrs.Factory(KeptInvitations)
    remembered: Remembered = attrs.Factory(Remembered)
    secrets: ISecretStore = attrs.Factory(EphemeralSecrets)
    rows: IProfileRows = attrs.Factory(EphemeralRows)
    file: DatabaseFile | None = None
    grants: Grants = attrs.Factory(Grants)
    transfers: ITransferStore = attrs.Factory(EphemeralTransfers)

    def keep_in(self, database: OpenDatabase, random_bytes: Callable[[int], bytes]) -> None:
        """Let what changes from now on be written there."""
        self.secrets = SecretTable(database, SecretBox(self.identity, random_bytes))
        self.rows = ProfileRows(database)
        self.transfers = TransferTable(database)


def load_profile(
    directory: StateDirectory | None,
    random_bytes: Callable[[int], bytes],
    passphrases: Passphrases = NO_PASSPHRASES,
    synchronous: Synchronous = Synchronous.FULL,
) -> Profile:
    """
    Read the profile in a directory, making new keys where there are none.

    :param directory: ``None`` keeps everything in memory.
    :param passphrases: for an identity that is encrypted, or new.
    :param synchronous: how the database is opened.
    :raises ConfigurationError: a file can't be read, written, trusted or understood; says which.
    """
    if directory is None:
        return Profile(Identity.from_seed(random_bytes(32)), SealingKey.from_seed(random_bytes(32)))
    with explained(directory.path):
        identity, sealing_key = KeyFiles(directory.path, random_bytes, passphrases).load()
        file = DatabaseFile(directory.path / DATABASE_FILE, synchronous).prepare()
        box = SecretBox(identity, random_bytes)
        with file.opened() as connection:
            import_old_files(directory.path, connection, box)
            try:
                found = {kind: read_all(connection, box, kind).values() for kind in KINDS}
                return Profile(
                    identity,
                    sealing_key,
                    Contacts.from_rows(CONTACTS.read(connection)),
                    KeptInvitations.from_secrets(found),
                    Remembered.from_rows(SETTINGS.read(connection)),
                    file=file,
                    grants=Grants.from_rows(GRANTS.read(connection)),
                )
            except RemoteProtocolError as error:
                raise ConfigurationError(f"{file.path}: {error}; {_MEND}") from None


_MEND = "put a backup in its place, or mend that row: sqlite3 FILE"


def recall(directory: Path) -> Remembered:
    """
    Read what is remembered, before the directory is locked.

    :raises ConfigurationError: it can't be trusted or understood.
    :raises OSError: it can't be read.
    """
    file = DatabaseFile(directory / DATABASE_FILE)
    rows = as_rows(old_settings(directory))
    nothing: dict[str, str] = {}
    rows |= file.look(SETTINGS.read, nothing)
    try:
        return Remembered.from_rows(rows)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"{file.path}: {error}; {_MEND}") from None


def remember(profile: Profile, wanted: Remembered) -> tuple[str, ...]:
    """
    Write what isn't remembered so, before the program begins; returns the names of what is new.

    :raises ConfigurationError: it can't be written.
    """
    if profile.file is not None and profile.file.is_exclusive:
        return ()  # the disk is full, and the next start can be told the same again
    before = profile.remembered
    profile.remembered = before.updated(wanted)
    changed = profile.remembered.changed_from(before)
    if changed and profile.file is not None:
        with profile.file.opened() as connection:
            SETTINGS.write(connection, changed)
    return tuple(changed)
