"""
Sealing: what a peer writes to another, and nobody else can read.

::

    plaintext   CBOR of the body (:mod:`p2pchat.wire.cbor`), and zero bytes: of an offer or
                answer up to the next multiple of STEP, else up to SHORTER less than one
    info        LABEL | 0x00 | author's id | 0x00 | reader's id | 0x00 | jti, in ASCII
    ciphertext  encapsulated key | ciphertext, of HPKE (RFC 9180) in base mode with
                DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM

The ids and the name of the document are bound by ``info``, as RFC 9180 section 8.1 advises whoever
seals once to a key: additional data would have the same effect.  So a ciphertext holds only in the
document that it was made for, and whoever signs a copy of another's makes nothing that opens.  Who
wrote it is proved by the signature of the document (:mod:`p2pchat.identity.signed_documents`).

The length tells of a body only in steps, in the first of which almost all are: so it hides how many
candidates there are, how long a name is, and whether a document rings, refuses or has candidates.
That it is an offer or answer, or isn't, is meant to be seen (:func:`is_of_call`): the registry's
rates go by that.

A sealing key is a key of its own, and lives as long as the identity: whoever gets hold of it can
open what was sealed to it before.  Its encapsulated keys are the library's randomness; nothing that
is decided here or elsewhere depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from p2pchat.errors import ConfigurationError, RemoteProtocolError, SealBroken
from p2pchat.identity.keys import from_pem
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.cbor import dumps, loads
from p2pchat.wire.documents import (
    Answer,
    Offer,
    PeerDocument,
    RecordKey,
    Sealed,
    read_peer_body,
    write_peer_body,
)

LABEL = b"p2pchat 2 sealed"
USE = "enc"  # of a RecordKey that documents are sealed to (RFC 7517 section 4.2)
ALGORITHM = "HPKE-3"  # draft-ietf-jose-hpke-encrypt's word for the suite above
KEY_LENGTH = 32  # bytes
OVERHEAD = 48  # bytes: the encapsulated key, and the tag
STEP = 256  # bytes; a dozen candidates, and a TCP segment has room for the document
SHORTER = 64  # bytes less for what is no offer and no answer

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


@attrs.frozen
class Envelope:
    """
    The document that a ciphertext is bound to.

    :ivar issuer: peer id of the author.
    :ivar audience: peer id of the reader.
    :ivar nonce: the random name of the document.
    """

    issuer: str
    audience: str
    nonce: str

    def info(self) -> bytes:
        """Return it as HPKE takes it; nothing in it but the last has a zero byte."""
        parts = (self.issuer, self.audience, self.nonce)
        return b"\x00".join([LABEL, *(part.encode() for part in parts)])


@attrs.frozen(eq=False)
class SealingKey:
    """
    The key that others seal to.

    :ivar record_key: its public part, as a record or a description shows it.
    """

    private_key: X25519PrivateKey = attrs.field(repr=False)
    record_key: RecordKey = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        raw = self.private_key.public_key().public_bytes_raw()
        object.__setattr__(self, "record_key", RecordKey(USE, ALGORITHM, encode_bytes(raw)))

    @classmethod
    def from_seed(cls, seed: bytes) -> SealingKey:
        """Make a key from 32 random bytes."""
        return cls(X25519PrivateKey.from_private_bytes(seed))

    def open(self, sealed: Sealed, envelope: Envelope) -> PeerDocument:
        """
        Open what was sealed to this key.

        :raises SealBroken: it was sealed to another key or in another document, or changed.
        :raises RemoteProtocolError: what is inside is malformed.
        """
        try:
            plaintext = _SUITE.decrypt(sealed.ciphertext, self.private_key, envelope.info())
        except (InvalidTag, ValueError):
            raise SealBroken() from None
        return read_peer_body(loads(plaintext))

    @classmethod
    def from_pem(cls, pem: bytes, secret: bytes | None = None) -> SealingKey:
        """
        Read a private key that :func:`p2pchat.identity.keys.to_pem` wrote.

        :raises PassphraseNeeded: it is encrypted.
        :raises WrongPassphrase: it is encrypted under another secret.
        :raises ConfigurationError: the bytes aren't an X25519 key.
        """
        key = from_pem(pem, secret)
        if not isinstance(key, X25519PrivateKey):
            raise ConfigurationError("not an X25519 private key in PEM")
        return cls(key)


def is_of_call(ciphertext: bytes) -> bool:
    """Tell by its length whether a ciphertext is of an offer or an answer."""
    return len(ciphertext) > OVERHEAD and (len(ciphertext) - OVERHEAD) % STEP == 0


def usable(keys: Iterable[RecordKey]) -> RecordKey | None:
    """Return the first of a peer's keys that this program can seal to."""
    for one in keys:
        if (one.use, one.algorithm) == (USE, ALGORITHM):
            try:
                _public_key(one)
            except RemoteProtocolError:
                continue
            return one
    return None


def seal(body: PeerDocument, key: RecordKey, envelope: Envelope) -> Sealed:
    """
    Seal a body to a key that :func:`usable` gave.

    :raises RemoteProtocolError: it is one of the few keys that make no secret.
    """
    try:
        return Sealed(_SUITE.encrypt(_plaintext(body), _public_key(key), envelope.info()))
    except ValueError:
        raise RemoteProtocolError("an X25519 key that makes no secret") from None


def _public_key(key: RecordKey) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(decode_bytes(key.key, KEY_LENGTH))


def _plaintext(body: PeerDocument) -> bytes:
    text, less = dumps(write_peer_body(body)), 0 if isinstance(body, Offer | Answer) else SHORTER
    return text.ljust(-(-(len(text) + less) // STEP) * STEP - less, b"\x00")
