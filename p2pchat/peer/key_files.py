"""
The files of our private keys: made where there are none, and encrypted if the person wants it.

::

    identity.pem    in clear, or under a passphrase (:mod:`p2pchat.identity.encrypted_pem`)
    sealing.pem     likewise: in clear, or under a secret that is derived from the identity

So one passphrase opens both and is tried once, and to set, change or remove it is to replace one
file.  The other is encrypted before and decrypted after that; since it is read either way, a
program that is killed in between leaves what the next one opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, PassphraseNeeded, WrongPassphrase
from p2pchat.identity.encrypted_pem import COST
from p2pchat.identity.keys import Identity, to_pem
from p2pchat.identity.sealing import SealingKey
from p2pchat.peer.files import discard_unfinished, read_file, replace_file
from p2pchat.peer.state_directory import IDENTITY_FILE

SEALING_FILE = "sealing.pem"
_PURPOSE = b"sealing.pem"


def _none(_path: Path) -> Iterable[bytes]:
    return ()


@attrs.frozen
class Passphrases:
    """
    Passphrases that a person has for the identity.

    :ivar tries: those to try on an encrypted file, one after the other.
    :ivar given: the one that was given before anybody asked, which a new identity is encrypted
        under, and an old one has to be; ``b""`` for none.
    """

    tries: Callable[[Path], Iterable[bytes]] = _none
    given: bytes = attrs.field(default=b"", repr=False)


NO_PASSPHRASES = Passphrases()


@attrs.frozen
class KeyFiles:
    """
    The two files in a state directory that this program has locked.

    All that reads or writes them raises :exc:`ConfigurationError` where a file can't be trusted,
    understood or decrypted, and says which; and :exc:`OSError`.

    :ivar cost: N of scrypt, for what is encrypted anew.
    """

    directory: Path
    random_bytes: Callable[[int], bytes]
    passphrases: Passphrases
    cost: int = COST

    @property
    def identity_path(self) -> Path:
        """The file of the identity."""
        return self.directory / IDENTITY_FILE

    @property
    def sealing_path(self) -> Path:
        """The file of the sealing key."""
        return self.directory / SEALING_FILE

    def load(self, first: bytes = b"") -> tuple[Identity, SealingKey]:
        """
        Read the keys, or make new ones.

        :param first: encrypts a new identity, which is never on the disk without that.
        """
        for path in (self.identity_path, self.sealing_path):
            discard_unfinished(path)  # it may hold in clear what is encrypted by now
        identity, is_encrypted = self._identity(first or self.passphrases.given)
        return identity, self._sealing_key(identity, is_encrypted)

    def encrypt(self, identity: Identity, sealing_key: SealingKey, passphrase: bytes) -> None:
        """Put the keys that were loaded under a passphrase, whichever they had."""
        self._write_sealing_key(sealing_key, identity, is_encrypted=True)
        self._write_identity(identity, passphrase)

    def decrypt(self, identity: Identity, sealing_key: SealingKey) -> None:
        """Keep the keys that were loaded in clear."""
        self._write_identity(identity, b"")
        self._write_sealing_key(sealing_key, identity, is_encrypted=False)

    def _identity(self, first: bytes) -> tuple[Identity, bool]:
        """Return the identity, and whether its file is encrypted."""
        path = self.identity_path
        pem = read_file(path, secret=True)
        if pem is None:
            identity = Identity.from_seed(self.random_bytes(32))
            self._write_identity(identity, first)
            return identity, bool(first)
        try:
            identity = Identity.from_pem(pem)
        except PassphraseNeeded:
            return self._decrypted(pem), True
        except ConfigurationError as error:
            raise _unusable(path, error, "identity") from None
        if self.passphrases.given:
            raise ConfigurationError(
                f"{path} isn't encrypted, and a passphrase was given: encrypt it by "
                "--set-passphrase, or leave --passphrase-file out"
            )
        return identity, False

    def _decrypted(self, pem: bytes) -> Identity:
        path = self.identity_path
        for passphrase in self.passphrases.tries(path):
            try:
                return Identity.from_pem(pem, passphrase)
            except WrongPassphrase:
                continue
            except ConfigurationError as error:
                raise _unusable(path, error, "identity") from None
        raise WrongPassphrase(f"{path}: the passphrase is wrong, or the file is damaged")

    def _sealing_key(self, identity: Identity, is_encrypted: bool) -> SealingKey:
        path = self.sealing_path
        pem = read_file(path, secret=True)
        if pem is None:
            key = SealingKey.from_seed(self.random_bytes(32))
            self._write_sealing_key(key, identity, is_encrypted)
            return key
        try:
            return SealingKey.from_pem(pem, identity.derive_secret(_PURPOSE))
        except WrongPassphrase:
            error = ConfigurationError(
                f"it was encrypted beside another {IDENTITY_FILE}, or one of the two is damaged"
            )
            raise _unusable(path, error, "key") from None
        except ConfigurationError as error:
            raise _unusable(path, error, "key") from None

    def _write_identity(self, identity: Identity, passphrase: bytes) -> None:
        if passphrase:
            pem = identity.encrypted(passphrase, self.random_bytes, self.cost)
        else:
            pem = to_pem(identity.private_key)
        replace_file(self.identity_path, pem)

    def _write_sealing_key(self, key: SealingKey, identity: Identity, is_encrypted: bool) -> None:
        secret = identity.derive_secret(_PURPOSE) if is_encrypted else b""
        replace_file(self.sealing_path, to_pem(key.private_key, secret))


def _unusable(path: Path, error: ConfigurationError, what: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {error}; move the file away to begin with a new {what}")
