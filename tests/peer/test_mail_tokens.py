"""Tokens: who has one, and who may use it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.envelopes import deposit_token
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.ephemeral_store import EphemeralSecrets
from p2pchat.peer.mail_tokens import GIVEN, LEARNED, MAX_EARLY, MailTokens
from p2pchat.wire.mailbox import token_hash
from p2pchat.wire.messages import Mailbox
from tests.identity.people import ALICE, BOB

ORIGIN = "https://registry.test:443"
PLACE = Mailbox(b"t" * 32, ("https://registry.test",))
BOBS = BOB.peer_id


class MailTokensTests(SynchronousTestCase):
    """The tokens of Alice."""

    def setUp(self) -> None:
        self.secrets, self.contacts = EphemeralSecrets(), Contacts()
        self.count = 0
        self.tokens = MailTokens(self.secrets, self.contacts, self.random_bytes)

    def random_bytes(self, size: int) -> bytes:
        """Return other bytes each time."""
        self.count += 1
        return bytes([self.count]) * size

    def kept(self, kind: str) -> list[str]:
        """Return of whom something is kept."""
        kept = self.successResultOf(self.secrets.all(kind))
        return list(kept)

    def test_given(self) -> None:
        """A contact has one token, always the same; others have none."""
        self.assertIsNone(self.tokens.given(BOBS))
        self.contacts.keep(BOBS, "Bob")
        token = self.tokens.given(BOBS)
        assert token is not None
        self.assertEqual(self.tokens.given(BOBS), token)
        self.assertEqual(self.tokens.hashes(ORIGIN), [token_hash(deposit_token(token, ORIGIN))])
        again = MailTokens(self.secrets, self.contacts, self.random_bytes)
        self.successResultOf(again.load())
        self.assertEqual(again.given(BOBS), token)

    def test_blocked(self) -> None:
        """Who is blocked has none, and another one later."""
        self.contacts.keep(BOBS, "Bob")
        token = self.tokens.given(BOBS)
        self.tokens.learned(BOBS, PLACE)
        self.contacts.block(BOBS, "Bob", True)
        self.assertEqual(self.tokens.hashes(ORIGIN), [])
        self.tokens.standing_changed(BOBS)
        self.assertEqual((self.kept(GIVEN), self.kept(LEARNED)), ([], []))
        self.contacts.block(BOBS, "Bob", False)
        self.assertNotEqual(self.tokens.given(BOBS), token)
        self.assertIsNone(self.tokens.place(BOBS))

    def test_learned(self) -> None:
        """The last word of a contact counts, and an empty one takes it back."""
        self.contacts.keep(BOBS, "Bob")
        self.assertTrue(self.tokens.learned(BOBS, PLACE))
        self.assertFalse(self.tokens.learned(BOBS, PLACE))
        self.assertEqual(self.tokens.place(BOBS), PLACE)
        self.assertTrue(self.tokens.learned(BOBS, Mailbox()))
        self.assertIsNone(self.tokens.place(BOBS))
        self.assertEqual(self.kept(LEARNED), [])

    def test_early(self) -> None:
        """What a peer says a moment before it is a contact counts then; of many it is bounded."""
        self.tokens.learned(ALICE.peer_id, PLACE)
        for number in range(MAX_EARLY):
            self.tokens.learned(BOBS if number == 5 else f"{number}", PLACE)
        self.assertIsNone(self.tokens.place(BOBS))
        for one in (BOBS, ALICE.peer_id):
            self.contacts.keep(one, one[:8])
            self.tokens.standing_changed(one)
        self.assertEqual(self.tokens.place(BOBS), PLACE)
        self.assertIsNone(self.tokens.place(ALICE.peer_id))
