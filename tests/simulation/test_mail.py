"""Whole peers and a whole registry with mailboxes: who is away gets what was said."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.approval import AcceptPolicy
from tests.registry.web import in_memory
from tests.simulation.state import State
from tests.simulation.world import Person, World


class MailCase(SynchronousTestCase):
    """Alice and Bob, contacts who have talked once; their registry has mailboxes."""

    def setUp(self) -> None:
        self.world = World(3)
        self.world.mailboxes = in_memory()
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.states = {name: State(name, Path(self.mktemp())) for name in ("alice", "bob")}
        self.alice, self.bob = self.start("alice"), self.start("bob")
        self.world.settle(self.alice, self.bob)
        self.alice.profile.contacts.keep(self.bob.node.peer_id, "Bob")
        self.bob.profile.contacts.keep(self.alice.node.peer_id, "Alice")
        self.world.connect(self.alice, self.bob)
        self.world.internet.run(5)

    def start(self, name: str, *, mails: bool = True) -> Person:
        """Start somebody, alone."""
        state, policy = self.states[name], AcceptPolicy.CONTACTS
        person = state.start(self.world, accept=policy, mails=mails)
        self.addCleanup(lambda: self.states[name].kill(person))
        return person

    def stop(self, *people: Person) -> None:
        """Let people leave."""
        for one in people:
            self.world.result(one.node.stop())

    def say(self, *lines: str) -> None:
        """Let Alice write to Bob."""
        for text in lines:
            self.alice.say(text, self.bob)


class AwayTests(MailCase):
    """They are never there at the same time."""

    def test_three_lines(self) -> None:
        """Three lines, both off; Bob comes back alone and reads; Alice is told the next time."""
        self.stop(self.bob)
        self.say("one", "two", "three")
        self.world.wait(lambda: self.alice.events(events.Mailed), 30)
        self.stop(self.alice)
        self.world.internet.run(3600)
        self.bob = self.start("bob")
        self.world.wait(lambda: self.bob.texts() == ["one", "two", "three"], 10)
        self.world.internet.run(5)
        self.stop(self.bob)
        self.alice = self.start("alice")
        self.world.wait(lambda: len(self.alice.events(events.MessageDelivered)) == 3, 10)
        self.assertEqual(self.states["alice"].history(), self.states["bob"].history())

    def test_typed_and_left(self) -> None:
        """A line that was typed a moment before leaving is there, too."""
        self.stop(self.bob)
        self.say("bye")
        self.stop(self.alice)
        self.bob = self.start("bob")
        self.world.wait(lambda: self.bob.texts() == ["bye"], 10)

    def test_killed(self) -> None:
        """Kill -9 of Bob at any time while he takes it: all there in the end, nothing twice."""
        self.stop(self.bob)
        self.say(*map(str, range(20)))
        self.world.wait(lambda: self.alice.events(events.Mailed), 30)
        self.stop(self.alice)
        for moment in range(12):
            bob = self.states["bob"].start(self.world, accept=AcceptPolicy.CONTACTS)
            self.world.internet.run(0.02 * moment)
            self.states["bob"].kill(bob)
        self.bob = self.start("bob")
        self.world.internet.run(10)
        texts = [text for _, text in self.states["bob"].history()]
        self.assertEqual(texts, list(map(str, range(20))))

    def test_both_ways(self) -> None:
        """They talk by mail, then meet: a link has nothing to add."""
        self.stop(self.bob)
        self.say("question")
        self.world.wait(lambda: self.alice.events(events.Mailed), 30)
        self.stop(self.alice)
        self.bob = self.start("bob")
        self.world.wait(self.bob.texts, 10)
        self.bob.say("answer", self.alice)
        self.world.internet.run(40)
        self.alice = self.start("alice")
        self.world.wait(lambda: self.alice.texts() == ["answer"], 60)
        self.world.internet.run(60)
        self.assertEqual(self.states["alice"].history(), self.states["bob"].history())
        self.assertEqual(len(self.alice.events(events.MessageReceived)), 1)

    def test_registry_restarts(self) -> None:
        """A registry that has forgotten everything gets keys and tokens again."""
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.world.internet.run(60)
        self.stop(self.bob)
        self.say("hi")
        self.world.wait(lambda: self.alice.events(events.Mailed), 60)

    def test_switched_off(self) -> None:
        """Who wants no mailbox has none, and lines wait where they were written."""
        self.stop(self.bob)
        self.bob = self.start("bob", mails=False)
        self.world.settle(self.bob)
        self.stop(self.bob)
        self.say("hi")
        self.world.internet.run(60)
        self.assertEqual(self.alice.events(events.Mailed), [])
        self.bob = self.start("bob", mails=False)  # and says so on a link
        self.world.wait(lambda: self.bob.texts() == ["hi"], 90)
        self.world.internet.run(5)
        self.stop(self.bob)
        self.say("hello")
        self.world.internet.run(60)
        self.assertEqual(self.alice.events(events.Mailed), [])

    def test_blocked(self) -> None:
        """Who is blocked can leave nothing, and is told no more than that."""
        self.bob.node.block("Alice")
        self.world.internet.run(5)
        self.stop(self.bob)
        self.say("hi")
        self.world.internet.run(60)
        self.assertEqual(self.alice.events(events.Mailed), [])
        refused = self.alice.events(events.NotMailed)
        self.assertEqual([one.reason for one in refused], ["unknown-mailbox"])

    def test_ten_thousand(self) -> None:
        """As many as the registry takes go, with a word at its end; the rest over a link."""
        self.stop(self.bob)
        self.say(*(f"{number} ".ljust(80, "x") for number in range(10_000)))
        self.world.wait(lambda: self.alice.events(events.NotMailed), 120)
        (refused,) = self.alice.events(events.NotMailed)
        self.assertEqual(refused.reason, "token-full")
        self.stop(self.alice)
        self.bob = self.start("bob")
        self.world.internet.run(30)
        count = len(self.bob.texts())
        self.assertGreater(count, 1500)
        self.alice = self.start("alice")
        self.world.wait(lambda: len(self.bob.texts()) == 10_000, 120)
        numbers = [int(text.split()[0]) for text in self.bob.texts()]
        self.assertEqual(numbers, list(range(10_000)))
