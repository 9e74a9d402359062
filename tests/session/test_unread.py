"""
What nobody takes: lines that no reader reads, and answers that the other side doesn't let out.

Whatever a peer sends, and whatever it refuses to take, costs a bounded number of bytes.
"""

from __future__ import annotations

import tracemalloc
from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.control import AnswerOverdue
from p2pchat.session.conversation import MAX_UNREAD, RESERVE
from p2pchat.session.conversation_events import Delivered, Received
from p2pchat.session.liveness import MAX_PONGS, SUSPICION
from p2pchat.session.own_log import MAX_BATCH
from p2pchat.session.stages import LINGERING
from p2pchat.session.streams import WINDOW
from p2pchat.wire.entries import MAX_TEXT, LogEntry
from p2pchat.wire.messages import Disconnect, Hello, Ping, Pong
from tests.cases import each
from tests.session.conversing import (
    NOW,
    WALL,
    ConversationCase,
    Said,
    Silent,
    announced,
    hear,
    line,
    of,
    receipt,
    sent,
    told,
)
from tests.session.pair import Pair


class UnreadTests(ConversationCase):
    """Bob's reader takes lines when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = Silent("bob", b"B" * 16)
        self.opened()

    def read(self, count: int = 10_000) -> list[str]:
        """Let Bob's reader take lines; returns them."""
        texts: list[str] = []
        waiting = told(self.bob)
        while len(texts) < count and waiting:
            event = waiting.pop(0)
            if isinstance(event, Received):
                self.bob.conversation.read(event.id)
                texts.append(event.text)
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
        self.assertEqual(len(of(Delivered, told(self.alice))), 2)
        self.read()
        self.assertEqual(sent(self.bob), [receipt(self.alice, 5)])

    def test_taken_means_read(self) -> None:
        """Bytes of lines count as taken when they are read, those of other frames at once."""
        self.bob.conversation.next_taken()
        self.alice.say("x", WALL, NOW)
        self.alice.say("x" * 1000, WALL, NOW)
        said = of(LogEntry, sent(self.alice))
        one, two = (len(entry.encode()) + 5 for entry in said)
        for entry in said:
            hear(self.bob, entry)
        self.assertEqual(self.bob.conversation.next_taken(), 0)
        self.read(1)
        self.assertEqual(self.bob.conversation.next_taken(), one)
        hear(self.bob, receipt(self.bob, 0))
        self.assertEqual(self.bob.conversation.next_taken(), 85)
        hear(self.bob, said[0])
        self.assertEqual(self.bob.conversation.next_taken(), one)
        self.read()
        self.assertEqual(self.bob.conversation.next_taken(), two)

    def test_credit_for_receipts(self) -> None:
        """Lines leave room for what says that others were read."""
        self.say(1000)
        went = sent(self.alice, most=RESERVE + 10_000)
        self.assertLess(sum(len(one.encode()) + 5 for one in of(LogEntry, went)), 10_000)
        hear(self.alice, line(self.bob, 1))
        self.assertEqual(sent(self.alice, most=RESERVE), [receipt(self.bob, 1)])

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
        """What is read between two links is confirmed by the next one's first HAVE."""
        self.say(3)
        self.pump()
        self.cut()
        self.read(2)
        self.open()
        self.assertEqual(self.alice.undelivered, 1)
        self.assertEqual(self.read(), ["2"])

    def test_read_before_a_new_log(self) -> None:
        """What was read of a log that another one replaces confirms nothing of the new one."""
        self.say(3)
        self.pump()
        self.cut()
        self.bob.link_began()
        sent(self.bob)
        hear(self.bob, Hello("alice"))
        hear(self.bob, announced(self.alice, log=b"N" * 16))
        self.read(2)
        self.assertEqual(sent(self.bob), [])
        hear(self.bob, line(self.alice, 1, log=b"N" * 16))
        self.read()
        (have,) = sent(self.bob)
        self.assertEqual(have, receipt(Silent("alice", b"N" * 16), 1))

    def test_confirmed_while_it_waits(self) -> None:
        """A line confirmed before its turn on a new link doesn't go out again."""
        self.say(30)
        self.pump()
        self.cut()
        self.alice.link_began()
        self.assertEqual(len(of(LogEntry, sent(self.alice, enough=1400))), 7)
        hear(self.alice, Hello("bob"))
        hear(self.alice, receipt(self.alice, 20))
        self.assertEqual(of(LogEntry, sent(self.alice))[0].number, 21)

    def test_several_links(self) -> None:
        """What earlier links brought, and nobody read, holds the next one's lines back."""
        before: bytes = bytes(32)
        for number in range(1, 100):
            entry = line(self.alice, number, "x" * MAX_TEXT, before)
            before = sha256(entry.encode()).digest()
            hear(self.bob, entry)
            if number % 10 == 0:
                self.cut()
                self.open()
        self.assertFalse(self.bob.conversation.may_receive)
        count = len(of(Received, self.bob.happened))
        self.assertLess(count * MAX_TEXT, MAX_UNREAD + MAX_TEXT)
        self.read(2)
        self.assertTrue(self.bob.conversation.may_receive)

    def test_logs_begun_anew(self) -> None:
        """A peer who begins a new log on each new link has the same bound in all."""
        for number in range(100):
            log = number.to_bytes(16, "big")
            self.bob.link_began()
            hear(self.bob, Hello("alice"))
            hear(self.bob, announced(self.alice, log=log))
            hear(self.bob, line(self.alice, 1, "x" * MAX_TEXT, log=log))
        held = MAX_UNREAD // MAX_TEXT
        self.assertEqual(len(self.read()), held)
        told(self.bob)
        self.assertTrue(self.bob.conversation.may_receive)

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
        hear(self.bob, line(self.alice, 1))
        flood: list[Said] = [
            Ping(2**53),
            line(self.alice, 1, "x" * 1000),
            receipt(self.bob, 0),
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
        for number in range(100):
            self.bob.say(str(number), WALL, NOW)
        self.bob.leave("left")
        self.assertEqual(of(Disconnect, sent(self.bob, most=RESERVE)), [])
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
        said = [f"{number:2000}" for number in range(1000)]
        for text in said:
            self.pair.say(self.alice, text)
        self.pair.run(40)
        arrived = self.bob.texts()
        self.assertEqual(arrived, said[: len(arrived)])
        self.assertTrue(0.9 * WINDOW - MAX_BATCH < len(arrived) * 2000 < WINDOW)
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
            self.pair.say(self.alice, f"{number:2000}")
        self.pair.run(1)
        self.alice.session.disconnect(self.pair.wire.now)
        self.pair.run(LINGERING + 0.5)
        (ended,) = self.bob.events(events.Disconnected)
        self.assertEqual(ended.reason, "left")
        self.pair.run(LINGERING)
        self.assertFalse(self.alice.session.is_alive or self.bob.session.is_alive)

    @each(True, False)
    def test_last_words(self, reads: bool) -> None:
        """What is said before leaving is confirmed, if it is read in time."""
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
        wrong.stored(wrong.next_unstored(True))
        wrong.skip_lines()
        for text in ("leaves a gap", "leaves another"):
            self.pair.say(self.alice, text)
        self.pair.run(0.1)
        self.assertEqual(self.bob.texts(), [])
        notes = [note.text for note in self.bob.session.report(0.0).notes if "message" in note.text]
        self.assertEqual(notes, ["message 2 after 0"])
        self.assertEqual(len(self.bob.events(events.Disconnected)), 1)

    def test_window(self) -> None:
        """A reader that takes nothing holds a window of its stream, a batch among it."""
        for _ in range(3000):
            self.pair.say(self.alice, "x" * 1000)
        self.pair.run(10)
        least = WINDOW - RESERVE - MAX_BATCH - 2000
        self.assertTrue(least < 1150 * len(self.bob.texts()) < WINDOW)
        self.read()
        self.pair.run_until(lambda: not self.alice.session.conversation.undelivered, 20)
        self.assertEqual(len(self.bob.texts()), 3000)
