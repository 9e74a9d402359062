"""
Each way in which a document can be wrong is refused with a word of its own, over HTTP.

The word tells a program what happened; the sentence tells a person what to do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from p2pchat.errors import (
    P2PChatError,
    RemoteProtocolError,
    TooManyDocuments,
    UnsupportedVersion,
)
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import MAX_AGE, MAX_DOCUMENT
from p2pchat.registry.http.site import MAX_BODY
from p2pchat.registry.refusals import refusal_of
from p2pchat.registry.store.directory import MAX_REGISTRATION
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import RecordKey, Registration, Removal, Sealed
from p2pchat.wire.strict_json import MAX_DEPTH
from p2pchat.wire.work import ALGORITHM
from tests.registry.http.test_resource import ALICE, BOB, ResourceCase
from tests.registry.web import ORIGIN, START, Response

ERRORS = "p2pchat.errors"
OF_PEERS = frozenset({"ProofFailed", "SealBroken"})  # which no registry meets


def signed_bytes(payload: bytes, author: Identity = ALICE, header: bytes | None = None) -> str:
    """Sign any bytes, under any header."""
    if header is None:
        header = json.dumps(header_of(author)).encode()
    signing_input = f"{encode_bytes(header)}.{encode_bytes(payload)}"
    return f"{signing_input}.{encode_bytes(author.sign(signing_input.encode()))}"


def header_of(author: Identity, **changes: Any) -> dict[str, Any]:
    """Return the header of an author's documents, with changes."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(author.public_key)}
    return {"alg": "EdDSA", "typ": "p2pchat+jws", "jwk": jwk, **changes}


def members(**changes: Any) -> dict[str, Any]:
    """Return a good registration of Alice's, with changes."""
    envelope = {"v": 2, "type": "registration", "iss": ALICE.peer_id, "aud": ORIGIN, "jti": "name"}
    return {**envelope, "iat": START, "username": "alice", **changes}


class RefusalCase(ResourceCase):
    """Posts registrations."""

    def post(self, token: str) -> Response:
        """Post a registration."""
        return self.web.post("/register", token)

    def refuse(self, token: str, status: int, reason: str) -> str:
        """Expect a refusal, and return its sentence."""
        response = self.post(token)
        self.assertRefused(response, status, reason)
        detail = str(response.json["detail"])
        self.assertTrue(detail)
        return detail


class FormTests(RefusalCase):
    """What isn't a signed document at all."""

    def test_control(self) -> None:
        """What these tests change is accepted unchanged."""
        self.assertEqual(self.post(signed_bytes(json.dumps(members()).encode())).status, 200)

    def test_base64(self) -> None:
        """Padding, the other alphabet, line breaks, a length that no bytes make: not compact."""
        head, payload, signature = signed_bytes(json.dumps(members()).encode()).split(".")
        for bad in (
            f"{head}=.{payload}.{signature}",
            f"{head}.{payload}.{signature[:-1]}+",
            f"{head}.{payload}\n.{signature}",
            f"{head}.{payload}",
            f"{head}..{signature}",
            f"{head}.{payload}.",
            f"{head}.{payload}.{signature}.{signature}",
            f"{'A' * 5}.{payload}.{signature}",
            f"{head}.{payload}.{signature[:-1]}",
        ):
            self.refuse(bad, 400, "not-compact")
        self.assertIn("base64url", self.refuse("x", 400, "not-compact"))

    def test_long(self) -> None:
        """A longer document than any, or than is kept, and a longer body are refused as such."""
        long = signed_bytes(json.dumps(members(more="x" * (MAX_DOCUMENT * 3 // 4))).encode())
        self.assertIn(str(MAX_DOCUMENT), self.refuse(long, 413, "document-too-long"))
        keys = tuple(RecordKey("enc", "x", "k" * 1000) for _ in range(4))
        kept = self.web.signed(ALICE, Registration("alice", keys=keys))
        self.assertIn(str(MAX_REGISTRATION), self.refuse(kept, 413, "document-too-long"))
        self.assertIn(str(MAX_BODY), self.refuse("x" * (MAX_BODY + 1), 413, "body-too-large"))

    def test_header(self) -> None:
        """Another algorithm, type or key, and what must be understood and isn't: bad header."""
        payload = json.dumps(members()).encode()
        jwk = header_of(ALICE)["jwk"]
        for changes in (
            *({"alg": "none"}, {"alg": "HS256"}, {"typ": "JWT"}, {"jwk": None}),
            *({"jwk": {**jwk, "kty": "EC"}}, {"jwk": {**jwk, "x": "AAAA"}}, {"crit": ["exp"]}),
        ):
            header = json.dumps(header_of(ALICE, **changes)).encode()
            self.refuse(signed_bytes(payload, header=header), 400, "bad-header")


class JsonTests(RefusalCase):
    """Signed, and not one JSON object; the header is held to the same rules."""

    def each(self, bad: bytes, status: int, reason: str) -> str:
        """Refuse bytes as payload and as header."""
        self.refuse(signed_bytes(b"{}", header=bad), status, reason)
        return self.refuse(signed_bytes(bad), status, reason)

    def test_not_utf_8(self) -> None:
        """Bytes that aren't UTF-8, a lone surrogate's included."""
        for bad in (b'{"v": "\xff"}', "{}".encode("utf-16"), b'{"a": "\xed\xa0\x80"}'):
            self.assertIn("UTF-8", self.each(bad, 400, "not-utf-8"))

    def test_not_json(self) -> None:
        """Bytes that aren't JSON, numbers that aren't, and values that aren't objects."""
        for bad in (b"hello", b'{"v": 1', b'{"v": NaN}', b'{"v": -Infinity}', b"[]", b"5", b"null"):
            self.each(bad, 400, "not-json")

    def test_deep(self) -> None:
        """Arrays and objects nested deeper than MAX_DEPTH, unclosed ones too."""
        for bad in (
            b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
            b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
            b"[" * 5_000,
        ):
            self.assertIn(str(MAX_DEPTH), self.each(bad, 400, "nested-too-deep"))

    def test_duplicate_key(self) -> None:
        """The same key twice, at the top or further down."""
        payload = json.dumps(members())
        for bad in (payload[:-1] + ', "username": "bob"}', payload[:-1] + ', "x": {"y":1,"y":1}}'):
            self.assertIn("twice", self.each(bad.encode(), 400, "duplicate-key"))

    def test_members(self) -> None:
        """JSON that isn't a document of ours is malformed, and the member is named."""
        for changes, word in (
            ({"username": 5}, "username"),
            ({"username": "x" * 65}, "username"),
            ({"username": "\ud800"}, "surrogate"),
            ({"iat": "now"}, "iat"),
            ({"jti": "x" * 65}, "jti"),
            ({"type": "nothing"}, "type"),
            ({"addresses": ["nowhere"]}, "port"),
            ({"work": {"algorithm": ALGORITHM, "seed": 5}}, "seed"),
        ):
            bad = json.dumps(members(**changes)).encode()
            self.assertIn(word, self.refuse(signed_bytes(bad), 400, "malformed"))

    def test_version(self) -> None:
        """Another version is refused as such, and it is said which program is the older one."""
        for version, older in ((1, "the program that sent it"), (3, "the registry")):
            bad = json.dumps(members(v=version)).encode()
            said = self.refuse(signed_bytes(bad), 400, "unsupported-version")
            self.assertIn(f"of version {version}; this registry knows version 2", said)
            self.assertTrue(said.endswith(f"update {older}"), said)


class TrustTests(RefusalCase):
    """Well-formed, and not to be relied on."""

    def test_signature(self) -> None:
        """A signature by another key than the header's."""
        good = signed_bytes(json.dumps(members()).encode())
        other = signed_bytes(json.dumps(members(jti="other")).encode())
        self.refuse(f"{good[: good.rindex('.')]}.{other.split('.')[2]}", 401, "bad-signature")

    def test_another_id(self) -> None:
        """Whoever claims another's id is told that the key isn't that one's."""
        claimed = signed_bytes(json.dumps(members()).encode(), author=BOB)
        self.assertIn("another key", self.refuse(claimed, 401, "wrong-issuer"))

    def test_clock(self) -> None:
        """Too old and ahead of time: both say by how much, and what to do."""
        for age, word in (
            (MAX_AGE + 1, "301 seconds old"),
            (-MAX_AGE - 1, "301 seconds ahead of time"),
        ):
            token = self.web.signed(ALICE, Registration("alice"), age=age)
            detail = self.refuse(token, 401, "stale-document")
            self.assertIn(word, detail)
            self.assertIn("set your clock", detail)
        for age in (299.0, -299.0):
            token = self.web.signed(ALICE, Registration("alice"), age=age)
            self.assertEqual(self.post(token).status, 200)

    def test_audience(self) -> None:
        """For another registry, and for a peer."""
        for audience in ("http://other.test:8000", BOB.peer_id):
            token = self.web.signed(ALICE, Registration("alice"), audience)
            self.assertIn(audience, self.refuse(token, 403, "wrong-audience"))

    def test_replay(self) -> None:
        """The same document twice, and another with its name."""
        token = signed_bytes(json.dumps(members()).encode())
        self.assertEqual(self.post(token).status, 200)
        self.refuse(token, 409, "replayed-document")
        again = json.dumps(members(username="alicia")).encode()
        self.refuse(signed_bytes(again), 409, "replayed-document")

    def test_type(self) -> None:
        """A document that belongs to another route."""
        self.refuse(self.web.signed(ALICE, Removal()), 400, "wrong-type")

    def test_another_author(self) -> None:
        """Nobody removes another's record."""
        self.web.register(ALICE)
        token = self.web.signed(BOB, Removal())
        response = self.authorized("DELETE", f"/peer/{ALICE.peer_id}", token)
        self.assertRefused(response, 403, "not-yours")

    def test_other_algorithms(self) -> None:
        """A MAC keyed by the public key is no signature."""
        payload = json.dumps(members()).encode()
        header = json.dumps(header_of(ALICE, alg="HS256")).encode()
        signed = f"{encode_bytes(header)}.{encode_bytes(payload)}"
        mac = hmac.digest(ALICE.public_key, signed.encode(), hashlib.sha256)
        self.refuse(f"{signed}.{encode_bytes(mac)}", 400, "bad-header")


class TableTests(RefusalCase):
    """The table from errors to answers."""

    def test_own_reasons(self) -> None:
        """No two kinds of error have the same answer; what no peer can cause isn't there."""
        below = [kind for kind in descendants(RemoteProtocolError) if kind.__module__ == ERRORS]
        kinds = [kind for kind in below if kind.__name__ not in OF_PEERS]
        answers = [refusal_of(kind()).reason for kind in kinds]
        self.assertEqual(len(set(answers)), len(kinds), answers)
        self.assertNotIn("malformed", answers)
        self.assertIn(UnsupportedVersion, kinds)
        self.assertIn(TooManyDocuments, kinds)

    def test_deliveries_too(self) -> None:
        """What is refused of a registration is refused of a delivery, by the same word."""
        self.web.register(ALICE)
        token = self.web.signed(ALICE, Sealed(bytes(64)), BOB.peer_id, age=MAX_AGE + 1)
        response = self.web.post(f"/deliver/{BOB.peer_id}", token)
        self.assertRefused(response, 401, "stale-document")


def descendants(kind: type[P2PChatError]) -> list[type[RemoteProtocolError]]:
    """Return all classes below one."""
    return [one for child in kind.__subclasses__() for one in (child, *descendants(child))]  # type: ignore[misc]
