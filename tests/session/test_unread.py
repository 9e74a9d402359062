"""
What nobody takes: lines that no reader reads, and answers that the other side doesn't let out.

Whatever a peer sends, and whatever it refuses to take, costs a bounded number of bytes.
"""

from __future__ import annotations

import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import NotRead
from p2pchat.session.control import AnswerOverdue
from p2pchat.session.conversation import (
    MAX_UNREAD_LINES,
    MAX_UNREAD_TEXT,
    WINDOW_LINES,
    WINDOW_TEXT,
    Delivered,
    Received,
    message_id,
)
from p2pchat.session.liveness import MAX_PONGS, SUSPICION
from p2pchat.session.peer_session import LINGERING
from p2pchat.wire.messages import (
    MAX_TEXT,
    ChatMessage,
    Disconnect,
    Hello,
    Ping,
    Pong,
    Receipt,
    TextMessage,
)
from tests.session.conversing import NOW, WALL, ConversationCase, Silent, hear, of, sent, told
from tests.session.pair import Pair


class UnreadTests(ConversationCase):
    """Bob's reader takes lines when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = Silent("bob", "b" * 32)
        self.opened()

    def read(self, count: int = 10_000) -> list[str]:
        """Let Bob's reader take lines; returns them."""
        texts: list[str] = []
        waiting = told(self.bob)
        while len(texts) < count and waiting:
            event = waiting.pop(0)
            if isinstance(event, Received):
                self.bob.conversation.read(message_id(event.epoch, event.message.sequence))
                texts.append(event.message.text)
        self.bob.happened = waiting
        return texts

    def say(self, count: int, first: int = 0) -> None:
        """Let Alice say lines."""
        for number in range(first, first + count):
            self.alice.say(str(number), WALL, NOW)

    def test_receipt_means_read(self) -> None:
        """A line is confirmed when it was read, not when it came."""
        self.say(5)
        self.pump()
        self.assertEqual((self.alice.undelivered, told(self.alice)), (5, []))
        self.assertEqual(self.read(2), ["0", "1"])
        self.pump()
        self.assertEqual([one.sequence for one in of(Delivered, told(self.alice))], [1, 2])
        self.read()
        self.assertEqual(sent(self.bob), [Receipt(5)])

    def test_window_of_lines(self) -> None:
        """No more than WINDOW_LINES are under way; what is read makes room."""
        self.say(1000)
        self.pump()
        self.assertEqual(sent(self.alice), [])
        self.assertEqual(len(self.read(100)), 100)
        hear(self.alice, sent(self.bob)[0])
        self.assertEqual(len(sent(self.alice)), 100)

    def test_window_of_text(self) -> None:
        """No more than WINDOW_TEXT characters are, but for one line."""
        for _ in range(100):
            self.alice.say("x" * MAX_TEXT, WALL, NOW)
        self.assertEqual(len(sent(self.alice)), WINDOW_TEXT // MAX_TEXT)
        self.assertEqual(sent(self.alice), [])

    def test_nothing_lost_or_doubled(self) -> None:
        """However reading, links and lines come between each other, all is read once, in order."""
        self.say(2000)
        read: list[str] = []
        for turn in range(400):
            if turn % 7 == 3:
                self.cut()
            if not self.alice.is_open:
                self.open()
            else:
                self.pump()
            read += self.read(turn % 11)
        while self.alice.undelivered:
            self.pump()
            read += self.read()
        self.assertEqual(read, [str(number) for number in range(2000)])

    def test_read_after_the_link(self) -> None:
        """What is read between two links is confirmed by the next HELLO."""
        self.say(3)
        self.pump()
        self.cut()
        self.read(2)
        self.assertEqual(sent(self.bob), [])
        self.open()
        self.assertEqual(self.alice.undelivered, 1)
        self.assertEqual(self.read(), ["2"])

    def test_read_before_a_new_log(self) -> None:
        """What was read of a log that their HELLO replaces confirms nothing of the new one."""
        self.say(3)
        self.pump()
        self.cut()
        self.bob.link_opened()
        self.assertIsInstance(sent(self.bob)[0], Hello)
        self.read(2)
        self.assertEqual(sent(self.bob), [])
        hear(self.bob, Hello("alice", "c" * 32))
        self.assertEqual(sent(self.bob), [])

    def test_confirmed_while_it_waits(self) -> None:
        """A line confirmed before its turn on a new link doesn't go out again."""
        self.say(3)
        self.pump()
        self.cut()
        self.open()
        hear(self.alice, Receipt(3))
        self.say(WINDOW_LINES + 1, 3)
        self.alice.link_ended()
        self.alice.link_opened()
        self.assertEqual(len(of(Hello, sent(self.alice))), 1)
        hear(self.alice, Hello("bob", self.bob.epoch, 1, self.alice.epoch, 3))
        hear(self.alice, Receipt(5))
        lines = of(TextMessage, sent(self.alice))
        self.assertEqual((lines[0].sequence, len(lines)), (6, WINDOW_LINES - 1))

    def test_goes_on_regardless(self) -> None:
        """Who sends on although nobody reads is refused, by a bound on lines and one on text."""
        for text, bound in (("x", MAX_UNREAD_LINES), ("x" * MAX_TEXT, MAX_UNREAD_TEXT // MAX_TEXT)):
            self.setUp()
            for number in range(bound):
                hear(self.bob, TextMessage(number + 1, text, WALL))
            error = self.assertRaises(NotRead, hear, self.bob, TextMessage(bound + 1, text, WALL))
            self.assertIn("nobody reads here", str(error))
            self.assertEqual(len(self.read()), bound)
            hear(self.bob, TextMessage(bound + 1, text, WALL))

    def test_logs_begun_anew(self) -> None:
        """A peer who begins a new log on each new link has the same bound in all."""
        count = 0
        with self.assertRaises(NotRead):
            for number in range(100):
                self.bob.link_ended()
                self.bob.link_opened()
                hear(self.bob, Hello("alice", str(number)))
                for sequence in range(100):
                    hear(self.bob, TextMessage(sequence + 1, "x", WALL))
                    count += 1
        self.assertEqual(count, MAX_UNREAD_LINES)
        self.assertEqual(len(self.read()), count)
        self.assertEqual(sent(self.bob)[1:], [Receipt(24)], "of the newest log only")

    def test_heartbeats_go_on(self) -> None:
        """Meanwhile heartbeats are answered, and once one is, no line counts as silence."""
        self.say(5)
        self.pump()
        self.alice.beat(NOW + 1)
        self.pump(NOW + 1.01)
        self.assertIsNone(self.alice.get_timer())
        self.assertLess(self.alice.rtt, 0.1)
        self.read()
        self.pump(NOW + 60)
        self.assertEqual((self.alice.undelivered, of(AnswerOverdue, told(self.alice))), (0, []))
        self.assertLess(self.alice.rtt, 0.1)

    def test_silence_after_a_heartbeat(self) -> None:
        """A line said after the last answered heartbeat counts."""
        self.say(1)
        self.alice.beat(NOW)
        self.pump(NOW)
        self.alice.say("are you there?", WALL, NOW + 1)
        sent(self.alice, NOW + 1)
        self.assertAlmostEqual(self.alice.get_timer() or 0.0, NOW + 1 + SUSPICION)


class OwedTests(ConversationCase):
    """What waits to be answered while the link has no room."""

    def setUp(self) -> None:
        super().setUp()
        self.opened()

    def test_pings(self) -> None:
        """Of any number of PINGs the newest are answered, once there is room."""
        for number in range(100_000):
            hear(self.bob, Ping(number))
        pongs = sent(self.bob)
        self.assertEqual(pongs, [Pong(n) for n in range(100_000 - MAX_PONGS, 100_000)])

    def test_everything(self) -> None:
        """PINGs, lines had before, receipts, heartbeats of ours: some kilobytes in all."""
        hear(self.bob, TextMessage(1, "x", WALL))
        flood: list[ChatMessage] = [
            Ping(2**53),
            TextMessage(1, "x" * 1000, WALL),
            Receipt(0),
            Pong(7),
        ]
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(20_000):
                hear(self.bob, flood[number % 4])
                if number % 100 == 0:
                    self.bob.beat(NOW + number)
            told(self.bob)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(after - before, 20_000)
        self.assertLess(len(sent(self.bob)), MAX_PONGS + 4)

    def test_goodbye_without_room(self) -> None:
        """Who leaves has a last word, although lines before it found no room."""
        for number in range(2 * WINDOW_LINES):
            self.bob.say(str(number), WALL, NOW)
        self.bob.leave("left")
        self.assertEqual(of(Disconnect, sent(self.bob)), [])
        self.bob.conversation.skip_lines()
        self.assertEqual(sent(self.bob), [Disconnect("left")])


class UnreadSessionTests(SynchronousTestCase):
    """Two peers; Bob's front end reads when the test says so."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.connect()
        self.alice, self.bob = self.pair.both
        self.bob.reads = False

    def read(self) -> None:
        """Let Bob's front end take all that came, and go on."""
        self.bob.reads = True
        for event in self.bob.events(events.MessageReceived):
            self.bob.session.read(event.id, self.pair.wire.now)

    def test_reading_again(self) -> None:
        """When the front end reads again all goes on: nothing lost, nothing twice."""
        said = [str(number) for number in range(1000)]
        for text in said:
            self.pair.say(self.alice, text)
        self.pair.run(40)
        self.assertEqual(self.bob.texts(), said[:WINDOW_LINES])
        self.assertEqual(self.alice.events(events.MessageDelivered), [])
        self.assertEqual(self.alice.events(events.PathLost), [])
        self.pair.say(self.bob, "my side works")
        self.pair.run_until(lambda: self.alice.texts() == ["my side works"], 1)
        self.read()
        self.pair.run_until(lambda: not self.alice.session.conversation.undelivered, 5)
        self.assertEqual(self.bob.texts(), said)

    def test_leaving(self) -> None:
        """Leaving works, with lines that nobody reads, and the other side knows who left."""
        for number in range(1000):
            self.pair.say(self.alice, str(number))
        self.pair.run(1)
        self.alice.session.disconnect(self.pair.wire.now)
        self.pair.run(LINGERING + 0.5)
        (ended,) = self.bob.events(events.Disconnected)
        self.assertEqual(ended.reason, "left")
        self.assertFalse(self.alice.session.is_alive or self.bob.session.is_alive)

    def test_last_words(self) -> None:
        """What is said before leaving is confirmed, if it is read in time."""
        for reads in (True, False):
            self.setUp()
            self.bob.reads = reads
            self.pair.say(self.alice, "bye")
            self.alice.session.disconnect(self.pair.wire.now)
            self.pair.run(0.2)
            self.assertEqual(self.bob.texts(), ["bye"])
            self.assertEqual(self.bob.session.is_alive, not reads)
            self.read()
            self.pair.run(0.2)
            self.assertEqual(len(self.alice.events(events.MessageDelivered)), 1)
            self.assertFalse(self.bob.session.is_alive or self.alice.session.is_alive)
            self.assertEqual(len(self.bob.events(events.Disconnected)), 1)

    def test_nothing_after_a_fault(self) -> None:
        """What comes after a broken rule isn't looked at, and not answered."""
        wrong = self.alice.session.conversation
        wrong.say("never sent", WALL, self.pair.wire.now)
        wrong.next_line(self.pair.wire.now)
        for text in ("leaves a gap", "leaves another"):
            self.pair.say(self.alice, text)
        self.pair.run(0.1)
        self.assertEqual(self.bob.texts(), [])
        notes = [note.text for note in self.bob.session.report().notes if "message" in note.text]
        self.assertEqual(notes, ["message 2 after 0"])
        self.assertEqual(len(self.bob.events(events.Disconnected)), 1)

    def test_regardless(self) -> None:
        """One who sends on regardless ends the conversation, and both are told why."""
        control = self.alice.session.link.control
        for number in range(2000):
            self.pair.say(self.alice, str(number))
            if control.is_open:
                hear(control, Receipt(number), self.pair.wire.now)  # as if it counted nothing
            self.pair.run(0.001)
        self.pair.run(LINGERING + 0.1)
        self.assertEqual(len(self.bob.texts()), MAX_UNREAD_LINES)
        for one in self.pair.both:
            (ended,) = one.events(events.Disconnected)
            self.assertEqual(ended.reason, "not-read")
            notes = " ".join(note.text for note in one.session.report().notes)
            self.assertIn("nobody reads", notes)
            self.assertFalse(one.session.is_alive)
