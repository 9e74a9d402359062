"""Signed documents as values: every type round trips, and bad ones raise only our error."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError, UnsupportedVersion
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    MAX_CIPHERTEXT,
    MAX_FLIGHT,
    MAX_KEY,
    MAX_KEYS,
    Answer,
    Candidate,
    Candidates,
    CandidateType,
    Card,
    Description,
    Document,
    NatWords,
    Offer,
    PeerDocument,
    RecordKey,
    Refusal,
    Registration,
    Removal,
    Ringing,
    Sealed,
    Subscription,
    payload_members,
    read_candidates,
    read_peer_body,
    write_candidates,
    write_peer_body,
)
from p2pchat.wire.strict_json import dumps, loads
from tests.wire import test_nameplates
from tests.wire.json_values import damaged, text_of
from tests.wire.names import usernames

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
addresses = st.tuples(hosts, st.integers(1, 65535))
candidates = st.lists(
    st.builds(Candidate, st.sampled_from(CandidateType), addresses), max_size=5
).map(tuple)
sessions = text_of(1, 64)
labels = text_of(0, 64)
nat_words = st.builds(NatWords, labels, labels, labels)
keys = st.binary(min_size=32, max_size=32)
record_keys = st.lists(st.builds(RecordKey, labels, labels, text_of(0, 100)), max_size=3).map(tuple)
descriptions = st.builds(
    Description, usernames, keys, text_of(1, 32), candidates, labels, nat_words, record_keys
)
peer_bodies = st.one_of(
    st.builds(Offer, sessions, descriptions),
    st.builds(Answer, sessions, descriptions, st.binary(max_size=100)),
    st.builds(Candidates, sessions, candidates, st.booleans(), nat_words),
    st.builds(Ringing, sessions),
    st.builds(Refusal, sessions, text_of(1, 64), text_of(0, 100)),
)
bodies = st.one_of(
    st.builds(
        Registration,
        usernames,
        labels,
        st.lists(addresses, max_size=3).map(tuple),
        listed=st.booleans(),
        keys=record_keys,
    ),
    st.just(Subscription()),
    st.just(Removal()),
    st.builds(Sealed, st.binary(max_size=300)),
    st.builds(Card, usernames, record_keys, st.lists(labels, max_size=3).map(tuple), labels),
    test_nameplates.claims,
    test_nameplates.completions,
    test_nameplates.releases,
    peer_bodies,
)
documents = st.builds(
    Document, text_of(1, 64), text_of(1, 100), st.floats(0, 1e10), text_of(1, 64), bodies
)

OFFER = Offer("s", Description("alice", bytes(32), "ufrag", ()))


def members(body: Any = OFFER, **changed: Any) -> dict[str, Any]:
    """Return the members of a document about this body, some changed; ``None`` removes one."""
    good = {**Document("issuer", "audience", 1.0, "nonce", body).to_json(), **changed}
    return {name: value for name, value in good.items() if value is not None}


class DocumentTests(SynchronousTestCase):
    """The envelope and its types."""

    def refuse(self, **changed: Any) -> None:
        """The offer with these members is refused."""
        with self.subTest(**changed):
            self.assertRaises(RemoteProtocolError, Document.from_json, members(**changed))

    @settings(max_examples=200)
    @given(documents)
    def test_round_trip(self, document: Document) -> None:
        """Every type comes back from the wire as it was, an answer not as an offer."""
        read = Document.from_json(payload_members(document.to_payload()))
        self.assertEqual(read, document)
        self.assertIs(type(read.body), type(document.body))

    @settings(max_examples=200)
    @given(peer_bodies)
    def test_peer_bodies(self, body: PeerDocument) -> None:
        """What is written to a peer comes back as it was, an answer not as an offer."""
        read = read_peer_body(loads(dumps(write_peer_body(body))))
        self.assertEqual((type(read), read), (type(body), body))

    @settings(max_examples=300)
    @given(damaged(peer_bodies.map(write_peer_body)))
    def test_any_peer_body(self, members: dict[str, Any]) -> None:
        """Any JSON object raises only our error there, too."""
        with contextlib.suppress(RemoteProtocolError):
            read_peer_body(members)

    def test_types_apart(self) -> None:
        """What is for the registry is nothing for a peer."""
        for kind in ("registration", "subscription", "removal", "sealed", "bribe", "", None):
            bad = {**write_peer_body(OFFER), "type": kind}
            self.assertRaises(RemoteProtocolError, read_peer_body, bad)

    def test_keys(self) -> None:
        """Keys have their lengths and their number; nobody needs to have one."""
        key = {"use": "enc", "alg": "HPKE-3", "key": "x" * MAX_KEY, "kid": "more"}
        self.assertEqual(Document.from_json(members(keys=None)).body, OFFER)
        Document.from_json(members(keys=[key] * MAX_KEYS))
        self.refuse(keys=[key] * (MAX_KEYS + 1))
        for bad in ({"use": "x" * 65}, {"alg": None}, {"key": "x" * (MAX_KEY + 1)}, {"key": 1}):
            self.refuse(keys=[{**key, **bad}])
        self.refuse(keys={})

    def test_ciphertext(self) -> None:
        """A ciphertext is octets, a flight base64url, and both have their lengths."""
        longest = Sealed(bytes(MAX_CIPHERTEXT))
        self.assertEqual(Document.from_json(members(longest)).body, longest)
        for bad in (None, 5, "AAAA", bytes(MAX_CIPHERTEXT + 1)):
            self.assertRaises(
                RemoteProtocolError, Document.from_json, members(longest, ciphertext=bad)
            )
        answer = Answer("s", OFFER.description, bytes(MAX_FLIGHT))
        self.assertEqual(Document.from_json(members(answer)).body, answer)
        much = members(answer)["flight"] + "AAAA"
        self.assertRaises(RemoteProtocolError, Document.from_json, members(answer, flight=much))

    @settings(max_examples=300)
    @given(damaged(documents.map(Document.to_json)))
    def test_any_object(self, members: dict[str, Any]) -> None:
        """Any JSON object raises only our error."""
        with contextlib.suppress(RemoteProtocolError):
            Document.from_json(members)

    def test_payload(self) -> None:
        """JSON ends where the ciphertext begins, which may be anything, or nothing."""
        for ciphertext in (b"", b"\x00", b'\x00{"v":3}', b"}"):
            document = Document("issuer", "audience", 1.0, "nonce", Sealed(ciphertext))
            payload = document.to_payload()
            self.assertTrue(payload.endswith(b"\x00" + ciphertext))
            self.assertEqual(Document.from_json(payload_members(payload)), document)
        written = Document("issuer", "audience", 1.0, "nonce", Sealed(b"")).to_payload()[:-1]
        self.assertRaises(RemoteProtocolError, Document.from_json, payload_members(written))
        for bad in (b"", b"\x00", b"\x00" + written, written[:-1] + b"\x00", b"[]\x00"):
            self.assertRaises(RemoteProtocolError, payload_members, bad)

    def test_unknown_members(self) -> None:
        """Unknown members are ignored, for the sake of newer programs."""
        read = Document.from_json(members(future={"a": [1]}, another=None))
        self.assertEqual(read, Document.from_json(members()))

    def test_unknown_version(self) -> None:
        """Another version says so before anything else is looked at."""
        error = self.assertRaises(UnsupportedVersion, Document.from_json, {"v": 3})
        self.assertIn("version 3", str(error))
        self.refuse(v="1")
        self.refuse(v=None)

    def test_envelope(self) -> None:
        """Each member of the envelope must be there and not be empty."""
        for name in ("v", "type", "iss", "aud", "iat", "jti"):
            self.refuse(**{name: None})
        for name in ("iss", "aud", "jti"):
            self.refuse(**{name: " "})
        self.refuse(type="bribe")
        self.refuse(jti="x" * 65)

    def test_optional(self) -> None:
        """An old program may leave out what has a default."""
        left_out = dict.fromkeys(("link", "mapping", "allocation", "filtering"))
        self.assertEqual(Document.from_json(members(**left_out)).body, OFFER)
        bare = Candidates("s", ())
        read = Document.from_json(members(bare, began=None, **left_out)).body
        self.assertEqual((read, bare.began, bare.nat), (bare, False, NatWords()))

    def test_offer_limits(self) -> None:
        """Names, keys and candidates have their lengths."""
        for host in ("192.0.2.1", "2001:db8::1"):
            one = write_candidates([Candidate(CandidateType.HOST, (host, 1))])
            Document.from_json(members(candidates=encode_bytes(one * MAX_CANDIDATES)))
            self.refuse(candidates=encode_bytes(one * (MAX_CANDIDATES + 1)))
        self.refuse(username="x" * 65)
        self.refuse(username="  ")
        self.refuse(username="c9ab0cae")
        self.refuse(session="")
        self.refuse(ufrag="x" * 33)
        self.refuse(link=1)
        for name in ("mapping", "allocation", "filtering"):
            self.refuse(**{name: "x" * 65})
            self.refuse(**{name: 1})

    def test_candidates(self) -> None:
        """A candidate is of a known type, with an IP address and a port, and whole."""
        for good in ("00c000020100ff", "13" + "20010db8" + "00" * 11 + "01ffff", ""):
            read = read_candidates(bytes.fromhex(good))
            self.assertEqual(write_candidates(read).hex(), good)
            Document.from_json(members(candidates=encode_bytes(bytes.fromhex(good))))
            for length in range(1, len(good) // 2):
                self.assertRaises(
                    RemoteProtocolError, read_candidates, bytes.fromhex(good)[:length]
                )
        for bad in ("04c000020100ff", "20c000020100ff", "80c000020100ff", "00c00002010000"):
            self.refuse(candidates=encode_bytes(bytes.fromhex(bad)))
        others: tuple[Any, ...] = (None, [], {}, 5, "x", "192.0.2.1:1")
        for other in others:
            self.refuse(candidates=other)
