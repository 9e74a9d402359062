"""Mailboxes at a registry, as a peer asks for them; the registry may say anything."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import RegistryError
from p2pchat.identity.envelopes import deposit_token
from p2pchat.identity.keys import Identity
from p2pchat.identity.prekeys import Prekey, public_one_time
from p2pchat.identity.signed_documents import sign_document
from p2pchat.interfaces import IMailbox
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.registry_mailbox import NO_PREKEY, DepositKeys, RegistryMailbox
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Removal
from p2pchat.wire.mailbox import Mail, MailboxState, Prekeys, envelope_name
from p2pchat.wire.origins import origin
from p2pchat.wire.strict_json import JsonObject
from tests.identity.people import ALICE, BOB

SERVER = "https://registry.test"
ORIGIN = origin(SERVER)
NOW = 1_800_000_000.0
KEY = Prekey(bytes(96)).public
ONE_TIME = [public_one_time(bytes([n]) * 32) for n in (1, 2)]
ENVELOPE = bytes(2000)
BODY = Prekeys.of(KEY, ONE_TIME, NOW + 1000)


def document(
    author: Identity = BOB, audience: str = ORIGIN, body: Any = BODY, made_at: float = NOW
) -> str:
    """Return what a registry hands out as somebody's prekeys."""
    return sign_document(author, audience, body, made_at, "nonce")


@attrs.define(eq=False)
class FakeClient:
    """What a registry answers."""

    prekeys: str = attrs.Factory(document)
    one_time: Any = 0
    server: str = SERVER
    asked: list[tuple[Any, ...]] = attrs.Factory(list)
    octets: bytes = b""

    def now(self) -> float:
        """Return the time."""
        return NOW

    def prekey(self, *asked: Any) -> Deferred[JsonObject]:
        """Hand out prekeys."""
        self.asked.append(asked)
        answer: JsonObject = {"prekeys": self.prekeys, "permit": encode_bytes(b"permit")}
        return succeed({**answer, "one_time": self.one_time})

    def leave(self, *asked: Any) -> Deferred[JsonObject]:
        """Take an envelope."""
        self.asked.append(asked)
        return succeed({"name": encode_bytes(envelope_name(ENVELOPE)), "expires_in": 100})

    def mail(self) -> Deferred[bytes]:
        """Return what waits."""
        return succeed(self.octets)

    def close(self) -> Deferred[None]:
        """Note it."""
        self.asked.append(("close",))
        return succeed(None)


class RegistryMailboxTests(SynchronousTestCase):
    """Alice leaves something for Bob."""

    def setUp(self) -> None:
        self.ours, self.nameless = FakeClient(), FakeClient()
        client: Any = self.ours
        self.mailbox = RegistryMailbox(client, self._nameless)
        self.sealed_to: list[DepositKeys] = []

    def _nameless(self) -> RegistryClient:
        client: Any = self.nameless
        return client  # type: ignore[no-any-return]

    def seal(self, keys: DepositKeys) -> bytes:
        """Note the keys."""
        self.sealed_to.append(keys)
        return ENVELOPE

    def deposit(self) -> Deferred[Any]:
        """Leave an envelope."""
        return self.mailbox.deposit(BOB.peer_id, b"t" * 32, self.seal, "before")

    def refused(self, prekeys: str, words: str) -> None:
        """These prekeys are refused, and nothing is sealed."""
        self.nameless.prekeys = prekeys
        error = self.failureResultOf(self.deposit(), RegistryError).value
        self.assertIn(words, str(error))
        self.assertEqual(error.reason, NO_PREKEY)
        self.assertEqual(self.sealed_to, [])
        self.assertEqual(self.nameless.asked[-1], ("close",))

    def test_interface(self) -> None:
        """It is a mailbox."""
        self.assertTrue(verifyObject(IMailbox, self.mailbox))

    def test_left(self) -> None:
        """Nothing goes by the connection that has our name; the token isn't the one we have."""
        name, until = self.successResultOf(self.deposit())
        self.assertEqual(name, encode_bytes(envelope_name(ENVELOPE)))
        self.assertEqual(until, NOW + 100)
        self.assertEqual(self.sealed_to, [DepositKeys(KEY, ONE_TIME[0])])
        self.assertEqual(self.ours.asked, [])
        token = deposit_token(b"t" * 32, ORIGIN)
        self.assertEqual(
            self.nameless.asked,
            [(BOB.peer_id, token), (BOB.peer_id, b"permit", ENVELOPE, "before"), ("close",)],
        )

    def test_no_one_time_key(self) -> None:
        """Where there is none left, or one that isn't there, the weekly key alone is used."""
        for index in (None, 2, 49):
            self.nameless.one_time = index
            self.successResultOf(self.deposit())
            self.assertEqual(self.sealed_to.pop(), DepositKeys(KEY, b""))

    def test_swapped(self) -> None:
        """Prekeys of others, for others, or of another kind are no prekeys of Bob."""
        self.refused(document(ALICE), "aren't theirs")
        self.refused(document(audience="https://other.test"), "aren't theirs")
        self.refused(document(body=Removal()), "aren't theirs")
        self.refused(document()[:-2] + "AA", "can't be used")

    def test_ended(self) -> None:
        """Nothing is sealed to keys whose time is over."""
        self.refused(document(body=Prekeys.of(KEY, (), NOW)), "for so long")

    def test_garbage(self) -> None:
        """What isn't mail is a registry's error."""
        self.ours.octets = b"\xff" * 10
        self.failureResultOf(self.mailbox.fetch(), RegistryError)
        mail = Mail(MailboxState(1, 2, 3), (ENVELOPE,))
        self.ours.octets = mail.encode()
        self.assertEqual(self.successResultOf(self.mailbox.fetch()), mail)
