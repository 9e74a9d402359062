"""Programs that end, however they end, and begin again in the same directory."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.identity.keys import peer_id_octets
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.stored import About, place_of
from p2pchat.wire.references import DELETE, EDIT, REPLY
from tests.simulation.state import State
from tests.simulation.world import Person, World


class RestartCase(SynchronousTestCase):
    """Alice and Bob, whose programs have state directories."""

    def setUp(self) -> None:
        self.world = World(1)
        self.alices = State("alice", Path(self.mktemp()))
        self.bobs = State("bob", Path(self.mktemp()))
        self.alice, self.bob = self.alices.start(self.world), self.bobs.start(self.world)
        self.world.settle(self.alice, self.bob)
        self.world.connect(self.alice, self.bob)
        self.bob.profile.contacts.keep(self.alice.node.peer_id, "alice")
        self.addCleanup(lambda: self.alices.kill(self.alice))
        self.addCleanup(lambda: self.bobs.kill(self.bob))

    def delivered(self, one: Person, count: int) -> None:
        """Wait until so many lines of somebody were confirmed in this run."""
        self.world.wait(lambda: len(one.events(events.MessageDelivered)) >= count, 60)

    def same_history(self, *texts: str) -> None:
        """Check that both disks have the same, and these texts."""
        ours = self.alices.history()
        self.assertEqual(ours, self.bobs.history())
        self.assertEqual([text for _, text in ours], list(texts))


class ChangeTests(RestartCase):
    """What is said of older lines."""

    def about(self, kind: str, one: Person, name: str) -> About:
        """Return what makes an entry say something of a line of somebody."""
        return About(kind, place_of(peer_id_octets(one.node.peer_id), name))

    def test_waiting(self) -> None:
        """Changes of lines that were delivered wait for who is away, over restarts of both."""
        peer_id = self.bob.node.peer_id
        self.alices.profile.contacts.keep(peer_id, "bob")
        names = [self.alice.say(text, self.bob) for text in ("one", "two", "three")]
        self.delivered(self.alice, 3)
        self.bobs.kill(self.bob)
        self.world.wait(lambda: self.alice.events(events.Disconnected), 400)
        self.alice.node.send(peer_id, "1", self.about(EDIT, self.alice, names[0]))
        self.alice.node.send(peer_id, "", self.about(DELETE, self.alice, names[1]))
        self.alice.node.send(peer_id, "four", self.about(REPLY, self.alice, names[2]))
        self.world.internet.run(0.1)
        self.alices.kill(self.alice)
        self.alice, self.bob = self.alices.start(self.world), self.bobs.start(self.world)
        self.world.settle(self.alice, self.bob)
        self.world.wait(lambda: self.bob.events(events.MessageReceived), 100)
        self.delivered(self.alice, 3)
        self.same_history("1", "", "three", "four")
        (edit,) = self.bob.events(events.MessageEdited)
        (deletion,) = self.bob.events(events.MessageDeleted)
        self.assertEqual((edit.id, edit.text, deletion.id), (names[0], "1", names[1]))
        (answer,) = self.bob.events(events.MessageReceived)
        self.assertEqual((answer.text, answer.reply_to), ("four", names[2]))


class RestartTests(RestartCase):
    """What was said stays said, once."""

    def test_quit(self) -> None:
        """After a quit and a start the conversation goes on where it was."""
        self.alice.say("one", self.bob)
        self.delivered(self.alice, 1)
        self.world.result(self.bob.node.stop())
        self.bob = self.bobs.start(self.world)
        self.world.settle(self.bob)
        self.world.connect(self.bob, self.alice)
        self.bob.say("two", self.alice)
        self.delivered(self.bob, 1)
        self.alice.say("three", self.bob)
        self.delivered(self.alice, 2)
        self.assertEqual(self.bob.texts(), ["three"])
        self.same_history("one", "two", "three")

    def test_killed(self) -> None:
        """A killed program forgets nothing that it has said or confirmed, and shows it once."""
        for number in range(50):
            self.alice.say(f"line {number}", self.bob)
            self.bob.say(f"answer {number}", self.alice)
        self.world.internet.run(0.05)
        self.bobs.kill(self.bob)
        self.bob = self.bobs.start(self.world)
        self.world.settle(self.bob)
        self.world.connect(self.bob, self.alice)
        self.world.internet.run(5)
        self.assertEqual(self.alice.texts(), [f"answer {number}" for number in range(50)])
        self.assertEqual(len(self.alices.history()), 100)
        self.assertEqual(self.alices.history(), self.bobs.history())

    def test_both_killed(self) -> None:
        """Lines that nobody had yet go out when both are there again."""
        self.bobs.kill(self.bob)
        self.alice.say("are you there?", self.bob)
        self.alices.kill(self.alice)
        self.alice, self.bob = self.alices.start(self.world), self.bobs.start(self.world)
        self.world.settle(self.alice, self.bob)
        self.world.connect(self.bob, self.alice)
        self.delivered(self.alice, 1)
        self.assertEqual(self.bob.texts(), ["are you there?"])
        self.same_history("are you there?")

    def test_by_themselves(self) -> None:
        """Lines for a contact who is away wait, over a restart, and go out when both are there."""
        self.bobs.kill(self.bob)
        self.world.wait(lambda: self.alice.events(events.Disconnected), 400)
        self.assertTrue(self.alice.events(events.Disconnected)[0].waits)
        self.alice.say("one", self.bob)
        self.assertEqual([one.state for one in self.alice.node.conversations()], ["away"])
        self.world.result(self.alice.node.stop())
        self.alice = self.alices.start(self.world, accept=AcceptPolicy.ASK)
        self.world.settle(self.alice)
        self.alice.say("two", self.bob)
        self.world.internet.run(100)
        self.assertEqual(self.alice.events(events.Calling), [])
        self.assertEqual(self.alice.node.conversations()[0].undelivered, 2)
        self.bob = self.bobs.start(self.world, accept=AcceptPolicy.CONTACTS)
        self.delivered(self.alice, 2)
        self.assertEqual(self.bob.texts(), ["one", "two"])
        self.assertEqual(self.alice.events(events.Calling), [])
        self.same_history("one", "two")

    def test_full_disk(self) -> None:
        """What a full disk doesn't take isn't confirmed, and is when there is room."""
        connection = self.bobs.writing.connection
        self.alice.say("one", self.bob)
        self.delivered(self.alice, 1)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        self.bobs.writing.allow_pages(pages)
        self.alice.say("x" * 30_000, self.bob)
        self.world.internet.run(20)
        self.assertEqual(len(self.alice.events(events.MessageDelivered)), 1)
        self.assertEqual(self.bob.texts(), ["one"])
        self.bobs.writing.allow_pages(0)
        self.delivered(self.alice, 2)
        self.same_history("one", "x" * 30_000)
