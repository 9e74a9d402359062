"""Which key a document to a peer is sealed to."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.contacts import Contacts
from p2pchat.peer.sealing_keys import MAX_PEERS, SealingKeys
from p2pchat.wire.documents import Answer, Candidates, Description, Offer, RecordKey, Ringing
from tests.identity.people import ALICE, BOB, CAROL, identity, sealing_key

FIRST, SECOND, THIRD = (sealing_key(identity(number)).record_key for number in (10, 11, 12))
UNKNOWN = RecordKey("enc", "HPKE-99", "whatever")


def offer(*keys: RecordKey) -> Offer:
    """Return an offer that shows these keys."""
    return Offer("s", Description("bob", bytes(32), "ufrag", (), keys=keys))


class SealingKeysTests(SynchronousTestCase):
    """Alice's, of whom Bob is a contact."""

    def setUp(self) -> None:
        self.contacts = Contacts()
        self.contacts.keep(BOB.peer_id, "bob")
        self.keys = SealingKeys(sealing_key(ALICE), self.contacts)

    def key(self) -> RecordKey | None:
        """Return the key that documents to Bob are sealed to."""
        return self.keys.key_of(BOB.peer_id)

    def test_order(self) -> None:
        """What the peer sent comes before what is kept, and that before what a look-up showed."""
        self.assertIsNone(self.key())
        self.keys.shown(BOB.peer_id, (UNKNOWN, FIRST))
        self.assertEqual(self.key(), FIRST)
        self.contacts.remember_key(BOB.peer_id, SECOND)
        self.assertEqual(self.key(), SECOND)
        self.keys.heard(BOB.peer_id, offer(UNKNOWN, THIRD))
        self.assertEqual(self.key(), THIRD)
        self.keys.shown(BOB.peer_id, (FIRST,))
        self.assertEqual(self.key(), THIRD)
        self.assertIsNone(self.keys.key_of(CAROL.peer_id))

    def test_heard(self) -> None:
        """Of an answer they are taken, too; what shows none that is known takes none away."""
        self.keys.heard(BOB.peer_id, Answer("s", offer(FIRST).description))
        for body in (Ringing("s"), Candidates("s", ()), offer(), offer(UNKNOWN)):
            self.keys.heard(BOB.peer_id, body)
            self.assertEqual(self.key(), FIRST)

    def test_doubt(self) -> None:
        """An offer that brings nothing back makes a key doubtful, until something comes."""
        self.keys.heard(BOB.peer_id, offer(FIRST))
        self.assertFalse(self.keys.is_doubted(BOB.peer_id))
        self.keys.offered(BOB.peer_id)
        self.assertTrue(self.keys.is_doubted(BOB.peer_id))
        self.assertFalse(self.keys.is_doubted(CAROL.peer_id))
        self.keys.heard(BOB.peer_id, Ringing("s"))
        self.assertFalse(self.keys.is_doubted(BOB.peer_id))
        self.assertEqual(self.key(), FIRST)

    def test_looked_up(self) -> None:
        """What a look-up shows then comes before everything, and whether it is new is told."""
        self.contacts.remember_key(BOB.peer_id, FIRST)
        self.keys.offered(BOB.peer_id)
        self.assertFalse(self.keys.looked_up(BOB.peer_id, (FIRST,)))
        self.assertTrue(self.keys.looked_up(BOB.peer_id, (SECOND,)))
        self.assertEqual((self.key(), self.keys.is_doubted(BOB.peer_id)), (SECOND, False))
        self.assertFalse(self.keys.looked_up(BOB.peer_id, (UNKNOWN,)))
        self.assertFalse(self.keys.looked_up(CAROL.peer_id, (THIRD,)), "there was none")

    def test_introduce(self) -> None:
        """Offers and answers show our key; nothing else is changed."""
        own = (sealing_key(ALICE).record_key,)
        for body in (offer(), Answer("s", offer().description, b"flight")):
            shown = self.keys.introduce(body)
            described = attrs.evolve(body.description, keys=own)
            self.assertEqual(shown, attrs.evolve(body, description=described))
        self.assertEqual(self.keys.introduce(Ringing("s")), Ringing("s"))

    def test_bound(self) -> None:
        """Of very many who write, the last are remembered; a contact's key stays."""
        self.contacts.remember_key(BOB.peer_id, FIRST)
        for number in range(MAX_PEERS + 1):
            self.keys.heard(str(number), offer(SECOND))
        self.assertIsNone(self.keys.key_of("0"))
        self.assertEqual((self.keys.key_of("1"), self.key()), (SECOND, FIRST))
