"""Two people compare words, and say what came of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import WhoError
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.world import Person, World
from tests.wire.word_list import WORDS


class VerifyTests(SynchronousTestCase):
    """Alice and Bob, behind NATs, connected."""

    def setUp(self) -> None:
        self.world = World(3)
        nats = [self.world.nat(PORT_RESTRICTED_CONE) for _ in range(2)]
        self.alice, self.bob = self.world.couple(*nats)
        self.world.connect(self.alice, self.bob)

    def words(self, person: Person) -> list[tuple[str, ...]]:
        """Return the words that somebody was shown."""
        return [one.words for one in person.events(events.VerificationWords)]

    def test_same(self) -> None:
        """Both see the same four words of the list; a yes is kept of a contact."""
        self.alice.node.verify("bob")
        self.world.wait(lambda: self.words(self.alice) and self.words(self.bob), awaited="words")
        [words] = self.words(self.alice)
        self.assertEqual(self.words(self.bob), [words])
        self.assertEqual(len(words), 4)
        self.assertLessEqual(set(words), set(WORDS.words))
        self.alice.node.verified(self.bob.node.peer_id, True)
        self.assertEqual([one.verified for one in self.alice.node.contacts()], [True])
        self.alice.node.verify("bob")
        self.world.wait(lambda: len(self.words(self.alice)) == 2, awaited="other words")
        self.assertNotEqual(*self.words(self.alice))
        self.alice.node.verified(self.bob.node.peer_id, False)
        self.assertEqual([one.verified for one in self.alice.node.contacts()], [False])

    def test_refused(self) -> None:
        """Nothing is said of words that weren't shown, nor shown without a connection."""
        self.assertRaises(WhoError, self.alice.node.verified, self.bob.node.peer_id, True)
        self.bob.node.verify("alice")
        self.world.wait(lambda: self.words(self.bob), awaited="words")
        with self.assertRaises(WhoError) as caught:  # Bob was called, and has no contact
            self.bob.node.verified(self.alice.node.peer_id, True)
        self.assertIn("none", str(caught.exception))
        self.alice.node.disconnect(self.bob.node.peer_id)
        self.world.internet.run(5)
        self.assertRaises(WhoError, self.alice.node.verify, "bob")
