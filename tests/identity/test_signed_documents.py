"""Signed documents: what is signed is read, and every tampering is refused."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import tracemalloc
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import (
    BadHeader,
    BadSignature,
    DocumentTooLong,
    NotCompact,
    RemoteProtocolError,
    ReplayedDocument,
    StaleDocument,
    UnsupportedVersion,
    WrongAudience,
    WrongIssuer,
)
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import (
    MAX_AGE,
    MAX_DOCUMENT,
    MAX_HEADER,
    Acceptance,
    claimed_author,
    open_document,
    sign_document,
)
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Answer,
    Body,
    Candidate,
    CandidateType,
    Description,
    Document,
    NatWords,
    Refusal,
    Registration,
    Ringing,
)
from p2pchat.wire.strict_json import dumps
from p2pchat.wire.usernames import MAX_USERNAME
from tests.identity.people import ALICE, BOB
from tests.wire.test_documents import bodies

NOW = 1_800_000_000.0
RINGING = Ringing("session")


def sign(body: Body = RINGING, by: Identity = ALICE) -> str:
    """Sign a document for Bob."""
    return sign_document(by, BOB.peer_id, body, NOW, "nonce")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return header, payload and signature."""
    header, payload, signature = token.split(".")
    return (
        *(json.loads(urlsafe_b64decode(part + "==")) for part in (header, payload)),
        signature,
    )


def written(value: object) -> str:
    """Write a part of a token."""
    return encode_bytes(json.dumps(value).encode())


def resigned(by: Identity, payload: dict[str, Any], **header: Any) -> str:
    """Sign a payload properly, under a header with some members changed."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(by.public_key)}
    fields = {"alg": "EdDSA", "typ": "p2pchat+jws", "jwk": jwk, **header}
    signed = f"{written(fields)}.{written(payload)}"
    return f"{signed}.{encode_bytes(by.sign(signed.encode()))}"


class SignatureTests(SynchronousTestCase):
    """Who wrote a document."""

    def refuse(self, token: str, error: type[RemoteProtocolError] = RemoteProtocolError) -> None:
        """This token is refused."""
        self.assertRaises(error, open_document, token)

    @settings(max_examples=60)
    @given(bodies)
    def test_round_trip(self, body: Body) -> None:
        """What is signed is read, with its author."""
        document = Document(ALICE.peer_id, BOB.peer_id, NOW, "nonce", body)
        self.assertEqual(open_document(sign(body)), document)

    def test_other_key(self) -> None:
        """The signature of another key, or of another document, doesn't hold."""
        header, payload, _ = sign().split(".")
        for other in (sign(by=BOB), sign(Ringing("other"))):
            self.refuse(f"{header}.{payload}.{other.split('.')[2]}", BadSignature)

    def test_nobodys_key(self) -> None:
        """A key that nobody holds signs nothing, whatever way the header is written."""
        # Points of small order as key and as R, with S = 0: the equation holds for any message, or
        # for every second or fourth; the last spells the first in a way that isn't canonical.
        for point in (
            b"\x01" + bytes(31),
            b"\xec" + b"\xff" * 30 + b"\x7f",
            bytes(32),
            b"\x01" + bytes(30) + b"\x80",
            b"\xee" + b"\xff" * 30 + b"\x7f",
        ):
            jwk = {"crv": "Ed25519", "kty": "OKP", "x": encode_bytes(point)}
            for fields in (
                {"alg": "EdDSA", "jwk": jwk, "typ": "p2pchat+jws"},
                {"typ": "p2pchat+jws", "jwk": jwk, "alg": "EdDSA"},
                {"alg": "EdDSA", "typ": "p2pchat+jws", "jwk": jwk, "more": 1},
            ):
                for session in range(8):
                    payload = sign(Ringing(f"{session}")).split(".")[1]
                    signature = encode_bytes(point + bytes(32))
                    token = f"{encode_bytes(dumps(fields))}.{payload}.{signature}"
                    error = self.assertRaises(BadSignature, open_document, token)
                    self.assertNotIsInstance(error, WrongIssuer)

    def test_one_spelling(self) -> None:
        """Unused bits in the last character of any part make it another text, and no document."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        payload = parts(sign())[1]
        for header in ({}, {"more": "x"}, {"more": "xy"}):  # each leaves other bits over
            token = resigned(ALICE, payload, **header) if header else sign()
            open_document(token)
            for place, part in enumerate(token.split(".")):
                last = alphabet.index(part[-1])
                spare = (1, 64, 16, 4)[len(part) % 4]
                for other in range(last + 1, min(64, last + spare)):
                    changed = token.split(".")
                    changed[place] = part[:-1] + alphabet[other]
                    self.refuse(".".join(changed))
        head, said, _ = resigned(ALICE, {**payload, "session": "12"}).split(".")
        self.assertTrue(len(said) % 4)
        signed = f"{head}.{said[:-1]}{alphabet[alphabet.index(said[-1]) + 1]}"
        self.refuse(f"{signed}.{encode_bytes(ALICE.sign(signed.encode()))}", NotCompact)

    def test_extensions(self) -> None:
        """What must be understood, and isn't, is refused."""
        payload = parts(sign())[1]
        for name, value in (("crit", ["exp"]), ("crit", []), ("b64", False), ("b64", None)):
            self.refuse(resigned(ALICE, payload, **{name: value}), BadHeader)
        open_document(resigned(ALICE, payload, b64=True, kid="x"))

    def test_other_author(self) -> None:
        """A good signature of one who isn't the ``iss`` proves nothing."""
        _, payload, _ = parts(sign())
        self.refuse(resigned(BOB, payload), BadSignature)
        open_document(resigned(ALICE, payload))

    def test_unsigned(self) -> None:
        """``alg`` is EdDSA and nothing else: not none, and no MAC keyed by the public key."""
        header, body, signature = sign().split(".")
        fields = parts(sign())[0]
        for algorithm in ("none", "None", "HS256", "ES256", None, ["EdDSA"], 5):
            changed = written({**fields, "alg": algorithm})
            for tail in ("", signature):
                self.refuse(f"{changed}.{body}.{tail}")
        self.refuse(f"{header}.{body}.", NotCompact)
        signed = f"{written({**fields, 'alg': 'HS256'})}.{body}"
        mac = hmac.digest(ALICE.public_key, signed.encode(), hashlib.sha256)
        self.refuse(f"{signed}.{encode_bytes(mac)}", BadHeader)

    def test_header(self) -> None:
        """Another ``typ``, another kind of key, or none: not one of our documents."""
        _, payload, _ = parts(sign())
        jwk = parts(sign())[0]["jwk"]
        self.refuse(resigned(ALICE, payload, typ="JWT"))
        for bad in (None, "x", {}, {**jwk, "kty": "EC"}, {**jwk, "crv": "X25519"}, {**jwk, "x": 1}):
            self.refuse(resigned(ALICE, payload, jwk=bad))
        self.refuse(resigned(ALICE, payload, jwk={**jwk, "x": jwk["x"][:-1]}))
        self.refuse(resigned(ALICE, payload, jwk={**jwk, "x": encode_bytes(b"\xff" * 32)}))

    def test_written_otherwise(self) -> None:
        """A header with its members in another order is as good; the signature counts there too."""
        fields, payload, _ = parts(sign())
        other = written(dict(reversed(fields.items())))
        self.assertNotEqual(other, sign().split(".")[0])
        signed = f"{other}.{sign().split('.')[1]}"
        token = f"{signed}.{encode_bytes(ALICE.sign(signed.encode()))}"
        self.assertEqual(open_document(token), open_document(sign()))
        self.refuse(f"{signed}.{sign().split('.')[2]}", BadSignature)
        self.refuse(resigned(ALICE, {**payload, "iss": BOB.peer_id}, extra=1), BadSignature)

    def test_parts(self) -> None:
        """Four parts aren't a document, even if the author signed the first three."""
        signed = f"{sign().rpartition('.')[0]}.e30"
        self.refuse(f"{signed}.{encode_bytes(ALICE.sign(signed.encode()))}")

    def test_payload(self) -> None:
        """A good signature doesn't excuse a bad payload."""
        _, payload, _ = parts(sign())
        self.refuse(resigned(ALICE, {**payload, "v": 3}), UnsupportedVersion)
        self.refuse(resigned(ALICE, {**payload, "session": ""}))
        self.refuse(resigned(ALICE, {}))

    def test_length(self) -> None:
        """What is longer than any document of ours isn't even decoded."""
        self.refuse("x" * (MAX_DOCUMENT + 1), DocumentTooLong)
        self.refuse(resigned(ALICE, {"v": 2, "more": "x" * MAX_DOCUMENT}))
        open_document(sign(Refusal("s", "declined", "x" * 512)))

    def test_longest(self) -> None:
        """The longest of our own documents has room: all candidates, the longest words."""
        place = ("1111:2222:3333:4444:5555:6666:7777:8888", 65535)
        candidates = (Candidate(CandidateType.SERVER_REFLEXIVE, place),) * MAX_CANDIDATES
        wide, word = "\U0001f600" * MAX_USERNAME, "x" * 64
        nat = NatWords("endpoint-independent-or-address-dependent", word, word)
        described = Description(wide, b"\xff" * 32, "f" * 32, candidates, word, nat)
        answer = Answer(word, described)
        registration = Registration(wide, word, (place,) * MAX_CANDIDATES)
        for body in (answer, registration, Refusal(word, word, "\U0001f600" * 512)):
            token = sign_document(ALICE, "x" * 512, body, NOW + 0.123456, word)
            self.assertEqual(open_document(token).body, body)

    def test_own_header(self) -> None:
        """What this program writes is short enough to be remembered."""
        self.assertLessEqual(len(sign().split(".")[0]), MAX_HEADER)

    def test_remembered_headers(self) -> None:
        """Headers of strangers fill no memory: what is remembered before a proof is short."""
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(300):
                head = written({"alg": "EdDSA", "x": f"{number:>5000}"})
                with contextlib.suppress(RemoteProtocolError):
                    open_document(f"{head}.e30.{encode_bytes(bytes(64))}")
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(after - before, 300_000)

    def test_truncated(self) -> None:
        """No beginning of a document is one."""
        token = sign()
        for length in range(0, len(token), 5):
            self.refuse(token[:length])
        self.refuse(token[:-3])

    @settings(max_examples=200)
    @given(st.data())
    def test_any_change(self, data: st.DataObject) -> None:
        """A changed character is noticed, or changes nothing that is read."""
        token = sign()
        at = data.draw(st.integers(0, len(token) - 1))
        other = data.draw(st.one_of(st.sampled_from("AZaz09-_.=\n"), st.characters()))
        try:
            read = open_document(token[:at] + other + token[at + 1 :])
        except RemoteProtocolError:
            return
        self.assertEqual(read, open_document(token))

    @settings(max_examples=100)
    @given(st.text(max_size=60), st.binary(max_size=40), st.binary(max_size=40))
    def test_any_text(self, text: str, header: bytes, payload: bytes) -> None:
        """Any text raises only our error."""
        signature = encode_bytes(bytes(64))
        self.refuse(text)
        self.refuse(f"{encode_bytes(header)}.{encode_bytes(payload)}.{signature}")
        self.refuse(f"{written({'alg': 'EdDSA', 'jwk': text})}.{encode_bytes(payload)}.{signature}")

    def test_deep(self) -> None:
        """Nesting without end in header or payload is refused like anything else."""
        deep = encode_bytes(b"[" * 20_000)
        header, _, signature = sign().split(".")
        self.refuse(f"{deep}.{deep}.{signature}")
        self.refuse(f"{header}.{deep}.{signature}")

    def test_key_form(self) -> None:
        """The key in the header is the author's raw public key, base64url."""
        self.assertEqual(decode_bytes(parts(sign())[0]["jwk"]["x"], 32), ALICE.public_key)


class AuthorTests(SynchronousTestCase):
    """Whom a document claims to be of can be told at a glance."""

    def test_author(self) -> None:
        """It is the author, unless the header is no short header of ours: then it is nobody."""
        payload = parts(sign())[1]
        for token in (sign(), resigned(ALICE, payload), resigned(ALICE, payload, kid="x")):
            self.assertEqual(claimed_author(token), ALICE.peer_id)
        long = resigned(ALICE, payload, more="x" * MAX_HEADER)
        for other in ("", "a.b.c", "." + sign(), "A" * 162 + ".b.c", "\ud800" * 162, long):
            self.assertEqual(claimed_author(other), "", other)


class AcceptanceTests(SynchronousTestCase):
    """What one reader accepts."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.acceptance = Acceptance(frozenset({"bob", "registry"}), self.clock.seconds)

    def document(self, age: float = 0.0, nonce: str = "nonce", by: str = "alice") -> Document:
        """Make a document for Bob, so many seconds old at NOW."""
        return Document(by, "bob", NOW - age, nonce, RINGING)

    def refusing(self, error: type[Exception], document: Document, now: float = NOW) -> str:
        """This document is refused; returns the sentence."""
        accept: Callable[..., None] = self.acceptance.accept
        return str(self.assertRaises(error, accept, document, now))

    def test_audience(self) -> None:
        """Each of our names is ours; a document for another says whose it is."""
        self.acceptance.accept(self.document(), NOW)
        self.acceptance.accept(Document("alice", "registry", NOW, "other", RINGING), NOW)
        stray = Document("alice", "carol", NOW, "third", RINGING)
        self.assertIn("carol", self.refusing(WrongAudience, stray))

    def test_stale(self) -> None:
        """MAX_AGE seconds old or ahead of time is good, more is not, and which it is is said."""
        self.acceptance.accept(self.document(MAX_AGE, "old"), NOW)
        self.acceptance.accept(self.document(-MAX_AGE, "ahead"), NOW)
        self.assertIn("301 seconds old", self.refusing(StaleDocument, self.document(301)))
        self.assertIn("ahead", self.refusing(StaleDocument, self.document(-301)))

    def test_replay(self) -> None:
        """A document is accepted once in all the time in which it is fresh."""
        for age in (MAX_AGE, 0.0, -MAX_AGE):
            document = self.document(age, f"nonce {age}")
            self.acceptance.accept(document, NOW)
            last = document.issued_at + MAX_AGE
            for now in (NOW, (NOW + last) / 2, last):
                self.refusing(ReplayedDocument, document, now)
                self.clock.advance((last - NOW) / 2)
            self.refusing(StaleDocument, document, last + 0.1)

    def test_other_clock(self) -> None:
        """A way whose clock is behind doesn't bring a document again that isn't good any more."""
        document = self.document()
        self.acceptance.accept(document, NOW)
        self.clock.advance(MAX_AGE + 1)
        self.refusing(StaleDocument, document, NOW + MAX_AGE + 1)
        for behind in (1.0, MAX_AGE / 2, MAX_AGE):
            self.refusing(ReplayedDocument, document, NOW + MAX_AGE + 1 - behind)
        self.clock.advance(MAX_AGE - 2)
        self.refusing(ReplayedDocument, document, NOW + MAX_AGE)

    def test_clock_set_back(self) -> None:
        """Nor does a wall clock that is set back; one that is set ahead forgets nothing."""
        document = self.document()
        self.acceptance.accept(document, NOW)
        self.acceptance.accept(self.document(-86_400, "next"), NOW + 86_400)
        self.clock.advance(10)
        self.refusing(ReplayedDocument, document, NOW)

    def test_nonce_belongs_to_author(self) -> None:
        """Nobody can use up another's nonce."""
        for author in ("mallory", "alice"):
            self.acceptance.accept(self.document(by=author), NOW)
            self.refusing(ReplayedDocument, self.document(by=author))

    def test_refused_is_not_remembered(self) -> None:
        """A document that was refused is no replay when it is sent again."""
        self.refusing(StaleDocument, self.document(-301))
        self.acceptance.accept(self.document(-301), NOW + 1)
