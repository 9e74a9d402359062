"""Lines that are taken back before anybody could have them."""

from __future__ import annotations

from p2pchat.errors import LocalProtocolError, TooManyLines
from p2pchat.session.conversation_events import Delivered, Received
from p2pchat.session.own_log import MAX_LOG_SIZE
from p2pchat.wire.entries import MAX_TEXT
from tests.session.conversing import NOW, WALL, ConversationCase, of, told


class WithdrawalTests(ConversationCase):
    """Alice writes while Bob is away."""

    def said(self, *texts: str) -> list[str]:
        """Say lines while there is no link; return their ids."""
        return [self.alice.say(text, WALL, NOW) for text in texts]

    def heard(self) -> list[str]:
        """Return what Bob was told since he was asked last."""
        return [event.text for event in of(Received, told(self.bob))]

    def withdraw(self, name: str) -> None:
        """Take a line back, and let what follows be stored."""
        self.alice.conversation.withdraw(name)
        self.alice.settle()

    def refused(self, name: str) -> str:
        """Return why a line can't be taken back."""
        talk = self.alice.conversation
        return str(self.assertRaises(LocalProtocolError, talk.withdraw, name))

    def test_any_of_them(self) -> None:
        """The others arrive, in order; each is confirmed under the id that it had first."""
        for taken in range(3):
            self.meet()
            names = self.said("one", "two", "three")
            self.withdraw(names.pop(taken))
            self.said("four")
            self.open()
            texts = ["one", "two", "three", "four"]
            del texts[taken]
            self.assertEqual(self.heard(), texts)
            confirmed = [event.id for event in of(Delivered, told(self.alice))]
            self.assertEqual(confirmed[:2], names)

    def test_all(self) -> None:
        """Nothing is left where all are taken back, in whichever order."""
        names = self.said("one", "two", "three")
        for name in (names[1], names[2], names[0]):
            self.withdraw(name)
        self.assertEqual(self.alice.undelivered, 0)
        self.open()
        self.assertEqual(self.heard(), [])
        self.alice.say("four", WALL, NOW)
        self.pump()
        self.assertEqual(self.heard(), ["four"])

    def test_after_confirmed_ones(self) -> None:
        """What the other side has stays; the next line follows it."""
        self.opened()
        self.alice.say("had", WALL, NOW)
        self.pump()
        self.cut()
        names = self.said("one", "two")
        self.withdraw(names[0])
        self.open()
        self.assertEqual(self.heard(), ["had", "two"])

    def test_gone_out(self) -> None:
        """A line that was on a link isn't taken back, whether it arrived or not."""
        self.open()
        (name,) = self.said("one")
        self.alice.conversation.next_bytes(100_000, 100_000, NOW)  # lost on the way
        self.cut()
        self.assertIn("may have gone out", self.refused(name))
        self.assertIn("no such line", self.refused("x" * 32 + "-1"))

    def test_being_stored(self) -> None:
        """A line that is just being stored can be taken back a moment later."""
        name = self.alice.conversation.say("one", WALL, NOW)
        self.assertIn("being stored", self.refused(name))
        self.alice.settle()
        self.withdraw(name)
        self.assertEqual(self.alice.undelivered, 0)


class SizeTests(ConversationCase):
    """Long lines that wait."""

    def test_bound(self) -> None:
        """So many bytes of lines may wait; there is room again when they have arrived."""
        count = MAX_LOG_SIZE // MAX_TEXT + 1
        with self.assertRaises(TooManyLines):
            for _ in range(count):
                self.alice.say("x" * MAX_TEXT, WALL, NOW)
        self.assertGreater(self.alice.undelivered, count - 10)
        self.open()
        self.alice.say("room again", WALL, NOW)
