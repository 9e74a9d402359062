"""What mailboxes are asked and answer, as values: it round trips; bad input raises our error."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import MAX_DOCUMENT, open_document, sign_document
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Body, Document, payload_members
from p2pchat.wire.mailbox import (
    FETCH_BYTES,
    MAX_ENVELOPE,
    MAX_FETCHED,
    MAX_ONE_TIME,
    MAX_TOKENS,
    NAME,
    PREKEY,
    TOKEN,
    TOKEN_HASH,
    DepositAnswer,
    Mail,
    MailAcknowledgement,
    MailboxState,
    MailboxTokens,
    MailFetch,
    PrekeyAnswer,
    Prekeys,
    credentials,
    envelope_name,
    parse_name,
    parse_token,
    token_hash,
)
from tests.wire.json_values import damaged

OWNER = Identity.from_seed(b"owner".ljust(32))
counts = st.integers(0, 10_000)
keys = st.binary(min_size=32, max_size=32)
names = st.binary(min_size=NAME, max_size=NAME)
prekeys = st.builds(
    Prekeys.of,
    st.binary(min_size=PREKEY, max_size=PREKEY),
    st.lists(keys, max_size=MAX_ONE_TIME),
    st.floats(0, 2e9),
)
tokens = st.builds(MailboxTokens, st.lists(names, max_size=MAX_TOKENS).map(tuple))
acknowledgements = st.builds(MailAcknowledgement, st.lists(names, max_size=MAX_FETCHED).map(tuple))
states = st.builds(MailboxState, counts, counts, counts)
prekey_answers = st.builds(
    PrekeyAnswer, st.just("a.b.c"), st.binary(max_size=64), st.none() | st.integers(0, 49)
)
deposit_answers = st.builds(DepositAnswer, names, st.integers(0, 14 * 86_400))
bodies: st.SearchStrategy[Any] = st.one_of(prekeys, tokens, acknowledgements, st.builds(MailFetch))
values: st.SearchStrategy[Any] = st.one_of(bodies, states, prekey_answers, deposit_answers)
mails = st.builds(Mail, states, st.lists(st.binary(max_size=300), max_size=4).map(tuple))


def signed(body: Body) -> str:
    """Return a document of the owner's."""
    return sign_document(OWNER, "http://r.test:80", body, 1e9, "nonce")


class ValueTests(SynchronousTestCase):
    """All of them."""

    @settings(max_examples=40)
    @given(values)
    def test_round_trip(self, value: Any) -> None:
        """What is written is read."""
        self.assertEqual(type(value).from_json(value.to_json()), value)

    @settings(max_examples=40)
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """Anything else is our error, or a value."""
        value = data.draw(values.filter(lambda value: value.to_json()))
        with contextlib.suppress(RemoteProtocolError):
            type(value).from_json(data.draw(damaged(st.just(value.to_json()))))

    @settings(max_examples=20)
    @given(bodies)
    def test_documents(self, body: Any) -> None:
        """As a document, too, octets at its end among them."""
        self.assertEqual(open_document(signed(body)).body, body)

    def test_lengths(self) -> None:
        """The longest documents are documents; what is longer, or no whole number, is refused."""
        longest = MailboxTokens((bytes(TOKEN_HASH),) * MAX_TOKENS)
        self.assertLess(len(signed(longest)), MAX_DOCUMENT)
        for body in (
            MailboxTokens((bytes(TOKEN_HASH),) * (MAX_TOKENS + 1)),
            MailboxTokens((bytes(TOKEN_HASH - 1),)),
            MailAcknowledgement((bytes(NAME - 1),)),
            Prekeys(0.0, bytes(PREKEY - 1)),
            Prekeys(0.0, bytes(PREKEY + 31)),
            Prekeys(0.0, bytes(PREKEY + 32 * (MAX_ONE_TIME + 1))),
        ):
            self.assertRaises(RemoteProtocolError, type(body).from_json, body.to_json())

    def test_octets(self) -> None:
        """Octets in the place of another type's, or a text in theirs, are refused."""
        payload = Document(OWNER.peer_id, "r", 0.0, "n", MailboxTokens((bytes(16),))).to_payload()
        for wrong in (
            payload.replace(b'"mailbox"', b'"prekeys"'),
            payload.replace(b'"mailbox"', b"[]"),
            payload.partition(b"\x00")[0],
            payload.partition(b"\x00")[0][:-1] + b',"tokens":""}',
        ):
            self.assertNotEqual(wrong, payload)
            with self.assertRaises(RemoteProtocolError):
                Document.from_json(payload_members(wrong))

    def test_prekeys(self) -> None:
        """The keys of a document are found again, each."""
        one_time = [bytes([number]) * 32 for number in range(3)]
        body = Prekeys.of(b"x" * PREKEY, one_time, 5.0)
        self.assertEqual((body.prekey, body.one_time), (b"x" * PREKEY, tuple(one_time)))


class NameTests(SynchronousTestCase):
    """Names, tokens and what stands in a header."""

    def test_names(self) -> None:
        """An envelope's name is made of its octets, and can be written."""
        name = envelope_name(b"envelope")
        self.assertNotEqual(name, envelope_name(b"another"))
        self.assertEqual(parse_name(encode_bytes(name)), name)

    def test_tokens(self) -> None:
        """A token is read from its header, and its hash tells nothing of it."""
        token = bytes(range(TOKEN))
        scheme, _, text = credentials("Mailbox", token).partition(" ")
        self.assertEqual((scheme, parse_token(text)), ("Mailbox", token))
        self.assertEqual(len(token_hash(token)), TOKEN_HASH)
        for wrong in ("", "A", text[:-1], text + "A", "=" * 43, "A" * 100_000):
            self.assertRaises(RemoteProtocolError, parse_token, wrong)
            self.assertRaises(RemoteProtocolError, parse_name, wrong)


class MailTests(SynchronousTestCase):
    """The answer to a fetch."""

    @settings(max_examples=40)
    @given(mails)
    def test_round_trip(self, mail: Mail) -> None:
        """What is written is read, and nothing of it cut short or with more behind it."""
        written = mail.encode()
        self.assertEqual(Mail.decode(written), mail)
        self.assertRaises(RemoteProtocolError, Mail.decode, written[:-1])
        self.assertRaises(RemoteProtocolError, Mail.decode, written + b"\x00")

    @settings(max_examples=40)
    @given(st.binary(max_size=100))
    def test_anything(self, data: bytes) -> None:
        """Whatever comes is our error, or mail that is written so."""
        try:
            mail = Mail.decode(data)
        except RemoteProtocolError:
            return
        self.assertEqual(len(mail.encode()), len(data))

    def test_bounds(self) -> None:
        """A longest envelope is mail; a longer one, or too many, are not."""
        state = MailboxState(1, 0, 0)
        self.assertLessEqual(MAX_ENVELOPE, FETCH_BYTES)
        longest = Mail(state, (bytes(MAX_ENVELOPE),))
        self.assertEqual(Mail.decode(longest.encode()), longest)
        for wrong in (Mail(state, (bytes(MAX_ENVELOPE + 1),)), Mail(state, (b"",) * 129)):
            self.assertRaises(RemoteProtocolError, Mail.decode, wrong.encode())
