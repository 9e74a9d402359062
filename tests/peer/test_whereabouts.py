"""Where we are found, told to contacts, and where they are."""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.registry_lists import open_list, sign_list
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.peer.whereabouts import MAX_EARLY, MAX_MOVERS, MOVE_INTERVAL, MOVES, Whereabouts
from p2pchat.wire.documents import RegistryList
from tests.identity.people import ALICE, BOB, CAROL, identity, sealing_key
from tests.peer.fake_signaling import FakeSignaling
from tests.simulation.internet import Internet
from tests.simulation.world import runtime_on

NOW = 1000.0  # by the clock of FakeSignaling


class WhereaboutsTests(SynchronousTestCase):
    """Alice, whose contact is Bob."""

    def setUp(self) -> None:
        self.internet = Internet(1)
        runtime = runtime_on(self.internet.host(), Random(1))
        self.contacts = Contacts()
        self.contacts.keep(BOB.peer_id, "bob")
        members = [FakeSignaling(name) for name in ("http://b.test", "http://a.test", "the room")]
        keys = SealingKeys(sealing_key(ALICE), self.contacts)
        self.whereabouts = Whereabouts(
            *(ALICE, self.contacts, keys, SignalingGroup(list(members), Clock()), runtime)
        )

    def take(self, *urls: str, as_of: float = NOW, author: str = "bob") -> None:
        """Let a list come."""
        author_key = {"bob": BOB, "carol": CAROL}[author]
        body = RegistryList((sealing_key(author_key).record_key,), urls)
        token = sign_list(author_key, ALICE.peer_id, body, as_of, "n")
        self.whereabouts.take(author_key.peer_id, token)

    @property
    def bobs(self) -> tuple[str, ...]:
        """Where Bob is found."""
        return self.contacts[BOB.peer_id].registries

    def test_ours(self) -> None:
        """Contacts read our registries in our order, and our key; what is no URL is left out."""
        message = self.whereabouts.describe(BOB.peer_id)
        assert message is not None
        found = open_list(message.document, ALICE.peer_id, BOB.peer_id, NOW)
        self.assertEqual(found.as_of, NOW)
        self.assertEqual(found.body.registries, ("http://b.test", "http://a.test"))
        self.assertEqual(found.body.keys, (sealing_key(ALICE).record_key,))

    def test_contacts_only(self) -> None:
        """Nobody else is told, nor listened to."""
        self.take("http://c.test", author="carol")
        self.assertEqual(self.contacts[CAROL.peer_id].registries, ())
        self.contacts.block(BOB.peer_id, "bob", True)
        self.take("http://c.test")
        self.assertEqual(self.bobs, ())
        for one in (BOB, CAROL):
            self.assertIsNone(self.whereabouts.describe(one.peer_id))

    def test_early(self) -> None:
        """What comes just before somebody becomes a contact counts then; of few such."""
        self.take("http://c.test", author="carol")
        self.contacts.keep(CAROL.peer_id, "carol")
        self.whereabouts.connected(CAROL.peer_id)
        self.assertEqual(self.contacts[CAROL.peer_id].registries, ("http://c.test",))
        self.contacts.forget(CAROL.peer_id)
        self.take("http://d.test", author="carol", as_of=NOW + 1)
        for number in range(MAX_EARLY):
            self.whereabouts.take(f"{number}", "nonsense")
        self.contacts.keep(CAROL.peer_id, "carol")
        self.whereabouts.connected(CAROL.peer_id)
        self.assertEqual(self.contacts[CAROL.peer_id].registries, ())

    def test_theirs(self) -> None:
        """What a contact says is kept; what is forged, or older, changes nothing."""
        self.take("http://c.test", "http://d.test")
        self.assertEqual(self.bobs, ("http://c.test", "http://d.test"))
        self.take("http://old.test", as_of=NOW - 1)
        body = RegistryList((), ("http://forged.test",))
        for token in (sign_list(CAROL, ALICE.peer_id, body, NOW + 1, "n"), "nonsense"):
            self.whereabouts.take(BOB.peer_id, token)
        self.assertEqual(self.bobs, ("http://c.test", "http://d.test"))

    def test_restless(self) -> None:
        """A contact that moves all the time is heard now and then."""
        for number in range(int(MOVES) + 5):
            self.take(f"http://{number}.test", as_of=NOW + number)
        self.assertEqual(self.bobs, (f"http://{MOVES - 1:.0f}.test",))
        self.internet.run(MOVE_INTERVAL)
        for number in range(20):  # who says the same on link after link, or an old one, stays put
            self.take(f"http://{MOVES - 1:.0f}.test", as_of=NOW + 20 + number)
            self.take("http://0.test")
        self.take("http://last.test", as_of=NOW + 100)
        self.assertEqual(self.bobs, ("http://last.test",))

    def test_many(self) -> None:
        """Of very many contacts those that moved last are remembered."""
        for number in range(MAX_MOVERS + 2):
            other = identity(1000 + number)
            self.contacts.keep(other.peer_id, f"contact {number}")
            body = RegistryList((), ("http://o.test",))
            token = sign_list(other, ALICE.peer_id, body, NOW, "n")
            self.whereabouts.take(other.peer_id, token)
        self.take("http://c.test")
        self.assertEqual(self.bobs, ("http://c.test",))
