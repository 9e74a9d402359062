"""The files of private keys, in clear and encrypted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, WrongPassphrase
from p2pchat.identity.keys import Identity, to_pem
from p2pchat.identity.sealing import SealingKey
from p2pchat.peer.files import replace_file
from p2pchat.peer.key_files import NO_PASSPHRASES, SEALING_FILE, KeyFiles, Passphrases
from p2pchat.peer.state_directory import IDENTITY_FILE

CHEAP = 2  # N of scrypt, for what nobody attacks


class PowerCut(BaseException):
    """The program ends here."""


class KeyFilesTests(SynchronousTestCase):
    """A state directory with nothing in it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir(mode=0o700)
        self.identity, self.sealing = self.path / IDENTITY_FILE, self.path / SEALING_FILE
        self.random = Random(1)
        self.asked: list[bytes] = []

    def files(self, *typed: bytes, given: bytes = b"") -> KeyFiles:
        """Return the files, for a person who types these passphrases."""

        def tries(path: Path) -> Iterator[bytes]:
            self.assertEqual(path, self.identity)
            for passphrase in typed:
                self.asked.append(passphrase)
                yield passphrase

        return KeyFiles(self.path, self.random.randbytes, Passphrases(tries, given), CHEAP)

    def assert_opens(self, keys: tuple[Identity, SealingKey], *typed: bytes) -> None:
        """Fail unless these passphrases lead to these keys."""
        identity, sealing_key = self.files(*typed).load()
        self.assertEqual(identity.peer_id, keys[0].peer_id)
        self.assertEqual(sealing_key.record_key, keys[1].record_key)

    def are_encrypted(self) -> list[bool]:
        """Tell of identity and sealing key whether they are."""
        return [b"ENCRYPTED" in file.read_bytes() for file in (self.identity, self.sealing)]

    def test_in_clear(self) -> None:
        """Without a passphrase both are in clear, and nothing is asked."""
        keys = self.files().load()
        self.assertEqual(self.are_encrypted(), [False, False])
        self.assert_opens(keys, b"secret")
        self.assertEqual(self.asked, [])

    def test_new(self) -> None:
        """A new identity under a passphrase has never been on the disk in clear."""
        written = []
        real = os.replace

        def replace(source: Path, target: Path) -> None:
            written.append(Path(source).read_bytes())
            real(source, target)

        self.patch(os, "replace", replace)
        keys = self.files().load(b"secret")
        self.assertEqual([b"ENCRYPTED" in content for content in written], [True, True])
        self.assert_opens(keys, b"secret")

    def test_changed(self) -> None:
        """Set, changed and removed: the keys stay, and the last passphrase alone opens them."""
        keys = self.files().load()
        self.files().encrypt(*keys, b"first")
        self.assertEqual(self.are_encrypted(), [True, True])
        self.assert_opens(keys, b"first")
        self.files().encrypt(*keys, b"second")
        self.assert_opens(keys, b"second")
        self.assertRaises(WrongPassphrase, self.files(b"first").load)
        self.files().decrypt(*keys)
        self.assertEqual(self.are_encrypted(), [False, False])
        self.assert_opens(keys)

    def test_tries(self) -> None:
        """Each passphrase is tried in turn until one opens it; if none does, nothing changes."""
        keys = self.files().load(b"secret")
        before = [file.read_bytes() for file in (self.identity, self.sealing)]
        self.assert_opens(keys, b"wrong", b"secret", b"unused")
        self.assertEqual(self.asked, [b"wrong", b"secret"])
        error = self.assertRaises(WrongPassphrase, self.files(b"wrong", b"worse").load)
        self.assertIn(f"{self.identity}: the passphrase is wrong", str(error))
        self.assertEqual([file.read_bytes() for file in (self.identity, self.sealing)], before)

    def test_given(self) -> None:
        """A passphrase that was given encrypts a new identity; one in clear is a mistake then."""
        keys = self.files(given=b"secret").load()
        self.assert_opens(keys, b"secret")
        self.files().decrypt(*keys)
        error = self.assertRaises(ConfigurationError, self.files(given=b"secret").load)
        self.assertIn(f"{self.identity} isn't encrypted", str(error))
        self.assertIn("--set-passphrase", str(error))

    def test_cut(self) -> None:
        """A program that ends anywhere between leaves keys that the old or new passphrase opens."""
        keys = self.files().load()
        old, new = b"old passphrase", b"new passphrase"
        steps: tuple[tuple[Callable[[], object], Callable[[], object]], ...] = (
            (lambda: self.files().decrypt(*keys), lambda: self.files().encrypt(*keys, new)),
            (lambda: self.files().encrypt(*keys, old), lambda: self.files().encrypt(*keys, new)),
            (lambda: self.files().encrypt(*keys, old), lambda: self.files().decrypt(*keys)),
        )
        for prepare, change in steps:
            for replaced in (0, 1):
                prepare()
                self.cut_after(replaced, change)
                self.assert_opens(keys, old, new)
                left = {file.name for file in self.path.iterdir()}
                self.assertEqual(left, {IDENTITY_FILE, SEALING_FILE})

    def cut_after(self, replaced: int, change: Callable[[], object]) -> None:
        """End a change when so many files have been replaced."""
        real, count = os.replace, [replaced]

        def replace(source: Path, target: Path) -> None:
            if not count[0]:
                raise PowerCut
            count[0] -= 1
            real(source, target)

        patch = self.patch(os, "replace", replace)
        self.assertRaises(PowerCut, change)
        patch.restore()

    def test_other_identity(self) -> None:
        """A sealing key that was encrypted beside another identity is named, and left."""
        self.files().load(b"secret")
        before = self.sealing.read_bytes()
        replace_file(self.identity, to_pem(Ed25519PrivateKey.from_private_bytes(bytes(32))))
        error = self.assertRaises(ConfigurationError, self.files().load)
        self.assertIn(f"{self.sealing}: it was encrypted beside another identity.pem", str(error))
        self.assertEqual(self.sealing.read_bytes(), before)

    def test_damaged(self) -> None:
        """A damaged identity is refused, and never another one, whatever came of its bytes."""
        keys = self.files().load(b"secret")
        pem = self.identity.read_bytes()
        refused = 0
        for at in range(0, len(pem), 3):
            self.identity.write_bytes(pem[:at] + bytes([pem[at] ^ 2]) + pem[at + 1 :])
            try:
                self.assert_opens(keys, b"secret")
            except ConfigurationError:
                refused += 1
        self.assertGreater(refused, len(pem) / 4)

    def test_not_an_identity(self) -> None:
        """An encrypted key of another kind is named as what it is."""
        sealing_key = SealingKey.from_seed(bytes(32))
        replace_file(self.identity, to_pem(sealing_key.private_key, b"secret"))
        error = self.assertRaises(ConfigurationError, self.files(b"secret").load)
        self.assertIn(f"{self.identity}: not an Ed25519 private key in PEM", str(error))

    def test_nobody(self) -> None:
        """Where nobody says a passphrase, an encrypted identity stays closed, and isn't shown."""
        self.files().load(b"secret")
        files = KeyFiles(self.path, self.random.randbytes, NO_PASSPHRASES)
        self.assertRaises(ConfigurationError, files.load)
        self.assertNotIn("secret", repr(self.files(given=b"secret")))
