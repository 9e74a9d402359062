"""
Signing and checking documents: JWS compact serialization (RFC 7515) with EdDSA (RFC 8037).

::

    header   {"alg": "EdDSA", "typ": "p2pchat+jws",
              "jwk": {"kty": "OKP", "crv": "Ed25519", "x": ...}}
    payload  the members of :class:`p2pchat.wire.documents.Document`

The key travels in the header; it counts because ``iss`` must be the peer id that the key makes.
:func:`open_document` says only that the author wrote this.  Whether it is fresh, new and meant
for us is :class:`Acceptance`'s to say.

A document has one spelling: in each of its parts the unused bits of the last character are zero.
Signatures are checked by libsodium alone, which refuses keys and signatures that nobody makes
(:mod:`p2pchat.identity.keys`), whatever way the header is written.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Any

import attrs

from p2pchat.errors import (
    BadHeader,
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
from p2pchat.wire.documents import NONCE, Body, Document
from p2pchat.wire.strict_json import dumps, loads, timestamp

ALGORITHM = "EdDSA"
TYP = "p2pchat+jws"
MAX_DOCUMENT = (
    8 * 1024
)  # bytes of the compact form; the longest answer with 32 candidates has 6 KiB
MAX_AGE = 60.0  # seconds; a document in flight is seconds old, the rest is for clocks

MAX_AUTHORS = 10_000  # whose headers needn't be read again, about 500 bytes each

# The compact form goes into an event stream verbatim, and base64 decoders skip what isn't
# base64: a line break in it would let its author write events.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")

# How this program writes the header, but for the key of 43 characters in the middle.
_HEADER = b'{"alg":"EdDSA","jwk":{"crv":"Ed25519","kty":"OKP","x":"', b'"},"typ":"p2pchat+jws"}'
OWN_HEADER = 162  # characters of such a header in base64url

_TO_BASE64 = bytes.maketrans(b"-_", b"+/")

# What may stand last, by how many characters are left over four: the unused bits are zero.
_LAST = {2: "AQgw", 3: "AEIMQUYcgkosw048"}


def sign_document(identity: Identity, audience: str, body: Body, now: float, nonce: str) -> str:
    """
    Write and sign a document.

    :param now: seconds since 1970.
    :param nonce: a random name of at most 64 characters.
    """
    document = Document(identity.peer_id, audience, now, nonce, body)
    before, after = _HEADER
    header = before + encode_bytes(identity.public_key).encode("ascii") + after
    signed = f"{encode_bytes(header)}.{encode_bytes(dumps(document.to_json()))}"
    return f"{signed}.{encode_bytes(identity.sign(signed.encode('ascii')))}"


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
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise NotCompact()
    head, payload, signature = parts.groups()
    public_key = _own_key(head) if len(head) == OWN_HEADER else None
    if public_key is None:
        public_key = _embedded_key(loads(_decoded(head)))
    verify(public_key, _decoded(signature), token[: parts.end(2)].encode("ascii"))
    members = loads(_decoded(payload))
    try:
        document = Document.from_json(members)
    except UnsupportedVersion as error:
        error.issuer, error.audience = peer_id_of(public_key), str(members.get("aud", ""))
        error.issued_at = timestamp(members, "iat")
        error.nonce = NONCE.read(members.get("jti"), "jti")
        error.kind, error.session = str(members.get("type", "")), str(members.get("session", ""))
        raise
    if document.issuer != peer_id_of(public_key):
        raise WrongIssuer("a document signed by another key than its author's")
    return document


def claimed_author(token: str) -> str:
    """
    Return the id whose key stands in a document, "" where none can be told at a glance.

    Nothing is checked: it costs next to nothing, and is good for choosing what to check.
    """
    head = token.partition(".")[0]
    public_key = _own_key(head) if len(head) == OWN_HEADER else None
    return "" if public_key is None else peer_id_of(public_key)


@lru_cache(maxsize=MAX_AUTHORS)
def _own_key(head: str) -> bytes | None:
    """
    Return the key in a header that is written as this program writes it.

    To read it as JSON would take nearly as long as the signature.

    :param head: of OWN_HEADER characters, since it is remembered before anything is proved.
    """
    before, after = _HEADER
    try:
        header = _decoded(head)
        key = header[len(before) : -len(after)]
        return decode_bytes(key.decode("ascii"), 32) if header == before + key + after else None
    except (ValueError, RemoteProtocolError):
        return None


def _decoded(part: str) -> bytes:
    """Return the bytes of one part, each character of which is of base64url."""
    left = len(part) % 4
    if left == 1 or (left and part[-1] not in _LAST[left]):
        raise NotCompact("not the one spelling of base64url: its last character has unused bits")
    # What urlsafe_b64decode does; padding that isn't needed does no harm.
    return binascii.a2b_base64(part.encode("ascii").translate(_TO_BASE64) + b"==")


def _embedded_key(header: dict[str, Any]) -> bytes:
    """Return the key in any other header."""
    jwk = header.get("jwk")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYP or not isinstance(jwk, dict):
        raise BadHeader(f"the JWS header must have alg {ALGORITHM}, typ {TYP} and jwk")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or not isinstance(jwk.get("x"), str):
        raise BadHeader("the embedded key must be an Ed25519 key")
    if "crit" in header or header.get("b64", True) is not True:
        raise BadHeader("the JWS header asks for an extension; this program knows none")
    try:
        return decode_bytes(jwk["x"], 32)
    except RemoteProtocolError as error:
        raise BadHeader(f"the embedded key: {error}") from None


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
