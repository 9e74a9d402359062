"""Keys, and the ids that they make."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from uuid import RFC_4122, UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import BadSignature, ConfigurationError, RemoteProtocolError
from p2pchat.identity.keys import Identity, check_peer_id, peer_id_of, to_pem, verify
from tests.identity.people import ALICE, BOB

KNOWN_KEY = bytes(range(32))
KNOWN_ID = "630dcd29-66c4-8366-9112-5448bbb25b4f"


class PeerIdTests(SynchronousTestCase):
    """A peer id is a UUID of version 8 made of the hash of a public key."""

    @given(st.binary(min_size=32, max_size=32))
    def test_derived(self, key: bytes) -> None:
        """All bits but those of version and variant are the hash's; the form is canonical."""
        found = UUID(peer_id_of(key))
        self.assertEqual((found.version, found.variant), (8, RFC_4122))
        free = UUID("ffffffff-ffff-0fff-3fff-ffffffffffff").int
        digest = int.from_bytes(sha256(key).digest()[:16], "big")
        self.assertEqual(found.int & free, digest & free)
        self.assertEqual(check_peer_id(peer_id_of(key)), peer_id_of(key))

    def test_known(self) -> None:
        """The id of a key never changes from one version of the program to the next."""
        self.assertEqual(peer_id_of(KNOWN_KEY), KNOWN_ID)
        self.assertEqual(peer_id_of(ALICE.public_key), ALICE.peer_id)

    def test_check(self) -> None:
        """An id is taken in one form, its letters in either case."""
        self.assertEqual(check_peer_id(KNOWN_ID.upper()), KNOWN_ID)
        for text in (
            *("", "alice", KNOWN_ID[:-1], KNOWN_ID + "0", KNOWN_ID.replace("-", "")),
            *(f"{{{KNOWN_ID}}}", f"urn:uuid:{KNOWN_ID}", f" {KNOWN_ID}"),
            *(KNOWN_ID.replace("-8", "-4", 1), KNOWN_ID.replace("-9", "-d", 1)),
            KNOWN_ID.replace("6", "\uff16"),
        ):
            with self.subTest(text=text):
                self.assertRaises(RemoteProtocolError, check_peer_id, text)

    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """Any text raises only our error."""
        with contextlib.suppress(RemoteProtocolError):
            self.assertEqual(check_peer_id(text), text.lower())


class IdentityTests(SynchronousTestCase):
    """A key pair."""

    def test_signature(self) -> None:
        """A signature holds for its key and bytes, and nothing else."""
        signature = ALICE.sign(b"data")
        verify(ALICE.public_key, signature, b"data")
        for key, signed, data in (
            (BOB.public_key, signature, b"data"),
            (ALICE.public_key, signature, b"dat"),
            (ALICE.public_key, signature[:-1], b"data"),
            (ALICE.public_key, bytes(64), b"data"),
            (ALICE.public_key[:-1], signature, b"data"),
            (b"\xff" * 32, signature, b"data"),
        ):
            self.assertRaises(BadSignature, verify, key, signed, data)

    def test_pem(self) -> None:
        """What the identity file holds makes the same peer again."""
        again = Identity.from_pem(to_pem(ALICE.private_key))
        self.assertEqual((again.peer_id, again.public_key), (ALICE.peer_id, ALICE.public_key))

    def test_other_pem(self) -> None:
        """Other keys, encrypted keys and no keys are refused."""
        other = to_pem(X25519PrivateKey.generate())
        locked = ALICE.private_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        for pem in (other, locked, b"", b"\xff\0", to_pem(ALICE.private_key)[:60]):
            self.assertRaises(ConfigurationError, Identity.from_pem, pem)

    def test_derived(self) -> None:
        """Secrets are this key's alone, others for each purpose, and the same each time."""
        secret = ALICE.derive_secret(b"one")
        self.assertEqual(len(secret), 32)
        self.assertEqual(Identity.from_pem(to_pem(ALICE.private_key)).derive_secret(b"one"), secret)
        self.assertNotIn(secret, (ALICE.derive_secret(b"two"), BOB.derive_secret(b"one")))
        again = Identity.from_pem(to_pem(ALICE.private_key, secret), secret)
        self.assertEqual(again.peer_id, ALICE.peer_id)

    def test_private(self) -> None:
        """The private key isn't in what gets printed by accident."""
        self.assertNotIn("private", repr(ALICE))
        self.assertIn(ALICE.peer_id, repr(ALICE))
