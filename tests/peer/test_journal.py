"""Entries on their way into a store whose commits take time, or fail."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.identity.keys import peer_id_octets
from p2pchat.identity.sealing import SealingKey
from p2pchat.interfaces import IMessageStore
from p2pchat.peer.journal import RETRY
from p2pchat.peer.profile import Profile
from tests.identity.people import ALICE, BOB
from tests.peer.lasting_store import COMMIT, LastingStore
from tests.simulation.world import GATHERING, Person, World


class JournalCase(SynchronousTestCase):
    """Two people with stores, who are connected."""

    def setUp(self) -> None:
        self.world = World(1)
        self.stores: dict[str, LastingStore] = {}
        self.alice, self.bob = self.start("alice"), self.start("bob")
        self.world.settle(self.alice, self.bob)
        self.world.connect(self.alice, self.bob)

    def start(self, name: str) -> Person:
        """Start somebody, with what was stored before."""
        who = {"alice": ALICE, "bob": BOB}[name]
        own = peer_id_octets(who.peer_id)
        host = self.world.internet.host()
        rows = self.stores[name].rows if name in self.stores else {}
        self.stores[name] = LastingStore(self.world.internet.clock, own, rows)
        profile = Profile(who, SealingKey.from_seed(name.encode().ljust(32)))
        return self.world.start_on(host, name, profile, store=self.stores[name])

    def run_until_delivered(self, one: Person, count: int) -> None:
        """Wait until so many lines of somebody were confirmed in all."""
        self.world.wait(lambda: len(one.events(events.MessageDelivered)) >= count, 20)

    def troubles(self, one: Person) -> list[events.Trouble]:
        """Return what somebody was told of their store."""
        return [one for one in one.events(events.Trouble) if one.word == "storage"]


class MemoryTests(SynchronousTestCase):
    """Two people who keep nothing."""

    def test_long_turn(self) -> None:
        """What is said in one turn waits for its end, or for a signature's worth of lines."""
        world = World(1)
        alice, bob = world.person("alice"), world.person("bob")
        world.settle(alice, bob)
        world.connect(alice, bob)
        told = []
        for number in range(400):
            alice.say(f"{number} {'.' * 90}", bob)
            told.append(len(alice.events(events.MessageSent)))
        self.assertEqual(told[:10], [1] * 10)
        self.assertGreater(len(set(told)), 2)  # some go out while more is said
        world.wait(lambda: len(bob.texts()) == 400, 5)
        self.assertEqual([int(text.split()[0]) for text in bob.texts()], list(range(400)))


class JournalTests(JournalCase):
    """Two people who talk."""

    def test_interface(self) -> None:
        """The store of these tests is one."""
        self.assertTrue(verifyObject(IMessageStore, self.stores["alice"]))

    def test_both_ways(self) -> None:
        """Lines are stored on both sides, alike, before they are shown and confirmed."""
        for number in range(5):
            self.alice.say(f"a{number}", self.bob)
            self.bob.say(f"b{number}", self.alice)
        self.run_until_delivered(self.alice, 5)
        self.run_until_delivered(self.bob, 5)
        self.assertEqual(self.bob.texts(), [f"a{number}" for number in range(5)])
        ours = self.stores["alice"].of(self.bob.node.peer_id).history()
        self.assertEqual(ours, self.stores["bob"].of(self.alice.node.peer_id).history())
        self.assertEqual(len(ours), 10)

    def test_batches(self) -> None:
        """A line goes at once; what is said while it is stored is stored together."""
        for number in range(100):
            self.alice.say(str(number), self.bob)
        self.run_until_delivered(self.alice, 100)
        self.assertEqual(self.stores["alice"].batches, [1, 99])
        self.assertEqual(self.bob.texts(), [str(number) for number in range(100)])

    def test_full_disk_of_the_author(self) -> None:
        """What isn't stored doesn't go out; it is told once, and goes on when there is room."""
        self.stores["alice"].is_full = True
        self.alice.say("one", self.bob)
        self.alice.say("two", self.bob)
        self.world.internet.run(3 * RETRY)
        self.assertEqual((self.bob.texts(), self.alice.events(events.MessageSent)), ([], []))
        (trouble,) = self.troubles(self.alice)
        self.assertIn("the disk is full", trouble.reason)
        self.stores["alice"].is_full = False
        self.run_until_delivered(self.alice, 2)
        self.assertEqual(self.bob.texts(), ["one", "two"])
        said = [event.text for event in self.alice.events(events.MessageSent)]
        self.assertEqual(said, ["one", "two"])
        self.assertIn("stored again", self.troubles(self.alice)[1].reason)

    def test_full_disk_of_the_reader(self) -> None:
        """What isn't stored is neither shown nor confirmed."""
        self.stores["bob"].is_full = True
        self.alice.say("one", self.bob)
        self.world.internet.run(2 * RETRY)
        self.assertEqual((self.bob.texts(), self.alice.events(events.MessageDelivered)), ([], []))
        self.assertEqual(len(self.troubles(self.bob)), 1)
        self.stores["bob"].is_full = False
        self.run_until_delivered(self.alice, 1)
        self.assertEqual(self.bob.texts(), ["one"])

    def test_quota(self) -> None:
        """Who has sent enough for a day is told of once; everything else goes on."""
        self.stores["bob"].is_exhausted = True
        self.alice.say("too much", self.bob)
        self.world.internet.run(3 * RETRY)
        self.assertEqual([one.reason for one in self.troubles(self.bob)], ["enough for today"])
        self.assertEqual(self.bob.texts(), [])
        self.assertEqual(len(self.alice.events(events.DeliveryPaused)), 1)
        self.bob.say("stop it", self.alice)
        self.run_until_delivered(self.bob, 1)
        self.stores["bob"].is_exhausted = False
        self.run_until_delivered(self.alice, 1)
        self.assertEqual(self.bob.texts(), ["too much"])
        self.assertEqual(len(self.troubles(self.bob)), 1)

    def test_last_line(self) -> None:
        """A line said right before leaving arrives, and before the news that somebody left."""
        self.alice.say("bye", self.bob)
        self.alice.node.disconnect(self.bob.node.peer_id)
        self.world.wait(lambda: self.bob.events(events.Disconnected), 10)
        told = [one for one in self.bob.told if isinstance(one, events.SessionEvent)]
        self.assertEqual([one.NAME for one in told[-2:]], ["message", "disconnected"])

    def test_restart(self) -> None:
        """Who comes back goes on in the same log, and hears what waited; nothing comes twice."""
        self.alice.say("one", self.bob)
        self.run_until_delivered(self.alice, 1)
        self.bob.host.kill()
        self.alice.say("two", self.bob)
        self.world.internet.run(COMMIT * 2)
        self.alice.host.kill()
        self.alice, self.bob = self.start("alice"), self.start("bob")
        self.world.settle(self.alice, self.bob)
        self.world.connect(self.bob, self.alice)
        self.world.wait(self.bob.texts, 20)
        self.alice.say("three", self.bob)
        self.run_until_delivered(self.alice, 2)
        self.assertEqual(self.bob.texts(), ["two", "three"])
        ours = self.stores["alice"].of(self.bob.node.peer_id).history()
        self.assertEqual(ours, self.stores["bob"].of(self.alice.node.peer_id).history())
        self.assertEqual([text for _, text in ours], ["one", "two", "three"])
        self.assertEqual([name[-2:] for name, _ in ours], ["-1", "-2", "-3"])

    def test_stop(self) -> None:
        """A node that stops stores what waits, and closes its store."""
        self.bob.host.kill()
        for number in range(3):
            self.alice.say(str(number), self.bob)
        self.world.result(self.alice.node.stop())
        kept = self.stores["alice"].of(self.bob.node.peer_id).history()
        self.assertEqual([text for _, text in kept], ["0", "1", "2"])
        self.assertTrue(self.stores["alice"].is_closed)
        self.world.internet.run(GATHERING)
