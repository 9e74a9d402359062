"""
Signed documents: JWS compact serialization (RFC 7515) with EdDSA (RFC 8037).

::

    header   {"alg": "EdDSA", "typ": "p2pchat+jws",
              "jwk": {"kty": "OKP", "crv": "Ed25519", "x": ...}}
    payload  the members of :class:`p2pchat.wire.documents.Document`

The key travels in the header; it counts because ``iss`` must be the peer id that the key makes.
:func:`open_document` says only that the author wrote this.  Whether it is fresh, new and meant
for us is :class:`Acceptance`'s to say.

A document has one spelling: each of its parts is what :mod:`p2pchat.wire.base64url` would write.
So it can go into an event stream verbatim, where a line break would let its author write events.
Signatures are checked by libsodium alone, which refuses keys and signatures that nobody makes
(:mod:`p2pchat.identity.keys`), whatever way the header is written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

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
from p2pchat.identity.sealing import Envelope, seal
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import (
    NONCE,
    Body,
    Document,
    PeerDocument,
    RecordKey,
    payload_members,
)
from p2pchat.wire.strict_json import dumps, field, loads, timestamp

ALGORITHM = "EdDSA"
TYP = "p2pchat+jws"
MAX_DOCUMENT = 12 * 1024  # bytes of the compact form; with MAX_CIPHERTEXT and long names, 10,500
MAX_AGE = 300.0  # seconds; a document in flight is seconds old, the rest is for clocks

MAX_HEADER = 256  # characters; longer ones aren't remembered.  This program's has 162
MAX_AUTHORS = 10_000  # whose headers needn't be read again, about 500 bytes each


def sign_document(identity: Identity, audience: str, body: Body, now: float, nonce: str) -> str:
    """
    Write and sign a document.

    :param now: seconds since 1970.
    :param nonce: a random name of at most 64 characters.
    """
    document = Document(identity.peer_id, audience, now, nonce, body)
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": encode_bytes(identity.public_key)}
    header = {"alg": ALGORITHM, "jwk": jwk, "typ": TYP}
    signed = f"{encode_bytes(dumps(header))}.{encode_bytes(document.to_payload())}"
    return f"{signed}.{encode_bytes(identity.sign(signed.encode('ascii')))}"


def seal_document(
    identity: Identity, reader: str, body: PeerDocument, key: RecordKey, *, now: float, nonce: str
) -> str:
    """
    Seal a body to a peer, and sign that.

    :param key: the reader's.
    :param now: seconds since 1970.
    :param nonce: a random name of at most 64 characters.
    :raises RemoteProtocolError: the key is unfit.
    """
    sealed = seal(body, key, Envelope(identity.peer_id, reader, nonce))
    return sign_document(identity, reader, sealed, now, nonce)


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
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise NotCompact()
    head, payload, signature = parts
    public_key = (_known_key if len(head) <= MAX_HEADER else _key_in)(head)
    claims, proof = _decoded(payload), _decoded(signature)
    verify(public_key, proof, f"{head}.{payload}".encode("ascii"))
    members = payload_members(claims)
    try:
        document = Document.from_json(members)
    except UnsupportedVersion as error:
        error.issuer, error.audience = peer_id_of(public_key), str(members.get("aud", ""))
        error.issued_at = timestamp(members, "iat")
        error.nonce = NONCE.read(members.get("jti"), "jti")
        raise
    if document.issuer != peer_id_of(public_key):
        raise WrongIssuer("a document signed by another key than its author's")
    return document


def claimed_author(token: str) -> str:
    """
    Return the id whose key stands in a document, "" where none can be told at a glance.

    No signature is checked: it costs next to nothing, and is good for choosing what to check.
    """
    head = token[: MAX_HEADER + 1].partition(".")[0]
    try:
        return peer_id_of(_known_key(head)) if len(head) <= MAX_HEADER else ""
    except RemoteProtocolError:
        return ""


def _key_in(head: str) -> bytes:
    """Return the public key that a header names."""
    header = loads(_decoded(head))
    jwk = header.get("jwk")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYP or not isinstance(jwk, dict):
        raise BadHeader(f"the JWS header must have alg {ALGORITHM}, typ {TYP} and jwk")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise BadHeader("the embedded key must be an Ed25519 key")
    if "crit" in header or header.get("b64", True) is not True:
        raise BadHeader("the JWS header asks for an extension; this program knows none")
    try:
        return decode_bytes(field(jwk, "x", str), 32)
    except RemoteProtocolError as error:
        raise BadHeader(f"the embedded key: {error}") from None


# Before anything is proved: only what is short, or strangers' headers would fill the memory.
_known_key = lru_cache(maxsize=MAX_AUTHORS)(_key_in)


def _decoded(part: str) -> bytes:
    try:
        return decode_bytes(part)
    except RemoteProtocolError as error:
        raise NotCompact(f"a part of the document is {error}") from None


@attrs.define
class Acceptance:
    """
    The rule of one reader: documents are meant for it, fresh, and taken once.

    Whether a document is fresh is judged by the clock of the way that it came by.  Several ways may
    have different clocks, by which one that isn't good any more here is good still there: so the
    memory of what was taken goes by a clock of its own.

    :ivar audiences: the names under which this reader is addressed.
    :ivar seconds: returns the time on a clock that isn't set back.
    """

    audiences: frozenset[str]
    seconds: Callable[[], float]
    _used: UsedNonces = attrs.field(init=False, factory=UsedNonces)

    def accept(self, document: Document | UnsupportedVersion, now: float) -> None:
        """
        Take a document, or say why not; of one of another version, the envelope is judged.

        :param now: seconds since 1970, by the clock of the way that it came by.
        :raises WrongAudience: it is meant for somebody else.
        :raises StaleDocument: it is older than MAX_AGE, or as far in the future.
        :raises ReplayedDocument: it was accepted before.
        :raises TooManyDocuments: so many were accepted that no more can be remembered.
        """
        check_envelope(document, self.audiences, now)
        taken_at = self.seconds()
        self._used.use(document.issuer, document.nonce, taken_at + 2 * MAX_AGE, taken_at)


def check_envelope(
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


def expires_at(document: Document | UnsupportedVersion) -> float:
    """Return when nobody accepts a document any more, seconds since 1970."""
    return document.issued_at + MAX_AGE
