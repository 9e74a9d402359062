"""Lines that wait for contacts, and who is called for them, in a simulated internet."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import LocalProtocolError, WhoError
from p2pchat.peer.outbox import LOOK_INTERVAL, REFUSED
from p2pchat.session.approval import AcceptPolicy
from tests.simulation.state import State
from tests.simulation.world import Person, World


class OutboxCase(SynchronousTestCase):
    """Alice, who keeps what she says, and Bob, a contact of hers who doesn't run yet."""

    def setUp(self) -> None:
        self.world = World(1)
        self.alices = State("alice", Path(self.mktemp()))
        self.bobs = State("bob", Path(self.mktemp()))
        self.alice = self.alices.start(self.world, accept=AcceptPolicy.CONTACTS)
        self.addCleanup(lambda: self.alices.kill(self.alice))
        self.bob = self.start_bob()
        self.world.settle(self.alice, self.bob)
        self.alice.profile.contacts.keep(self.bob.node.peer_id, "Bob")
        self.bob.profile.contacts.keep(self.alice.node.peer_id, "Alice")

    def start_bob(self, accept: AcceptPolicy = AcceptPolicy.CONTACTS) -> Person:
        """Start Bob."""
        bob = self.bobs.start(self.world, accept=accept)
        self.addCleanup(lambda: self.bobs.kill(bob))
        return bob

    def stop_bob(self) -> None:
        """Let Bob leave."""
        self.world.result(self.bob.node.stop())

    def wait_for_bob(self, *texts: str) -> None:
        """Wait until Bob has read these."""
        self.world.wait(lambda: self.bob.texts() == list(texts), 3 * LOOK_INTERVAL)

    def told(self, one: Person) -> list[str]:
        """Return the names of what somebody was told of calls."""
        calls = (events.SessionEvent,)
        return [event.NAME for event in one.told if isinstance(event, calls)]


class OutboxTests(OutboxCase):
    """Who is called, when, and what is told of it."""

    def test_there(self) -> None:
        """A contact who is there is connected at once, and nobody is asked."""
        begun = self.world.internet.clock.seconds()
        self.alice.say("hi", self.bob)
        self.world.wait(lambda: self.alice.events(events.Connected))
        self.assertEqual(self.bob.texts(), ["hi"])
        self.assertLess(self.world.internet.clock.seconds() - begun, 3)
        self.assertNotIn("calling", self.told(self.alice))
        self.assertIn("connected", self.told(self.alice))
        self.assertTrue(self.bob.events(events.OfferReceived)[0].accepted)

    def test_away(self) -> None:
        """For one who isn't there lines wait, silently, and go when he is."""
        self.stop_bob()
        self.alice.say("one", self.bob)
        self.alice.say("two", self.bob)
        self.world.internet.run(90)
        self.assertEqual(self.told(self.alice), ["sent", "sent"])
        self.bob = self.start_bob()
        self.wait_for_bob("one", "two")

    def test_withdrawn(self) -> None:
        """A line that was taken back reaches nobody, after a restart neither."""
        self.stop_bob()
        self.alice.say("one", self.bob)
        name = self.alice.say("oops", self.bob)
        self.alice.say("two", self.bob)
        self.world.internet.run(1)
        self.alice.node.withdraw(self.bob.node.peer_id, name)
        self.world.internet.run(1)
        self.assertEqual([text for _, text in self.alices.history()], ["one", "two"])
        self.alices.kill(self.alice)
        self.alice = self.alices.start(self.world)
        self.bob = self.start_bob()
        self.wait_for_bob("one", "two")
        self.world.wait(lambda: not self.alice.node.conversations()[0].undelivered)
        self.assertEqual(self.alices.history(), self.bobs.history())

    def test_under_way(self) -> None:
        """Once there is a connection nothing can be taken back."""
        name = self.alice.say("one", self.bob)
        self.world.wait(lambda: self.alice.events(events.Connected))
        withdraw = self.alice.node.withdraw
        error = self.assertRaises(LocalProtocolError, withdraw, self.bob.node.peer_id, name)
        self.assertIn("may have gone out", str(error))

    def test_by_name(self) -> None:
        """A contact who is away can be chosen by name; a stranger can't."""
        self.stop_bob()
        self.assertEqual(self.alice.node.find("bob"), self.bob.node.peer_id)
        self.assertEqual(self.alice.node.find_known("Bob"), self.bob.node.peer_id)
        self.assertRaises(WhoError, self.alice.node.find, "carol")
        self.alice.node.block("Bob")
        self.assertRaises(WhoError, self.alice.node.find, "bob")
        self.assertRaises(WhoError, self.alice.say, "hi", self.bob)

    def test_refused(self) -> None:
        """Whoever declines isn't asked again soon; nobody is told of that call."""
        self.stop_bob()
        self.bob = self.start_bob(AcceptPolicy.ASK)
        self.world.settle(self.bob)
        self.alice.say("hi", self.bob)
        self.world.wait(lambda: self.bob.events(events.OfferReceived), 90)
        self.bob.node.reject("Alice")
        self.world.internet.run(REFUSED / 30)
        self.assertEqual(len(self.bob.events(events.OfferReceived)), 1)
        self.assertNotIn("failed", self.told(self.alice))

    def test_person_calls(self) -> None:
        """What comes of a call that the person asks for is told, whoever called before."""
        self.stop_bob()
        self.alice.say("hi", self.bob)
        self.world.result(self.alice.node.connect("Bob"))
        self.world.wait(lambda: self.alice.events(events.CallFailed))
        self.assertIn("calling", self.told(self.alice))
        self.assertTrue(self.alice.events(events.CallFailed)[0].waits)

    def test_person_ended_it(self) -> None:
        """With whom the person ended the conversation there is none until the next line."""
        self.alice.say("hi", self.bob)
        self.wait_for_bob("hi")
        self.bobs.writing.is_held = True  # nothing is confirmed any more
        self.alice.say("ho", self.bob)
        self.world.internet.run(1)
        self.alice.node.disconnect(self.bob.node.peer_id)
        self.world.internet.run(3 * LOOK_INTERVAL)
        self.assertEqual(self.told(self.alice).count("connected"), 1)
        self.bobs.kill(self.bob)
        self.bob = self.start_bob()
        self.world.settle(self.bob)
        self.alice.say("again", self.bob)
        self.wait_for_bob("ho", "again")
