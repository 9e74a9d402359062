"""
Prekeys: keys to which others seal what waits for us, and which are deleted soon.

::

    prekey     X-Wing (ML-KEM-768 and X25519, post-quantum), a new one each week
    one-time   X25519, given to one depositor each

    envelope   0x01 | prekey's id 8 | HPKE to the prekey of
                   one-time key's id 8, zeros for none | padded, or HPKE to the one-time key of it

The one-time key is inside: so nobody who records envelopes sees which one was used, or whether any
was, and where none is left the outer layer alone is the same thing with zeros.  Both must be broken
by whoever reads one: the outer is post-quantum, and the inner key is gone when its envelope was
taken.

A key's id is the beginning of SHA-256 of its public part.  HPKE (RFC 9180) is in base mode, with
HKDF-SHA256 and ChaCha20Poly1305; who wrote it is signed inside (:mod:`p2pchat.identity.envelopes`).
Encapsulations are the library's randomness, as in :mod:`p2pchat.identity.sealing`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from p2pchat.errors import RemoteProtocolError, SealBroken
from p2pchat.wire.envelopes import pad, unpad

LABEL = b"p2pchat 2 envelope"
ID = 8  # bytes; among the few keys of one peer
PREKEY_SEED = 96  # bytes: of ML-KEM 64, of X25519 32
PREKEY = 1216  # bytes of its public part: of ML-KEM-768 1,184, of X25519 32
ONE_TIME = 32  # bytes, of the seed and of the public part
NONE = bytes(ID)
FORMAT = b"\x01"

_MLKEM_SEED, _MLKEM = 64, 1184  # bytes
_OUTER = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_INNER = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def key_id(public: bytes) -> bytes:
    """Return the id of a public key."""
    return sha256(public).digest()[:ID]


@attrs.frozen(eq=False)
class Prekey:
    """
    A private X-Wing key.

    :ivar seed: what it is made from.
    :ivar public: its public part.
    """

    seed: bytes = attrs.field(repr=False)
    public: bytes = attrs.field(init=False, repr=False)
    _mlkem: MLKEM768PrivateKey = attrs.field(init=False, repr=False)
    _x25519: X25519PrivateKey = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        mlkem = MLKEM768PrivateKey.from_seed_bytes(self.seed[:_MLKEM_SEED])
        x25519 = X25519PrivateKey.from_private_bytes(self.seed[_MLKEM_SEED:])
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        object.__setattr__(self, "_mlkem", mlkem)
        object.__setattr__(self, "_x25519", x25519)
        object.__setattr__(self, "public", public)

    @property
    def id(self) -> bytes:
        """Its id."""
        return key_id(self.public)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """
        Open the outer layer.

        :raises SealBroken: it was sealed to another key, or changed.
        """
        key = MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
        try:
            return _OUTER.decrypt(ciphertext, key, LABEL + b" outer")
        except (InvalidTag, ValueError):
            raise SealBroken() from None


def public_one_time(seed: bytes) -> bytes:
    """Return the public part of the one-time key that is made from 32 random bytes."""
    return X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def seal(contents: bytes, prekey: bytes, one_time: bytes = b"") -> bytes:
    """
    Seal contents to a peer's prekey, and to a one-time key of its if there is one.

    :raises RemoteProtocolError: one of the keys is none.
    """
    padded = pad(contents)
    try:
        if one_time:
            key = X25519PublicKey.from_public_bytes(one_time)
            padded = _INNER.encrypt(padded, key, LABEL + b" inner")
        inside = (key_id(one_time) if one_time else NONE) + padded
        sealed = _OUTER.encrypt(inside, _public_key(prekey), LABEL + b" outer")
    except ValueError:
        raise RemoteProtocolError("a prekey that nothing can be sealed to") from None
    return FORMAT + key_id(prekey) + sealed


@lru_cache(maxsize=16)
def _public_key(prekey: bytes) -> MLKEM768X25519PublicKey:
    mlkem = MLKEM768PublicKey.from_public_bytes(prekey[:_MLKEM])
    return MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(prekey[_MLKEM:]))


@attrs.frozen
class Unsealed:
    """Contents of an envelope that was opened, and the id of its one-time key, b"" for none."""

    contents: bytes
    one_time: bytes


def unseal(
    envelope: bytes,
    prekey: Callable[[bytes], Prekey | None],
    one_time: Callable[[bytes], bytes | None],
) -> Unsealed:
    """
    Open an envelope.

    :param prekey: finds ours by its id.
    :param one_time: finds the seed of one of ours by its id.
    :raises SealBroken: the keys aren't here, or aren't here any more; or it was changed.
    :raises RemoteProtocolError: what is inside is malformed.
    """
    ours = prekey(envelope[1 : 1 + ID])
    if envelope[:1] != FORMAT or ours is None:
        raise SealBroken()
    inside = ours.decrypt(envelope[1 + ID :])
    name, padded = inside[:ID], inside[ID:]
    if name == NONE:
        return Unsealed(unpad(padded), b"")
    seed = one_time(name)
    if seed is None:
        raise SealBroken()
    try:
        key = X25519PrivateKey.from_private_bytes(seed)
        padded = _INNER.decrypt(padded, key, LABEL + b" inner")
    except (InvalidTag, ValueError):
        raise SealBroken() from None
    return Unsealed(unpad(padded), name)
