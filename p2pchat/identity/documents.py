"""
Signing and checking documents: JWS compact serialization (RFC 7515) with EdDSA (RFC 8037).

::

    header   {"alg": "EdDSA", "typ": "p2pchat+jws",
              "jwk": {"kty": "OKP", "crv": "Ed25519", "x": ...}}
    payload  the members of :class:`p2pchat.wire.documents.Document`

The key travels in the header; it counts because ``iss`` must be the peer id that the key makes.
:func:`open_document` says only that the author wrote this.  Whether it is fresh, new and meant
for us is :class:`Acceptance`'s to say.

A header written as this program writes it is compared, not read, and its signature is checked by
libsodium, whose word is final.  Any other header is PyJWT's to read, which checks by OpenSSL; that
one takes a few signatures that libsodium refuses (:mod:`p2pchat.identity.keys`), none of which
anybody makes without meaning to.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Any

import attrs
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS

from p2pchat.errors import (
    BadHeader,
    BadSignature,
    DocumentTooLong,
    NotCompact,
    RemoteProtocolError,
    StaleDocument,
    UnsupportedVersion,
    WrongAudience,
    WrongIssuer,
)
from p2pchat.identity.keys import Identity, peer_id_of, verify
from p2pchat.identity.nonces import UsedNonces
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import MAX_NONCE, Body, Document, nonempty
from p2pchat.wire.strict_json import dumps, loads, timestamp

ALGORITHM = "EdDSA"
TYP = "p2pchat+jws"
MAX_DOCUMENT = 32 * 1024  # bytes of the compact form; an offer with 32 candidates has 3 KiB
MAX_AGE = 60.0  # seconds; a document in flight is seconds old, the rest is for clocks

MAX_AUTHORS = 10_000  # whose headers needn't be read again, about 500 bytes each

# The compact form goes into an event stream verbatim, and base64 decoders skip what isn't
# base64: a line break in it would let its author write events.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

# How this program writes the header, but for the key of 43 characters in the middle.
_HEADER = b'{"alg":"EdDSA","jwk":{"crv":"Ed25519","kty":"OKP","x":"', b'"},"typ":"p2pchat+jws"}'

_TO_BASE64 = bytes.maketrans(b"-_", b"+/")

_jws = PyJWS(algorithms=[ALGORITHM])


def sign_document(identity: Identity, audience: str, body: Body, now: float, nonce: str) -> str:
    """
    Write and sign a document.

    :param now: seconds since 1970.
    :param nonce: a random name of at most 64 characters.
    """
    document = Document(identity.peer_id, audience, now, nonce, body)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(identity.public_key)}
    return _jws.encode(
        dumps(document.to_json()),
        identity.private_key,
        algorithm=ALGORITHM,
        headers={"typ": TYP, "jwk": jwk},
    )


def open_document(token: str) -> Document:
    """
    Check the signature of a document and read it.

    :raises DocumentTooLong, NotCompact, BadHeader: it is no signed document of ours.
    :raises BadSignature: the signature doesn't hold.
    :raises WrongIssuer: the claim of authorship doesn't hold.
    :raises UnsupportedVersion: it is of another version, whose envelope we can read.
    :raises RemoteProtocolError: what was signed is malformed.
    """
    if len(token) > MAX_DOCUMENT:
        raise DocumentTooLong(f"a signed document longer than {MAX_DOCUMENT} bytes")
    if not _COMPACT.fullmatch(token):
        raise NotCompact()
    public_key, payload = _checked_plain(token) or _checked(token)
    members = loads(payload)
    try:
        document = Document.from_json(members)
    except UnsupportedVersion as error:
        error.issuer, error.audience = peer_id_of(public_key), str(members.get("aud", ""))
        error.issued_at = timestamp(members, "iat")
        error.nonce = nonempty(members, "jti", MAX_NONCE)
        error.kind, error.session = str(members.get("type", "")), str(members.get("session", ""))
        raise
    if document.issuer != peer_id_of(public_key):
        raise WrongIssuer("a document signed by another key than its author's")
    return document


def _checked_plain(token: str) -> tuple[bytes, bytes] | None:
    """
    Check a document whose header is written as this program writes it, without PyJWT.

    Most are; to read the header as JSON, and what PyJWT does besides, takes nearly as long as the
    signature.  Returns the key and the payload, or None: it is for PyJWT to read, or to refuse.

    :raises BadSignature: it doesn't hold; nobody is asked twice.
    """
    signed, _, signature = token.rpartition(".")
    head, _, payload = signed.partition(".")
    public_key = _own_key(head)
    if public_key is None:
        return None
    try:
        signature_, payload_ = _decoded(signature), _decoded(payload)
    except binascii.Error:
        return None
    verify(public_key, signature_, signed.encode("ascii"))
    return public_key, payload_


@lru_cache(maxsize=MAX_AUTHORS)
def _own_key(head: str) -> bytes | None:
    """Return the key in a header that is written as this program writes it."""
    before, after = _HEADER
    try:
        header = _decoded(head)
        key = header[len(before) : -len(after)]
        return decode_bytes(key.decode("ascii"), 32) if header == before + key + after else None
    except (ValueError, RemoteProtocolError):
        return None


def _decoded(part: str) -> bytes:
    # What urlsafe_b64decode does; padding that isn't needed does no harm.
    return binascii.a2b_base64(part.encode("ascii").translate(_TO_BASE64) + b"==")


def _header(token: str) -> dict[str, Any]:
    try:
        return loads(_decoded(token.partition(".")[0]))
    except binascii.Error as error:
        raise NotCompact(f"the header isn't base64url: {error}") from None


def _embedded_key(header: dict[str, Any]) -> bytes:
    jwk = header.get("jwk")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYP or not isinstance(jwk, dict):
        raise BadHeader(f"the JWS header must have alg {ALGORITHM}, typ {TYP} and jwk")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or not isinstance(jwk.get("x"), str):
        raise BadHeader("the embedded key must be an Ed25519 key")
    try:
        return decode_bytes(jwk["x"], 32)
    except RemoteProtocolError as error:
        raise BadHeader(f"the embedded key: {error}") from None


def _checked(token: str) -> tuple[bytes, bytes]:
    """Return the embedded key, and the payload that it signed."""
    public_key = _embedded_key(_header(token))
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        return public_key, _jws.decode(token, key, algorithms=[ALGORITHM])
    except jwt.InvalidSignatureError:
        raise BadSignature() from None
    except jwt.DecodeError as error:  # the header was read: it is payload or signature
        raise NotCompact(f"not a signed document: {error}") from None
    except (jwt.InvalidTokenError, ValueError) as error:
        raise BadHeader(f"not a signed document: {error}") from None


@attrs.define
class Acceptance:
    """
    What one reader accepts: documents meant for it, fresh, and each once.

    :ivar audiences: the names under which this reader is addressed.
    """

    audiences: frozenset[str]
    _used: UsedNonces = attrs.field(init=False, factory=UsedNonces)

    def accept(self, document: Document | UnsupportedVersion, now: float) -> None:
        """
        Take a document, or say why not; of one of another version, the envelope is judged.

        :param now: seconds since 1970.
        :raises WrongAudience: it is meant for somebody else.
        :raises StaleDocument: it is older than MAX_AGE, or as far in the future.
        :raises ReplayedDocument: it was accepted before.
        :raises TooManyDocuments: so many were accepted that no more can be remembered.
        """
        check_meant(document, self.audiences, now)
        self._used.use(document.issuer, document.nonce, stale_at(document), now)


def check_meant(
    document: Document | UnsupportedVersion, audiences: frozenset[str], now: float
) -> None:
    """
    Check that a document is meant for one of these names, and fresh; not that it is new.

    :param now: seconds since 1970.
    :raises WrongAudience: it is meant for somebody else.
    :raises StaleDocument: it is older than MAX_AGE, or as far in the future.
    """
    if document.audience not in audiences:
        names = " or ".join(sorted(audiences))
        raise WrongAudience(f"a document for {document.audience}, not for {names}")
    age = now - document.issued_at
    if abs(age) > MAX_AGE:
        side = "old" if age > 0 else "ahead of time"
        raise StaleDocument(
            f"a document {abs(age):.0f} seconds {side}, {MAX_AGE:.0f} allowed: set your clock"
        )


def stale_at(document: Document | UnsupportedVersion) -> float:
    """Return when nobody accepts a document any more, seconds since 1970."""
    return document.issued_at + MAX_AGE
