"""Read receipts between whole peers."""

from __future__ import annotations

from p2pchat import events
from p2pchat.peer.storage.history import HistoryLine
from tests.simulation.contacts import ContactsCase


class ReadingCase(ContactsCase):
    """Alice and Bob, contacts who keep what is said."""

    def say(self, *texts: str) -> None:
        """Let Alice say lines that Bob gets."""
        for text in texts:
            self.alice.say(text, self.bob)
        self.world.wait(lambda: self.bob.texts()[-1:] == [texts[-1]])

    def see(self) -> str:
        """Let Bob see all; returns the id of the last line."""
        last = self.bob.events(events.MessageReceived)[-1]
        self.bob.node.indications.seen(last.peer_id, last.id)
        return last.id

    def read(self) -> list[str]:
        """Return which lines Alice was told to be read."""
        return [one.id for one in self.alice.events(events.MessagesRead)]

    def history(self) -> list[HistoryLine]:
        """Return Alice's history."""
        found: list[HistoryLine] = self.world.result(
            self.alice.node.history.last(self.bob.node.peer_id, 99)
        )
        return found


class ReadingTests(ReadingCase):
    """Alice is told what Bob has seen."""

    def test_read(self) -> None:
        """What he has seen is read, here and in the history; what came after it isn't."""
        self.say("one", "two")
        last = self.see()
        self.world.wait(self.read)
        self.assertEqual(self.read(), [last])
        self.say("three")
        self.world.internet.run(5)
        self.assertEqual(self.read(), [last])
        self.assertEqual([one.read for one in self.history()], [True, True, False])
        self.assertEqual([one.delivered for one in self.history()], [True] * 3)

    def test_restarts(self) -> None:
        """A receipt reaches Alice although both were killed before it could go out."""
        self.say("one")
        last = self.see()
        self.bob.node.disconnect(self.alice.node.peer_id)
        self.world.internet.run(15)
        self.alices.kill(self.alice)
        self.bobs.kill(self.bob)
        self.alice, self.bob = self.start(self.alices), self.start(self.bobs)
        self.world.settle(self.alice, self.bob)
        self.world.result(self.alice.node.connect("Bob"))
        self.world.wait(lambda: self.alice.is_connected_to(self.bob))
        self.world.internet.run(5)
        self.assertIn(self.history()[0].read, {True})
        self.assertLessEqual(set(self.read()), {last})

    def test_strangers(self) -> None:
        """Who is no contact is told nothing."""
        self.say("one")
        self.bob.node.forget("Alice")
        self.see()
        self.world.internet.run(5)
        self.assertEqual(self.read(), [])

    def test_switched_off(self) -> None:
        """Who lets nobody know what he reads isn't told what others read."""
        self.alice.node.indications.switch("receipts", False)
        self.say("one")
        self.see()
        self.world.internet.run(5)
        self.assertEqual(self.read(), [])


class TypingTests(ReadingCase):
    """Alice sees that Bob types."""

    def typed(self) -> int:
        """Return how often Alice was told so."""
        return len(self.alice.events(events.PeerTyping))

    def type(self, seconds: float) -> None:
        """Let Bob type."""
        for _ in range(int(seconds * 10)):
            self.bob.node.indications.typing(self.alice.node.peer_id)
            self.world.internet.run(0.1)

    def test_typing(self) -> None:
        """It is told now and then, over an open link, and costs next to nothing."""
        self.type(1)
        self.say("hi")
        self.assertEqual(self.typed(), 0)
        self.type(12)
        self.assertIn(self.typed(), {3, 4})
        self.world.internet.run(20)
        self.assertIn(self.typed(), {3, 4})

    def test_switched_off(self) -> None:
        """Either side may switch it off, for both."""
        self.say("hi")
        for one in (self.alice, self.bob):
            one.node.indications.switch("typing", False)
            self.type(5)
            one.node.indications.switch("typing", True)
            self.world.internet.run(5)
        self.assertEqual(self.typed(), 0)
