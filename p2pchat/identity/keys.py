"""
Ed25519 keys, and the peer ids that they make.

::

    peer id = UUID version 8 (RFC 9562 section 5.8) of the first 128 bits of SHA-256(public key)

Version and variant take 6 of the bits, so 122 remain: the id that people exchange proves the
key against anybody who can't make 2**122 keys.  The private key never leaves :class:`Identity`
but as PEM, for the identity file, and as secrets that are derived from it, for what is kept beside
that file.

Signatures are checked by libsodium (PyNaCl), which takes about half the time of OpenSSL: checking
is the greatest part of what a registration costs.  It also refuses what RFC 8032 lets a verifier
take: keys and signatures with points of small order, and encodings that aren't canonical.  No
signer makes these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

import attrs
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from p2pchat.errors import (
    BadSignature,
    ConfigurationError,
    PassphraseNeeded,
    RemoteProtocolError,
    WrongPassphrase,
)
from p2pchat.identity.encrypted_pem import COST, encrypt

_PEER_ID = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"  # version 8
)


@lru_cache(maxsize=10_000)  # about 250 bytes each; a peer sends several documents
def peer_id_of(public_key: bytes) -> str:
    """Derive the peer id from a raw Ed25519 public key of 32 bytes."""
    bits = bytearray(sha256(public_key).digest()[:16])
    bits[6] = bits[6] & 0x0F | 0x80
    bits[8] = bits[8] & 0x3F | 0x80
    text = bits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def peer_id_octets(peer_id: str) -> bytes:
    """Return the 16 bytes of a peer id, as hashes and signatures take it."""
    return UUID(peer_id).bytes


def check_peer_id(text: str) -> str:
    """
    Return the id in its canonical form.

    :raises RemoteProtocolError: not a UUID of version 8.
    """
    found = text.lower()
    if not _PEER_ID.fullmatch(found):
        raise RemoteProtocolError("a peer id is a UUID of version 8")
    return found


def verify(public_key: bytes, signature: bytes, data: bytes) -> None:
    """
    Check an Ed25519 signature.

    :raises BadSignature: it doesn't hold.
    """
    try:
        VerifyKey(public_key).verify(data, signature)
    except (BadSignatureError, ValueError):
        raise BadSignature() from None


@attrs.frozen(eq=False)
class Identity:
    """
    A key pair and the peer id that it makes.

    :ivar public_key: 32 raw bytes.
    """

    private_key: Ed25519PrivateKey = attrs.field(repr=False)
    public_key: bytes = attrs.field(init=False, repr=False)
    peer_id: str = attrs.field(init=False)
    _signing_key: SigningKey = attrs.field(init=False, repr=False)  # the same key

    def __attrs_post_init__(self) -> None:
        seed = self.private_key.private_bytes_raw()
        object.__setattr__(self, "_signing_key", SigningKey(seed))
        raw = self.private_key.public_key().public_bytes_raw()
        object.__setattr__(self, "public_key", raw)
        object.__setattr__(self, "peer_id", peer_id_of(raw))

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        """Make an identity from 32 random bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, data: bytes) -> bytes:
        """Sign bytes; 64 bytes come back."""
        return self._signing_key.sign(data).signature

    def derive_secret(self, purpose: bytes) -> bytes:
        """Return 32 bytes that only this private key makes, others for each purpose."""
        seed = self.private_key.private_bytes_raw()
        return HKDF(SHA256(), 32, salt=None, info=b"p2pchat 2 kept " + purpose).derive(seed)

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None = None) -> Identity:
        """
        Read a private key that :func:`to_pem` or :meth:`encrypted` wrote.

        :raises PassphraseNeeded: it is encrypted.
        :raises WrongPassphrase: it is encrypted under another.
        :raises ConfigurationError: the bytes aren't an Ed25519 key.
        """
        key = from_pem(pem, passphrase)
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError("not an Ed25519 private key in PEM")
        return cls(key)

    def encrypted(
        self, passphrase: bytes, random_bytes: Callable[[int], bytes], cost: int = COST
    ) -> bytes:
        """Return the private key as PEM that a person's passphrase opens."""
        pkcs8 = self.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return encrypt(pkcs8, passphrase, random_bytes, cost)


def to_pem(private_key: Ed25519PrivateKey | X25519PrivateKey, secret: bytes = b"") -> bytes:
    """
    Return a private key as PKCS#8 PEM, for a file of mode 0600.

    :param secret: encrypts it; one that nobody guesses, for trying one costs next to nothing.
    """
    encryption = BestAvailableEncryption(secret) if secret else NoEncryption()
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def from_pem(pem: bytes, passphrase: bytes | None = None) -> object:
    """
    Return the private key in PEM, of whichever kind; ``None`` for no key.

    :param passphrase: or secret; a key in clear needs none.
    :raises PassphraseNeeded: it is encrypted.
    :raises WrongPassphrase: it is encrypted under another.
    """
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        if passphrase is None:
            raise PassphraseNeeded() from None
    except (ValueError, UnsupportedAlgorithm):
        return None
    try:
        return load_pem_private_key(pem, passphrase)
    except (
        ValueError,
        TypeError,
        InternalError,
    ):  # the last where numbers for scrypt make no sense
        raise WrongPassphrase() from None
    except UnsupportedAlgorithm:
        return None
