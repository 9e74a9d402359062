"""Read marks: what they say, when they go out, and what a hostile one does."""

from __future__ import annotations

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.conversation_events import LinesRead, MarksRisen
from p2pchat.session.read_marks import MAX_NAMED, ReadMarks
from p2pchat.session.stored import message_id
from p2pchat.wire import entries
from p2pchat.wire.entries import Known
from tests.session.conversing import ALICE, BOB, NOW, WALL, ConversationCase

LOG = b"L" * 16


class MarksCase(ConversationCase):
    """Alice, who says lines, and Bob, who has seen some."""

    def setUp(self) -> None:
        super().setUp()
        self.open()
        self.ids = [self.alice.say(f"line {number}", WALL, NOW) for number in range(1, 6)]
        self.pump()

    def read(self) -> list[str]:
        """Return which lines Alice was told to be read, and forget it."""
        found = [one.id for one in self.alice.happened if isinstance(one, LinesRead)]
        self.alice.happened.clear()
        return found


class MarksTests(MarksCase):
    """What Bob has seen, Alice is told."""

    def test_seen(self) -> None:
        """A mark stands for all before it; one that isn't further is told to nobody."""
        self.bob.conversation.marks.seen(self.ids[2])
        self.pump()
        self.assertEqual(self.read(), [self.ids[2]])
        for id in (self.ids[2], self.ids[0]):
            self.bob.conversation.marks.seen(id)
            self.pump()
        self.assertEqual(self.read(), [])
        self.bob.conversation.marks.seen(self.ids[4])
        self.pump()
        self.assertEqual(self.read(), [self.ids[4]])

    def test_again(self) -> None:
        """What the link lost is told on the next one; what arrived changes nothing there."""
        self.bob.conversation.marks.seen(self.ids[3])
        self.cut()
        self.open()
        self.assertEqual(self.read(), [self.ids[3]])
        self.cut()
        self.open()
        self.assertEqual(self.read(), [])

    def test_off(self) -> None:
        """Who has switched it off says nothing, and takes nothing."""
        self.alice.conversation.marks.is_on = lambda: False
        self.bob.conversation.marks.seen(self.ids[1])
        self.pump()
        self.assertEqual(self.read(), [])
        self.alice.conversation.marks.is_on = lambda: True
        self.bob.conversation.marks.is_on = lambda: False
        self.bob.conversation.marks.seen(self.ids[4])
        self.cut()
        self.open()
        self.assertEqual(self.read(), [])

    def test_kept(self) -> None:
        """What to go on from has the marks of both sides."""
        self.bob.conversation.marks.seen(self.ids[3])
        self.pump()
        for one in (self.alice, self.bob):
            kept = one.conversation.state().marks
            self.assertEqual(kept, (Known(ALICE, self.alice.log, 4),))
            other = ReadMarks(BOB, one.events, lambda _: 0)
            other.restore(kept)
            self.assertEqual(other[ALICE, self.alice.log], 4)


class HostileTests(MarksCase):
    """What Bob's program might say instead."""

    def receive(self, *marks: Known) -> None:
        """Let Alice take a READ."""
        self.alice.conversation.receive(entries.encode_read(marks), NOW)
        self.alice.settle()

    def test_never_written(self) -> None:
        """A READ of what never was written counts as far as it was confirmed, and ends nothing."""
        self.receive(Known(ALICE, self.alice.log, 2**40))
        self.assertEqual(self.read(), [self.ids[-1]])
        self.receive(Known(ALICE, self.alice.log, 2**41))
        self.assertEqual(self.read(), [])

    def test_unconfirmed(self) -> None:
        """What wasn't confirmed can't have been read."""
        self.cut()
        self.alice.say("waits", WALL, NOW)
        self.receive(Known(ALICE, self.alice.log, 6))
        self.assertEqual(self.read(), [self.ids[4]])

    def test_others(self) -> None:
        """Marks of logs that nobody knows, or of their own, are kept by nobody."""
        for number in range(1, 1000):
            self.receive(Known(ALICE, number.to_bytes(16, "big"), 5), Known(BOB, LOG, number))
        self.assertEqual((self.read(), self.alice.conversation.marks.state()), ([], ()))

    def test_flood(self) -> None:
        """The same READ a thousand times is told, and stored, once."""
        for _ in range(1000):
            self.receive(Known(ALICE, self.alice.log, 3))
        told = [one for one in self.alice.happened if isinstance(one, MarksRisen)]
        self.assertEqual((len(told), self.read()), (1, [self.ids[2]]))

    def test_malformed(self) -> None:
        """What is cut short, or has a number that nobody reaches, breaks the rules."""
        long = Known(ALICE, LOG, 2**63)
        for data in (b"\x03x", entries.encode_read([long]), entries.encode_read([long] * 1025)):
            with self.assertRaises(RemoteProtocolError):
                self.alice.conversation.receive(data, NOW)


class FrameTests(MarksCase):
    """What goes out."""

    def marks(self, logs: int) -> ReadMarks:
        """Return marks of so many logs of Bob's."""
        marks = ReadMarks(BOB, self.alice.events, lambda _: 0)
        for number in range(1, logs + 1):
            marks.seen(message_id(number.to_bytes(16, "big"), number))
        return marks

    def test_newest(self) -> None:
        """A new link is told of the newest logs."""
        marks = self.marks(2 * MAX_NAMED)
        marks.link_began()
        frame = marks.next_frame(10_000)
        said = entries.decode_read(frame[-40 * MAX_NAMED :])
        self.assertEqual(
            [one.number for one in said], list(range(MAX_NAMED + 1, 2 * MAX_NAMED + 1))
        )
        self.assertEqual(marks.next_frame(10_000), b"")

    def test_room(self) -> None:
        """What has no room waits."""
        marks = self.marks(1)
        self.assertEqual(marks.next_frame(20), b"")
        self.assertNotEqual(marks.next_frame(100), b"")

    def test_body(self) -> None:
        """An envelope has the mark of one log, if there is one."""
        marks, log = self.marks(2), (2).to_bytes(16, "big")
        self.assertEqual(marks.body(log), entries.encode_read([Known(BOB, log, 2)]))
        self.assertEqual(marks.body(LOG), b"")
